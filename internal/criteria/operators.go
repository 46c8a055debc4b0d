package criteria

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// test compares a value with a pattern that was compiled before. A missing value is nil, like JSON's null.
type test func(value any) (bool, error)

// operator makes tests.
type operator struct {
	compile     func(pattern any) (test, error)
	patternless bool // the pattern is ignored and may be left out
}

// operators is the one table of operators, by name.
var operators = map[string]operator{
	"equals":   {compile: equals},
	"eq":       {compile: equals},
	"nequals":  {compile: not(equals)},
	"neq":      {compile: not(equals)},
	"exists":   {compile: exists, patternless: true},
	"nexists":  {compile: not(exists), patternless: true},
	"contains": {compile: contains},
	"regex":    {compile: matches},
}

// Operators returns the names of all operators, sorted.
func Operators() []string { return slices.Sorted(maps.Keys(operators)) }

func equals(pattern any) (test, error) {
	return func(value any) (bool, error) { return equal(value, pattern), nil }, nil
}

func exists(any) (test, error) {
	return func(value any) (bool, error) { return value != nil, nil }, nil
}

// not returns the operator that holds when another does not.
func not(compile func(any) (test, error)) func(any) (test, error) {
	return func(pattern any) (test, error) {
		inner, err := compile(pattern)
		if err != nil {
			return nil, err
		}
		return func(value any) (bool, error) {
			held, err := inner(value)
			return !held, err
		}, nil
	}
}

// contains is Python's "pattern in value": a substring of a string, a member of a list, a key of an object.
func contains(pattern any) (test, error) {
	return func(value any) (bool, error) {
		switch v := value.(type) {
		case string:
			part, ok := pattern.(string)
			if !ok {
				return false, fmt.Errorf("a string contains strings only, not %s", kind(pattern))
			}
			return strings.Contains(v, part), nil
		case []any:
			return slices.ContainsFunc(v, func(member any) bool { return equal(member, pattern) }), nil
		case map[string]any:
			key, ok := pattern.(string)
			_, found := v[key]
			return ok && found, nil
		default:
			return false, fmt.Errorf("the value is %s, which contains nothing", kind(value))
		}
	}, nil
}

func matches(pattern any) (test, error) {
	text, ok := pattern.(string)
	if !ok {
		return nil, fmt.Errorf("a regular expression is a string, not %s", kind(pattern))
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("not a regular expression of RE2, which has no look-around and no back-references: %w", err)
	}
	return func(value any) (bool, error) {
		subject, ok := value.(string)
		if !ok {
			return false, fmt.Errorf("a regular expression needs a string, and the value is %s", kind(value))
		}
		return expression.MatchString(subject), nil
	}, nil
}

// errNotNumber is what number returns for what Python does not count as one.
var errNotNumber = errors.New("not a number")

// equal is Python's ==: numbers by value, true as 1, false as 0, lists and objects member by member. Unlike there, null
// equals nothing, because a missing value is null too.
func equal(a, b any) bool {
	if a == nil || b == nil {
		return false
	}
	switch left := a.(type) {
	case string:
		right, ok := b.(string)
		return ok && left == right
	case []any:
		right, ok := b.([]any)
		return ok && slices.EqualFunc(left, right, same)
	case map[string]any:
		right, ok := b.(map[string]any)
		return ok && maps.EqualFunc(left, right, same)
	}
	left, err := number(a)
	if err != nil {
		return false
	}
	right, err := number(b)
	return err == nil && left.Cmp(right) == 0
}

// same is equal inside lists and objects, where null is a value like others.
func same(a, b any) bool { return a == nil && b == nil || equal(a, b) }

// number returns the value of a number or boolean.
func number(value any) (*big.Rat, error) {
	switch v := value.(type) {
	case bool:
		if v {
			return big.NewRat(1, 1), nil
		}
		return new(big.Rat), nil
	case json.Number:
		return parseNumber(string(v))
	default:
		return nil, errNotNumber
	}
}

// maxNumberLength and maxExponent bound the work that one number of a payload can cause.
const (
	maxNumberLength = 400
	maxExponent     = 400
)

func parseNumber(text string) (*big.Rat, error) {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(text), "e")
	if len(mantissa) > maxNumberLength {
		return nil, errNotNumber
	}
	if scientific {
		var e int
		if _, err := fmt.Sscanf(exponent, "%d", &e); err != nil || e > maxExponent || e < -maxExponent {
			return nil, errNotNumber
		}
	}
	if parsed, ok := new(big.Rat).SetString(text); ok {
		return parsed, nil
	}
	return nil, errNotNumber
}

// kind names the JSON type of a value.
func kind(value any) string {
	switch value.(type) {
	case nil:
		return "missing or null"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}
