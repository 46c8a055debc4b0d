package webhookserver

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// twice is a schema that says the same of each element twice, so that its work doubles with each level.
	twice = `{"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}`
	// tree is how a schema ordinarily refers to itself.
	tree = `{"type": "object", "required": ["name"],
		"properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}}}`
	nothing = `{"a": {"a": {"a": []}}}`

	tooCostly   = "too costly to validate: more than 500000 steps; post less at once, or describe it in payloadSchema with fewer alternatives"
	dynamic     = "$dynamicRef and $recursiveRef are not followed; use $ref"
	unexplained = "violates its schema; where is not said, because that takes more than 50000 steps"
)

// doubling are definitions, each of which is twice the next.
var doubling = func() string {
	const levels = 60
	var text strings.Builder
	for i := range levels {
		fmt.Fprintf(&text, `"%d": {"allOf": [{"$ref": "#/$defs/%[2]d"}, {"$ref": "#/$defs/%[2]d"}]}, `, i, i+1)
	}
	return fmt.Sprintf(`{%s"%d": {"type": "number"}}`, text.String(), levels)
}()

// elements writes a list of n times the same element.
func elements(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

// numbered writes a list of n elements in which %[1]d is the index.
func numbered(n int, format string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf(format, i)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// members writes an object of n members.
func members(n int) string {
	list := numbered(n, `"%04d": true`)
	return "{" + list[1:len(list)-1] + "}"
}

func nested(n int, value string) string {
	return strings.Repeat("[", n) + value + strings.Repeat("]", n)
}

// alike writes a list of n different lists that the validator's hash cannot tell apart.
func alike(n int) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = `["a`
		for bit := range 16 {
			texts[i] += map[bool]string{true: `\u0004a`, false: `","a`}[i>>bit&1 == 1]
		}
		texts[i] += `"]`
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func TestWhatAValidationMayCost(t *testing.T) {
	for _, c := range []struct{ name, schema, value, want string }{
		{"work that doubles with each level, of few", twice, nested(14, ""), ""},
		{"work that doubles with each level, of many", twice, nested(60, ""), tooCostly},
		{"the same below properties", `{"allOf": [{"additionalProperties": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}`,
			strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60), tooCostly},
		{"work that doubles within one member", `{"properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": ` + doubling + `}`, `{"a": 1}`, tooCostly},
		{"the same without that member", `{"properties": {"a": {"$ref": "#/$defs/0"}}, "$defs": ` + doubling + `}`, `{"b": 1}`, ""},
		{"a circle of references below a member", `{"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}`, `{"a": 1}`, tooCostly},
		{"alternatives of other types, which are not tried", `{"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}}, {"type": "object", "additionalProperties": {"$ref": "#"}}]}`,
			nested(60, `"x"`), ""},
		{"a tree", tree, `{"name": "a", "children": [{"name": "b"}]}`, ""},
		{"a tree that is wrong deep inside", tree, strings.Repeat(`{"name": "a", "children": [`, 30) + `{"name": 1}` + strings.Repeat("]}", 30),
			strings.Repeat("/children/0", 30) + "/name: 1 is not of type 'string'"},
		{"lists as deep as a body may have", `{"type": ["array", "null"], "items": {"$ref": "#"}}`, nested(60, elements(100, "null")), ""},
		{"many elements that are right", `{"items": {"type": "number"}}`, elements(99_000, "1"), ""},
		{"many elements that are wrong", `{"items": {"type": "string"}}`, elements(99_000, "1"), unexplained},
		{"fewer elements that are wrong", `{"items": {"type": "string"}}`, elements(10_000, "1"), "/0: 1 is not of type 'string'"},
		{"many names that are required of many", `{"items": {"required": ` + numbered(900, `"n%d"`) + `}}`, elements(40_000, "{}"), tooCostly},
		{"many values that many may have", `{"items": {"enum": ` + numbered(4_000, `"n%d"`) + `}}`, elements(40_000, `"x"`), tooCostly},
		{"a long value that many may have", `{"items": {"const": "` + strings.Repeat("x", 100_000) + `"}}`, elements(40_000, `"x"`), tooCostly},
		{"a large expression and a long text", `{"items": {"pattern": "^(.{1,900})*!"}}`, `["` + strings.Repeat("a", 1<<20) + `"]`, tooCostly},
		{"a small expression and a long text", `{"items": {"pattern": "^[A-Za-z0-9+/]*$"}}`, `["` + strings.Repeat("a", 1<<20) + `"]`, ""},
		{"expressions for a long name", `{"patternProperties": {"^(.{1,900})*!": true}}`, `{"` + strings.Repeat("a", 1<<20) + `": 1}`, tooCostly},
		{"expressions in the value", `{"$schema": "http://json-schema.org/draft-07/schema#", "items": {"format": "regex"}}`, elements(300, `"`+strings.Repeat("x{1000}", 580)+`"`), tooCostly},
		{"a long text that is often measured", `{"allOf": ` + elements(400, `{"maxLength": 1}`) + `}`, `"` + strings.Repeat("a", 4<<20) + `"`, tooCostly},
		{"many divisions", `{"items": {"multipleOf": 3.3e-399}}`, elements(99_000, "1e399"), tooCostly},
		{"many elements that differ", `{"uniqueItems": true}`, numbered(99_000, "%d"), ""},
		{"many lists that look alike", `{"uniqueItems": true}`, alike(5_800), tooCostly},
		{"few lists that look alike", `{"uniqueItems": true}`, alike(200), ""},
		{"lists that look alike and begin with the same numbers", `{"uniqueItems": true}`,
			strings.ReplaceAll(alike(1_500), `["a`, `[`+strings.Repeat("1e-399,", 38)+`"a`), tooCostly},
		{"many objects that differ", `{"uniqueItems": true}`, numbered(20_000, `{"id": %d}`), ""},
		{"many numbers that look alike", `{"uniqueItems": true}`, numbered(20_000, "[-%[1]d]"), ""},
		{"few listed values for many records", `{"items": {"properties": {"country": {"enum": ` + numbered(250, `"c%d"`) + `}}}}`,
			elements(2_000, `{"country": "c7"}`), ""},
		{"many expressions and many short names", `{"patternProperties": ` + members(4_000) + `}`, members(30_000), tooCostly},
		{"many subschemas that say nothing of many members", `{"unevaluatedProperties": true, "allOf": ` + elements(4_000, "true") + `}`, members(30_000), tooCostly},
		{"many subschemas of another type for many members", `{"unevaluatedProperties": true, "anyOf": ` + elements(4_000, `{"type": "null"}`) + `}`, members(30_000), tooCostly},
		{"a draft's schema", `{"$ref": "http://json-schema.org/draft-07/schema#"}`, tree, ""},
		{"a draft's schema that refers dynamically", `{"$ref": "https://json-schema.org/draft/2020-12/schema"}`, tree, dynamic},
		{"many elements that nothing is said of, often", `{"allOf": ` + elements(30, `{"not": {"type": "null"}}`) + `, "unevaluatedItems": true}`, elements(99_000, "1"), tooCostly},
	} {
		t.Run(c.name, func(t *testing.T) {
			expectViolation(t, c.schema, c.value, c.want)
		})
	}
}

// TestNoKeywordHidesItsWork finds that work which doubles with each level is refused, whichever keyword doubles it.
func TestNoKeywordHidesItsWork(t *testing.T) {
	lists, objects := nested(20, ""), strings.Repeat(`{"a": `, 20)+"1"+strings.Repeat("}", 20)
	const older = `{"$schema": "https://json-schema.org/draft/2019-09/schema", `
	for _, c := range []struct{ keyword, schema, value string }{
		{"$ref", `{"items": {"$ref": "#"}, "$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#"}}}}`, lists},
		{"not", `{"items": {"$ref": "#"}, "not": {"items": {"$ref": "#"}}}`, lists},
		{"allOf", `{"items": {"$ref": "#"}, "allOf": [{"items": {"$ref": "#"}}]}`, lists},
		{"anyOf", `{"items": {"$ref": "#"}, "anyOf": [{"items": {"$ref": "#"}}]}`, lists},
		{"oneOf", `{"items": {"$ref": "#"}, "oneOf": [{"items": {"$ref": "#"}}]}`, lists},
		{"if", `{"items": {"$ref": "#"}, "if": {"items": {"$ref": "#"}}}`, lists},
		{"then", `{"items": {"$ref": "#"}, "if": true, "then": {"items": {"$ref": "#"}}}`, lists},
		{"else", `{"items": {"$ref": "#"}, "if": false, "else": {"items": {"$ref": "#"}}}`, lists},
		{"dependentSchemas", `{"properties": {"a": {"$ref": "#"}}, "dependentSchemas": {"a": {"properties": {"a": {"$ref": "#"}}}}}`, objects},
		{"dependencies", `{"properties": {"a": {"$ref": "#"}}, "dependencies": {"a": {"properties": {"a": {"$ref": "#"}}}}}`, objects},
		{"properties", `{"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}`, objects},
		{"patternProperties", `{"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}}`, objects},
		{"additionalProperties", `{"allOf": [{"additionalProperties": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}]}`, objects},
		{"unevaluatedProperties", `{"allOf": [{"not": {"unevaluatedProperties": {"$ref": "#"}}}, {"not": {"unevaluatedProperties": {"$ref": "#"}}}]}`, objects},
		{"items", twice, lists},
		{"contains", `{"items": {"$ref": "#"}, "contains": {"$ref": "#"}}`, lists},
		{"prefixItems", `{"contains": {"$ref": "#"}, "prefixItems": [{"$ref": "#"}]}`, lists},
		{"unevaluatedItems", `{"contains": {"$ref": "#"}, "allOf": [{"unevaluatedItems": {"$ref": "#"}}]}`, lists},
		{"a list of items", older + `"contains": {"$ref": "#"}, "items": [{"$ref": "#"}]}`, lists},
		{"additionalItems", older + `"contains": {"$ref": "#"}, "items": [true], "additionalItems": {"$ref": "#"}}`, strings.Repeat("[1, ", 20) + "1" + strings.Repeat("]", 20)},
	} {
		t.Run(c.keyword, func(t *testing.T) {
			schema, err := CompileSchema([]byte(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tooCostly, schema.violation([]byte(c.value))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestASchemaThatCostsTooMuchForAnything(t *testing.T) {
	const costly = "compiling the schema: validating %s takes more than 10000 steps; use fewer alternatives, references and listed values, and no circle of references"
	for _, c := range []struct{ name, schema, want string }{
		{"references that double", `{"$ref": "#/$defs/0", "$defs": ` + doubling + `}`, fmt.Sprintf(costly, "None")},
		{"the same for objects", `{"type": "object", "$ref": "#/$defs/0", "$defs": ` + doubling + `}`, fmt.Sprintf(costly, "{}")},
		{"the same for numbers", `{"type": "integer", "not": {"$ref": "#/$defs/0"}, "$defs": ` + doubling + `}`, fmt.Sprintf(costly, "0")},
		{"a circle", `{"anyOf": [{"type": "string"}, {"$ref": "#"}]}`, fmt.Sprintf(costly, "None")},
		{"a draft's schema that refers dynamically", `{"$ref": "https://json-schema.org/draft/2020-12/meta/applicator#/properties/not"}`, "compiling the schema: " + dynamic},
	} {
		_, err := CompileSchema([]byte(c.schema))
		if err == nil {
			t.Errorf("%s: compiles", c.name)
		} else if diff := cmp.Diff(c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// FuzzSchema finds that a value within the limits gets the verdict of the validator without them, and that the validator does
// not evaluate more subschemas than were counted.
func FuzzSchema(f *testing.F) {
	for _, schema := range []string{tree, `{"$ref": "http://json-schema.org/draft-07/schema#"}`, `{"not": {"type": "object"}}`} {
		f.Add([]byte(schema), []byte(nothing))
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		if scan(value) == nil {
			compareWithValidator(t, schema, value)
		}
	})
}

func TestRandomSchemasAreValidatedAlike(t *testing.T) {
	const schemas = 3_000
	compared := 0
	for seed := range uint64(schemas) {
		g := newGenerator(seed)
		schema, value := g.document(), g.value(4)
		if compareWithValidator(t, []byte(schema), []byte(value)) {
			compared++
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s\n%s", seed, schema, value)
		}
	}
	if compared < schemas/2 {
		t.Errorf("only %d of %d were compared", compared, schemas)
	}
}

// compareWithValidator reports whether a schema and a value were within the limits.
func compareWithValidator(t *testing.T, document, text []byte) bool {
	schema, err := CompileSchema(document)
	if err != nil {
		return false
	}
	value, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := countSteps(schema.compiled, value, mostSteps)
	if err != nil || checkNumbers(value) != nil {
		return false
	}
	plain := plainSchema(t, document)
	valid := plain.Validate(value) == nil
	if got := schema.Validate(value) == nil; got != valid {
		t.Errorf("valid is %t, want %t", got, valid)
	}
	if got := schema.opposite.Validate(value) != nil; got != valid {
		t.Errorf("valid is %t in few words, want %t", got, valid)
	}
	evaluations := 0
	countEvaluations(reflect.ValueOf(plain), map[*jsonschema.Schema]bool{}, &evaluations)
	if again := plain.Validate(value) == nil; again != valid {
		t.Errorf("valid is %t when counting, want %t", again, valid)
	}
	if evaluations > steps {
		t.Errorf("%d evaluations, and only %d steps were counted", evaluations, steps)
	}
	return true
}

// plainSchema compiles a schema without limits.
func plainSchema(t *testing.T, document []byte) *jsonschema.Schema {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(schemaURL, parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// countEvaluations makes all schemas within a value count when they are evaluated, by their formats. It finds them by their
// type, and so also those of keywords that the meter would not know.
func countEvaluations(v reflect.Value, seen map[*jsonschema.Schema]bool, count *int) {
	switch v.Kind() {
	case reflect.Interface:
		countEvaluations(v.Elem(), seen, count)
	case reflect.Slice:
		for i := range v.Len() {
			countEvaluations(v.Index(i), seen, count)
		}
	case reflect.Map:
		for entries := v.MapRange(); entries.Next(); {
			countEvaluations(entries.Value(), seen, count)
		}
	case reflect.Pointer:
		if s, ok := v.Interface().(*jsonschema.Schema); ok && s != nil && !seen[s] {
			seen[s] = true
			for i := range v.Elem().NumField() {
				if v.Elem().Type().Field(i).IsExported() {
					countEvaluations(v.Elem().Field(i), seen, count)
				}
			}
			countBy(s, count)
		}
	}
}

// countBy makes a schema count when its format is asked.
func countBy(s *jsonschema.Schema, count *int) {
	format := jsonschema.Format{Validate: func(any) error { return nil }}
	if s.Format != nil {
		format = *s.Format
	}
	s.Format = &jsonschema.Format{Name: format.Name, Validate: func(v any) error {
		*count++
		return format.Validate(v)
	}}
}
