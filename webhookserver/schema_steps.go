package webhookserver

import (
	"encoding/json"
	"hash/maphash"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The limits of one validation. The validator has none and remembers nothing: what a schema that refers to itself says twice
// about a member doubles its work with every level of a value.
const (
	// mostSteps is how many steps a validation may take: five for each token of the largest body. A step takes up to some
	// three microseconds, and some 150 bytes until the end.
	mostSteps = 5 * mostTokens
	// mostExplained is how many steps a validation may take that says what is wrong, for which each takes some 300 bytes.
	mostExplained = mostSteps / 10
	// mostForEmpty is how many steps it may take to validate a value with nothing in it, of which larger ones take many times
	// as many.
	mostForEmpty = mostSteps / 50

	// How much of what is less than the evaluation of a subschema is a step.
	nestingPerStep      = 16   // evaluations that one is within: the validator searches them, and each has its stack
	lookupsPerStep      = 4    // members and elements that are looked at, and values that are compared
	bytesPerStep        = 1024 // bytes of a string that is compared or measured
	instructionsPerStep = 128  // instructions times bytes of a regular expression and its text
	stepsPerDivision    = 8    // multipleOf, of numbers that may have hundreds of digits
	stepsPerRegexByte   = 10   // of a text that is compiled: x{1000} has a thousand instructions
	// mostPairwise is the length up to which the validator compares all elements of a list with each other for uniqueItems.
	mostPairwise = 20
)

// meter counts the steps of a validation before it takes place, taking every alternative, so that there are never fewer.
// It mirrors the validator; a method returns false once the validation costs too much, or the cost cannot be told.
type meter struct {
	left    int
	dynamic bool // the cost cannot be told, because of a dynamic reference
}

// countSteps returns how many steps it takes at most to validate a value, or errCostly if that is more than a limit.
func countSteps(schema *jsonschema.Schema, value any, limit int) (int, error) {
	m := meter{left: limit}
	switch ok := m.evaluate(schema, value, 0); {
	case ok:
		return limit - m.left, nil
	case m.dynamic:
		return 0, errDynamic
	default:
		return 0, errCostly
	}
}

func (m *meter) pay(steps int) bool {
	m.left -= steps
	return m.left >= 0
}

// payLookups pays for a number of lookups, of which a step has several.
func (m *meter) payLookups(n int) bool {
	return m.pay((n + lookupsPerStep - 1) / lookupsPerStep)
}

// evaluate counts the evaluation of a schema, if there is one, within a number of others.
func (m *meter) evaluate(s *jsonschema.Schema, value any, nesting int) bool {
	switch {
	case s == nil:
		return true
	case s.DynamicRef != nil || s.RecursiveRef != nil:
		// Such a reference in the document itself is refused before, so this is one of the drafts' own schemas.
		m.dynamic = true
		return false
	case !m.pay(1+nesting/nestingPerStep) || !m.payLookups(length(value)): // the validator may first note all that is within
		return false
	case s.Bool != nil || excludes(s.Types, value):
		return true
	}
	nesting++
	return m.compare(s) && m.inPlace(s, value, nesting) && m.within(s, value, nesting)
}

// excludes says that the validator goes no further, because a value is of none of the types.
func excludes(types *jsonschema.Types, value any) bool {
	if types == nil {
		return false
	}
	all := *types
	switch value.(type) {
	case json.Number:
		// A number may be an integer, so it is of none only if both are missing.
		integers := *types
		integers.Add("integer")
		if integers == *types {
			return false
		}
		all.Add("number")
	case nil:
		all.Add("null")
	case bool:
		all.Add("boolean")
	case string:
		all.Add("string")
	case []any:
		all.Add("array")
	case map[string]any:
		all.Add("object")
	}
	return all != *types
}

// compare counts the comparisons with the values that a schema names.
func (m *meter) compare(s *jsonschema.Schema) bool {
	named := 0
	if s.Const != nil {
		named = weigh(*s.Const)
	}
	if s.Enum != nil {
		for _, value := range s.Enum.Values {
			named += weigh(value)
		}
	}
	return m.payLookups(named)
}

// inPlace counts the evaluations of subschemas for the same value.
func (m *meter) inPlace(s *jsonschema.Schema, value any, nesting int) bool {
	return m.all([]*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else}, value, nesting) &&
		m.all(s.AllOf, value, nesting) && m.all(s.AnyOf, value, nesting) && m.all(s.OneOf, value, nesting)
}

func (m *meter) all(schemas []*jsonschema.Schema, value any, nesting int) bool {
	for _, s := range schemas {
		if !m.evaluate(s, value, nesting) {
			return false
		}
	}
	return true
}

// within counts what concerns the inside of a value. Content keywords are not asserted, so they cost nothing.
func (m *meter) within(s *jsonschema.Schema, value any, nesting int) bool {
	switch v := value.(type) {
	case map[string]any:
		return m.dependents(s, v, nesting) && m.members(s, v, nesting)
	case []any:
		return m.elements(s, v, nesting)
	case string:
		return m.text(s, v)
	case json.Number:
		return s.MultipleOf == nil || m.pay(stepsPerDivision)
	}
	return true
}

// dependents counts what depends on which members there are.
func (m *meter) dependents(s *jsonschema.Schema, object map[string]any, nesting int) bool {
	if !m.payLookups(len(s.Required) + len(s.Dependencies) + len(s.DependentRequired) + len(s.DependentSchemas)) {
		return false
	}
	for name := range object {
		required, _ := s.Dependencies[name].([]string)
		schema, _ := s.Dependencies[name].(*jsonschema.Schema)
		if !m.payLookups(len(required)+len(s.DependentRequired[name])) ||
			!m.evaluate(schema, object, nesting) || !m.evaluate(s.DependentSchemas[name], object, nesting) {
			return false
		}
	}
	return true
}

func (m *meter) members(s *jsonschema.Schema, object map[string]any, nesting int) bool {
	for name, value := range object {
		if s.PropertyNames != nil && !m.evaluate(s.PropertyNames, name, nesting) || !m.member(s, name, value, nesting) {
			return false
		}
	}
	return true
}

func (m *meter) member(s *jsonschema.Schema, name string, value any, nesting int) bool {
	property, described := s.Properties[name]
	if !m.evaluate(property, value, nesting) || !m.payLookups(len(s.PatternProperties)) {
		return false
	}
	for pattern, schema := range s.PatternProperties {
		if !m.match(pattern, name) {
			return false
		}
		if !pattern.MatchString(name) {
			continue
		}
		described = true
		if !m.evaluate(schema, value, nesting) {
			return false
		}
	}
	if described {
		return true
	}
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	return m.evaluate(additional, value, nesting) && m.evaluate(s.UnevaluatedProperties, value, nesting)
}

func (m *meter) elements(s *jsonschema.Schema, list []any, nesting int) bool {
	if s.UniqueItems && !m.unique(list) {
		return false
	}
	prefix, rest := itemSchemas(s)
	for i, element := range list {
		schema := rest
		if i < len(prefix) {
			schema = prefix[i]
		}
		if schema == nil {
			schema = s.UnevaluatedItems
		}
		if !m.evaluate(schema, element, nesting) || !m.evaluate(s.Contains, element, nesting) {
			return false
		}
	}
	return true
}

// itemSchemas returns the schemas of the first elements of a list and that of the others, of all drafts.
func itemSchemas(s *jsonschema.Schema) (prefix []*jsonschema.Schema, rest *jsonschema.Schema) {
	switch items := s.Items.(type) {
	case *jsonschema.Schema:
		return nil, items
	case []*jsonschema.Schema:
		additional, _ := s.AdditionalItems.(*jsonschema.Schema)
		return items, additional
	}
	return s.PrefixItems, s.Items2020
}

// unique counts the comparisons of a list's elements with each other.
func (m *meter) unique(list []any) bool {
	size := weigh(list)
	if len(list) <= mostPairwise {
		return m.payLookups(size * len(list) / 2)
	}
	if !m.payLookups(size) {
		return false
	}
	// Elements that differ can have the same hash, and a sender may mean them to.
	var hash maphash.Hash
	alike := make(map[uint64]int, len(list))
	for _, element := range list {
		hash.Reset()
		writeHash(&hash, element)
		sum := hash.Sum64()
		if !m.payLookups(alike[sum] * weigh(element)) {
			return false
		}
		alike[sum]++
	}
	return true
}

// writeHash hashes a value as the validator does, so that what looks alike to the one does to the other.
func writeHash(hash *maphash.Hash, value any) {
	switch v := value.(type) {
	case map[string]any:
		_ = hash.WriteByte(0)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			writeHash(hash, name)
			writeHash(hash, v[name])
		}
	case []any:
		_ = hash.WriteByte(1)
		for _, element := range v {
			writeHash(hash, element)
		}
	case nil:
		_ = hash.WriteByte(2)
	case bool:
		_ = hash.WriteByte(3)
		truth := byte(0)
		if v {
			truth = 1
		}
		_ = hash.WriteByte(truth)
	case string:
		_ = hash.WriteByte(4)
		_, _ = hash.WriteString(v)
	case json.Number:
		_ = hash.WriteByte(5)
		if number, ok := new(big.Rat).SetString(string(v)); ok {
			_, _ = hash.Write(number.Num().Bytes())
			_, _ = hash.Write(number.Denom().Bytes())
		}
	}
}

func (m *meter) text(s *jsonschema.Schema, text string) bool {
	if s.Format != nil && s.Format.Name == "regex" && !m.pay(stepsPerRegexByte*len(text)) { // which compiles it
		return false
	}
	return m.pay(len(text)/bytesPerStep) && (s.Pattern == nil || m.match(s.Pattern, text))
}

func (m *meter) match(expression jsonschema.Regexp, text string) bool {
	compiled, ok := expression.(*pattern)
	return ok && m.pay(compiled.instructions*len(text)/instructionsPerStep)
}

// length returns how many elements or members a value has.
func length(value any) int {
	switch v := value.(type) {
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	}
	return 0
}

// weigh returns how many lookups it takes to compare a value with one that is the same.
func weigh(value any) int {
	switch v := value.(type) {
	case json.Number: // it is calculated with
		if strings.ContainsAny(string(v), "eE") {
			return stepsPerDivision * lookupsPerStep
		}
		return lookupsPerStep
	case string:
		return 1 + lookupsPerStep*len(v)/bytesPerStep
	case []any:
		size := 1
		for _, element := range v {
			size += weigh(element)
		}
		return size
	case map[string]any:
		size := 1
		for name, member := range v {
			size += weigh(name) + weigh(member)
		}
		return size
	}
	return 1
}
