package webhookserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

const (
	// schemaURL is where the compiler believes the document to be.
	schemaURL = "schema:///"
	// largestExponent bounds numbers where they are calculated with; every float64 has a smaller one.
	largestExponent = 400
	// longestRepr is how many bytes of a value a message repeats.
	longestRepr = 100
	// longestText is how many bytes a message has: it may name all listed values, or all elements that are too many.
	longestText = 1024
)

// Schema is a compiled JSON Schema, and bounds what it costs to validate a value. It is immutable and safe for concurrent use.
type Schema struct {
	compiled *jsonschema.Schema
	opposite *jsonschema.Schema // takes what compiled does not; within a "not" the validator does not say what is wrong
}

// What is said of a value that costs too much; whoever wrote the schema reads it where it is recorded, too.
var (
	errCostly = fmt.Errorf(
		"too costly to validate: more than %d steps; post less at once, or describe it in payloadSchema with fewer alternatives", mostSteps)
	errUnexplained = fmt.Errorf("violates its schema; where is not said, because that takes more than %d steps", mostExplained)
)

// closedLoader loads nothing: a schema that a tenant wrote must not read files or call addresses.
type closedLoader struct{}

// Load implements jsonschema.URLLoader.
func (closedLoader) Load(string) (any, error) {
	return nil, errors.New("references to other documents are not followed")
}

// CompileSchema compiles a JSON Schema, of draft 2020-12 unless it says otherwise. It refuses one that costs too much to
// compile, or to validate a value with nothing in it.
func CompileSchema(document []byte) (*Schema, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("parsing the schema: %w", err)
	}
	if err := checkNumbers(parsed); err != nil {
		return nil, fmt.Errorf("parsing the schema: %w", err)
	}
	if err := new(documentSize).add(parsed, 0); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseRegexpEngine(patternEngine)
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(closedLoader{})
	if err := compiler.AddResource(schemaURL, parsed); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	compiled, err := compiler.Compile(schemaURL)
	var wrong *jsonschema.SchemaValidationError
	if errors.As(err, &wrong) {
		// The document violates the schema of schemas, which is said as for every other document.
		err = explain(wrong.Err, parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	if err := checkEmpty(compiled); err != nil {
		return nil, fmt.Errorf("compiling the schema: %w", err)
	}
	return &Schema{compiled: compiled, opposite: &jsonschema.Schema{Not: compiled}}, nil
}

// checkEmpty refuses a schema whose subschemas multiply, or refer to each other in a circle, before they descend into a value.
func checkEmpty(compiled *jsonschema.Schema) error {
	for _, value := range []any{nil, false, json.Number("0"), "", []any{}, map[string]any{}} {
		_, err := countSteps(compiled, value, mostForEmpty)
		switch {
		case errors.Is(err, errCostly):
			return fmt.Errorf("validating %s takes more than %d steps; use fewer alternatives, references and listed values, and no circle of references",
				repr(value), mostForEmpty)
		case err != nil:
			return err
		}
	}
	return nil
}

// Validate says how a value violates the schema, beginning with its JSON pointer unless it is the whole value. Numbers of
// the value are json.Number. Of several violations it names the first by pointer. It refuses a value that would take too
// many steps to validate; of one that takes many it says only that it violates the schema.
func (s *Schema) Validate(value any) error {
	if err := checkNumbers(value); err != nil {
		return err
	}
	steps, err := countSteps(s.compiled, value, mostSteps)
	switch {
	case err != nil:
		return err
	case steps <= mostExplained:
		return explain(s.compiled.Validate(value), value)
	case s.opposite.Validate(value) == nil:
		return errUnexplained
	}
	return nil
}

// explain words what a validator found in a document.
func explain(err error, document any) error {
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	cause := firstCause(invalid)
	text := describe(cause, document)
	if at := pointer(cause.InstanceLocation); at != "" {
		text = at + ": " + text
	}
	return errors.New(cut(text, longestText))
}

// violation is Validate for a JSON text, "" where there is none; no text is null. A nil schema takes everything.
func (s *Schema) violation(document []byte) string {
	if s == nil {
		return ""
	}
	var value any
	if len(document) > 0 {
		var err error
		if value, err = parse(document); err != nil {
			return err.Error()
		}
	}
	if err := s.Validate(value); err != nil {
		return err.Error()
	}
	return ""
}

// checkNumbers refuses numbers that would become millions of digits when something is calculated with them.
func checkNumbers(value any) error {
	switch v := value.(type) {
	case json.Number:
		if !inRange(string(v)) {
			return fmt.Errorf("number %s is out of range", cut(string(v), longestRepr))
		}
	case []any:
		for _, element := range v {
			if err := checkNumbers(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, member := range v {
			if err := checkNumbers(member); err != nil {
				return err
			}
		}
	}
	return nil
}

// inRange says that a number can be calculated with.
func inRange(number string) bool {
	if len(number) > longestNumber {
		return false
	}
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[at+1:])
	return err == nil && -largestExponent <= exponent && exponent <= largestExponent
}

// firstCause descends to the violation that a person would name: through what only groups others, not into alternatives.
func firstCause(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
	default:
		return e
	}
	if len(e.Causes) == 0 {
		return e
	}
	causes := make([]*jsonschema.ValidationError, len(e.Causes))
	for i, cause := range e.Causes {
		causes[i] = firstCause(cause)
	}
	// The validator walks maps, so the order of the causes is chance.
	return slices.MinFunc(causes, func(a, b *jsonschema.ValidationError) int {
		return cmp.Or(slices.Compare(a.InstanceLocation, b.InstanceLocation),
			slices.Compare(a.ErrorKind.KeywordPath(), b.ErrorKind.KeywordPath()))
	})
}

// describe words a violation as StackStorm's validator does, where that has words of its own.
func describe(e *jsonschema.ValidationError, root any) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		return repr(resolve(root, e.InstanceLocation)) + " is not of type " + reprs(k.Want)
	case *kind.Enum:
		return repr(k.Got) + " is not one of [" + reprs(k.Want) + "]"
	case *kind.Required:
		return repr(k.Missing[0]) + " is a required property"
	case *kind.AdditionalProperties:
		slices.Sort(k.Properties)
		verb := "was"
		if len(k.Properties) > 1 {
			verb = "were"
		}
		return fmt.Sprintf("Additional properties are not allowed (%s %s unexpected)", reprs(k.Properties), verb)
	case *kind.AnyOf, *kind.OneOf:
		return repr(resolve(root, e.InstanceLocation)) + " is not valid under any of the given schemas"
	case *kind.Pattern:
		return repr(k.Got) + " does not match pattern " + repr(k.Want)
	case *kind.Format:
		return fmt.Sprintf("%s is not valid %s: %v", repr(k.Got), k.Want, k.Err)
	default:
		return k.LocalizedString(message.NewPrinter(language.English))
	}
}

// resolve returns what is at a location of a value; the location exists.
func resolve(value any, location []string) any {
	for _, token := range location {
		switch v := value.(type) {
		case map[string]any:
			value = v[token]
		case []any:
			index, err := strconv.Atoi(token)
			if err != nil || index >= len(v) {
				return nil
			}
			value = v[index]
		}
	}
	return value
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer writes a location as a JSON pointer (RFC 6901).
func pointer(location []string) string {
	var text strings.Builder
	for _, token := range location {
		text.WriteByte('/')
		text.WriteString(pointerEscapes.Replace(token))
	}
	return text.String()
}

// repr shows a value as StackStorm's messages do, and not too much of it.
func repr(value any) string {
	switch v := value.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return "'" + cut(v, longestRepr) + "'"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return "the value"
	}
	return cut(string(text), longestRepr)
}

func reprs[T any](values []T) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = repr(value)
	}
	return strings.Join(texts, ", ")
}
