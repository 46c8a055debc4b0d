package webhookserver

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random schemas, of one draft, and values that they may or may not take.
type generator struct {
	*rand.Rand
	draft int
}

var drafts = []string{
	"http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#",
	"https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, seed))}
	g.draft = g.IntN(len(drafts))
	return g
}

func (g *generator) pick(choices ...string) string { return choices[g.IntN(len(choices))] }

func (g *generator) name() string { return g.pick("a", "b", "c", "xx") }

// list writes 1 to 3 texts.
func (g *generator) list(one func() string) string {
	texts := make([]string, 1+g.IntN(3))
	for i := range texts {
		texts[i] = one()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// object writes an object of up to 3 members.
func (g *generator) object(member func() string) string {
	members := map[string]string{}
	for range g.IntN(4) {
		members[g.name()] = member()
	}
	texts := make([]string, 0, len(members))
	for _, name := range []string{"a", "b", "c", "xx"} {
		if text, ok := members[name]; ok {
			texts = append(texts, fmt.Sprintf("%q: %s", name, text))
		}
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

func (g *generator) value(depth int) string {
	within := func() string { return g.value(depth - 1) }
	if depth > 0 && g.IntN(3) > 0 {
		if g.IntN(2) == 0 {
			return g.object(within)
		}
		return g.list(within)
	}
	return g.pick("null", "true", "0", "1.5", "3", "-7", `""`, `"a"`, `"xxx"`)
}

func (g *generator) document() string {
	return fmt.Sprintf(`{"$schema": %q, "$defs": {"a": %s, "b": %s}, %s}`,
		drafts[g.draft], g.schema(2), g.schema(2), g.keywords(3))
}

func (g *generator) schema(depth int) string {
	if g.IntN(8) == 0 {
		return g.pick("true", "true", "false", "{}")
	}
	return "{" + g.keywords(depth) + "}"
}

// keywords writes one to three different keywords.
func (g *generator) keywords(depth int) string {
	members := map[string]bool{}
	var texts []string
	for range 1 + g.IntN(3) {
		text := g.keyword(depth)
		if name, _, _ := strings.Cut(text, ":"); !members[name] {
			members[name] = true
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

func (g *generator) keyword(depth int) string {
	if depth == 0 || g.IntN(3) == 0 {
		return g.assertion()
	}
	within := func() string { return g.schema(depth - 1) }
	name := g.pick("not", "if", "then", "else", "contains", "propertyNames", "additionalProperties", "items", "additionalItems",
		"unevaluatedItems", "unevaluatedProperties", "allOf", "anyOf", "oneOf", "prefixItems",
		"properties", "patternProperties", "dependentSchemas", "dependencies")
	text := within()
	switch name {
	case "allOf", "anyOf", "oneOf", "prefixItems":
		text = g.list(within)
	case "properties", "patternProperties", "dependentSchemas", "dependencies":
		text = g.object(within)
	case "items":
		if g.draft < len(drafts)-1 && g.IntN(2) == 0 {
			text = g.list(within)
		}
	}
	return fmt.Sprintf("%q: %s", name, text)
}

func (g *generator) assertion() string {
	return g.pick(
		fmt.Sprintf(`"type": %q`, g.pick("object", "array", "string", "number", "integer", "null", "boolean")),
		`"type": ["object", "array"]`, `"type": ["object", "array", "string", "number"]`,
		fmt.Sprintf(`"$ref": %q`, g.pick("#", "#/$defs/a", "#/$defs/b")),
		fmt.Sprintf(`"required": [%q]`, g.name()),
		fmt.Sprintf(`"dependentRequired": {%q: [%q]}`, g.name(), g.name()),
		fmt.Sprintf(`"const": %s`, g.value(1)),
		fmt.Sprintf(`"enum": [%s, 1, "a"]`, g.value(1)),
		`"uniqueItems": true`, `"minimum": 1`, `"multipleOf": 1.5`, `"maxLength": 1`, `"pattern": "^x"`, `"format": "regex"`,
		`"minItems": 2`, `"maxProperties": 2`, `"minContains": 2`, `"maxContains": 1`, `"additionalItems": false`,
	)
}
