// Package criteria evaluates StackStorm's criteria: operators that compare values found in a trigger's payload with
// patterns. Criteria are compiled once and evaluated many times; what can be wrong about them is said when they are
// compiled. Evaluation is pure: it sees decoded JSON only, and a compiled Set is safe for concurrent use.
package criteria

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Criterion is one comparison as its author wrote it.
type Criterion struct {
	// Type is the operator's name.
	Type string
	// Pattern is the JSON text of what the operator compares with; nil where there is none.
	Pattern []byte
}

// Set is a compiled map of criteria, all of which must hold.
type Set struct {
	criteria []criterion
}

// criterion is one compiled comparison.
type criterion struct {
	key  string
	path path
	test test
	want string // the operator and its pattern, for messages
}

// Result says whether criteria held. When they did not, Message names the first that did not and what it saw.
type Result struct {
	Matched bool
	Reason  Reason
	Message string
}

// Reason is why criteria held or not, in one word.
type Reason string

// The reasons of a Result.
const (
	// ReasonMatched: every criterion held.
	ReasonMatched Reason = "Matched"
	// ReasonNoCriteria: there was none, so that everything matches.
	ReasonNoCriteria Reason = "NoCriteria"
	// ReasonEmptyPayload: there are criteria, and the payload is empty.
	ReasonEmptyPayload Reason = "EmptyPayload"
	// ReasonNotMet: a criterion did not hold.
	ReasonNotMet Reason = "CriterionNotMet"
)

// Compile compiles criteria, in the order of their keys. The error names every key that is wrong, with the fix.
func Compile(definitions map[string]Criterion) (*Set, error) {
	set := &Set{}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(definitions)) {
		c, err := compile(key, definitions[key])
		if err != nil {
			errs = append(errs, fmt.Errorf("criteria[%q]: %w", key, err))
			continue
		}
		set.criteria = append(set.criteria, c)
	}
	return set, errors.Join(errs...)
}

func compile(key string, definition Criterion) (criterion, error) {
	// Text after # only makes the key unique.
	text, _, _ := strings.Cut(key, "#")
	parsed, err := parsePath(text)
	if err != nil {
		return criterion{}, err
	}
	operator, known := operators[definition.Type]
	if !known {
		return criterion{}, fmt.Errorf("type: unknown operator %q; use one of %s", definition.Type, strings.Join(Operators(), ", "))
	}
	pattern, err := decodePattern(definition.Pattern)
	if err != nil {
		return criterion{}, err
	}
	if pattern == nil && !operator.patternless {
		return criterion{}, fmt.Errorf("pattern: required and not null for operator %s", definition.Type)
	}
	test, err := operator.compile(pattern)
	if err != nil {
		return criterion{}, fmt.Errorf("pattern: %w", err)
	}
	want := definition.Type
	if !operator.patternless {
		want += " " + show(pattern)
	}
	return criterion{key: key, path: parsed, test: test, want: want}, nil
}

// decodePattern decodes a pattern's JSON text, and refuses templates, which must never be taken for plain text.
func decodePattern(document []byte) (any, error) {
	if len(document) == 0 {
		return nil, nil
	}
	pattern, err := Decode(document)
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	if text, ok := pattern.(string); ok {
		for _, mark := range []string{"{{", "{%", "{#", "${"} {
			if strings.Contains(text, mark) {
				return nil, fmt.Errorf("pattern: %q begins a template, and a pattern is a plain value here; write the value itself", mark)
			}
		}
	}
	return pattern, nil
}

// Decode decodes a JSON text for evaluation: numbers stay exact as json.Number.
func Decode(document []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decoding JSON: %w", err)
	}
	return value, nil
}

// Empty reports whether the set has no criteria, so that it holds for every payload.
func (s *Set) Empty() bool { return len(s.criteria) == 0 }

// Evaluate reports whether all criteria hold for a trigger's payload, as Decode returned it. Not holding is a Result; an
// error means that a criterion could not be evaluated, such as a regex over a number.
func (s *Set) Evaluate(payload any) (Result, error) {
	if s.Empty() {
		return Result{Matched: true, Reason: ReasonNoCriteria}, nil
	}
	if isEmpty(payload) {
		return Result{Reason: ReasonEmptyPayload, Message: "the payload is empty, and criteria never match an empty payload"}, nil
	}
	for i := range s.criteria {
		c := &s.criteria[i]
		value, found := c.path.find(payload)
		held, err := c.test(value)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %s: %w", c.key, c.want, err)
		}
		if !held {
			return Result{Reason: ReasonNotMet, Message: fmt.Sprintf("%s: %s: saw %s", c.key, c.want, seen(value, found))}, nil
		}
	}
	return Result{Matched: true, Reason: ReasonMatched}, nil
}

// isEmpty reports whether a payload is what Python calls false: nothing, or an empty object.
func isEmpty(payload any) bool {
	switch p := payload.(type) {
	case nil:
		return true
	case map[string]any:
		return len(p) == 0
	default:
		return false
	}
}

func seen(value any, found bool) string {
	if !found {
		return "nothing"
	}
	return show(value)
}

// maxShown bounds the text of a value in a message, in bytes.
const maxShown = 120

// show renders a value for a message: as JSON, cut to maxShown.
func show(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%T", value)
	}
	if len(text) > maxShown {
		return strings.ToValidUTF8(string(text[:maxShown]), "") + "…"
	}
	return string(text)
}
