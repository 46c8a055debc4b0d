package criteria

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// compareTexts returns what compiles an operator that compares two texts, which are transformed first.
func compareTexts(holds func(text, pattern string) bool, transform func(string) string) func(operand) (test, error) {
	return func(o operand) (test, error) {
		pattern, is := o.pattern.(string)
		if !is {
			return nil, errNotText(o.pattern)
		}
		pattern = transform(pattern)
		return func(_ *environment, v value) (bool, error) {
			text, err := textValue(v)
			return err == nil && holds(transform(text), pattern), err
		}, nil
	}
}

// errNotText is the error for a pattern that is no string but must be one.
func errNotText(pattern any) error {
	return fmt.Errorf("a string is needed, not %s", kindOf(pattern))
}

// textValue returns the string that a value is, or an error.
func textValue(v value) (string, error) {
	text, is := v.Text()
	if !is {
		return "", fmt.Errorf("the operator needs a string, and the value is %s", v.kind())
	}
	return text, nil
}

func sameText(text, pattern string) bool { return text == pattern }

func asIs(text string) string { return text }

// lower is Python's str.lower: Unicode's full mapping, with the Greek sigma that ends a word.
func lower(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	// A Caser has state, so that each use needs its own.
	return cases.Lower(language.Und).String(text)
}

// inText is Python's in for a string.
func inText(text string, part any) (bool, error) {
	wanted, is := part.(string)
	if !is {
		return false, fmt.Errorf("a string contains strings only, not what is %s", kindOf(part))
	}
	return strings.Contains(text, wanted), nil
}

// inObject is Python's in for a dictionary.
func inObject(name any, has func(name string) bool) (bool, error) {
	switch wanted := name.(type) {
	case string:
		return has(wanted), nil
	case []any, map[string]any:
		return false, errors.New("lists and objects are no names of an object's members")
	default:
		return false, nil
	}
}
