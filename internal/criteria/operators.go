package criteria

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// operator makes tests.
type operator struct {
	names   []string
	meaning string
	compile func(operand) (test, error)

	patternless bool // the pattern is ignored and may be left out
	takesNull   bool // compile is called for a pattern that a template rendered to null, which else never holds
	conditional bool // it needs a condition
}

// operand is what an operator compares with.
type operand struct {
	pattern   any    // decoded
	condition string // of a search
	compiler  compiler
}

// OperatorDoc describes an operator.
type OperatorDoc struct {
	// Names are its names, the usual one first.
	Names []string
	// Meaning says when it holds, as half a sentence.
	Meaning string
}

// table returns the operators.
func table() []operator {
	return []operator{
		{names: []string{"equals", "eq"}, compile: equals,
			meaning: "the value equals the pattern: 1 and 1.0 and true are equal, 1 and \"1\" are not"},
		{names: []string{"nequals", "neq"}, compile: not(equals), takesNull: true,
			meaning: "equals does not hold; so for a missing value too"},
		{names: []string{"iequals", "ieq"}, compile: compareTexts(sameText, lower),
			meaning: "both are the same text but for case"},
		{names: []string{"contains"}, compile: contains,
			meaning: "the pattern is a part of the text, an element of the list or a name in the object"},
		{names: []string{"icontains"}, compile: compareTexts(strings.Contains, lower),
			meaning: "the pattern is a part of the text but for case"},
		{names: []string{"ncontains"}, compile: not(contains),
			meaning: "contains does not hold"},
		{names: []string{"incontains"}, compile: not(compareTexts(strings.Contains, lower)),
			meaning: "icontains does not hold"},
		{names: []string{"startswith"}, compile: compareTexts(strings.HasPrefix, asIs),
			meaning: "the text begins with the pattern"},
		{names: []string{"istartswith"}, compile: compareTexts(strings.HasPrefix, lower),
			meaning: "the text begins with the pattern but for case"},
		{names: []string{"endswith"}, compile: compareTexts(strings.HasSuffix, asIs),
			meaning: "the text ends with the pattern"},
		{names: []string{"iendswith"}, compile: compareTexts(strings.HasSuffix, lower),
			meaning: "the text ends with the pattern but for case"},
		{names: []string{"lessthan", "lt"}, compile: ordered(func(order int) bool { return order < 0 }),
			meaning: "the value is less than the pattern: numbers, texts or lists"},
		{names: []string{"greaterthan", "gt"}, compile: ordered(func(order int) bool { return order > 0 }),
			meaning: "the value is greater than the pattern"},
		{names: []string{"regex"}, compile: matches(flags{}, anywhere),
			meaning: "the regular expression matches somewhere in the text"},
		{names: []string{"iregex"}, compile: matches(flags{ignoreCase: true}, anywhere),
			meaning: "the same but for case"},
		{names: []string{"matchregex"}, compile: matches(flags{dotAll: true}, atStart),
			meaning: "the regular expression matches at the start of the text, with . for newlines too; deprecated"},
		{names: []string{"matchwildcard"}, compile: matchesWildcard,
			meaning: "the whole text matches the pattern, where * stands for any text, ? for a character, [a-z] and [!a-z] for a set"},
		{names: []string{"timediff_lt", "td_lt"}, compile: timeDifference(func(age, pattern float64) bool { return age < pattern }),
			meaning: "the time was less than so many seconds ago"},
		{names: []string{"timediff_gt", "td_gt"}, compile: timeDifference(func(age, pattern float64) bool { return age > pattern }),
			meaning: "the time was more than so many seconds ago"},
		{names: []string{"exists"}, compile: exists, patternless: true, takesNull: true,
			meaning: "there is a value, and it is not null"},
		{names: []string{"nexists"}, compile: not(exists), patternless: true, takesNull: true,
			meaning: "exists does not hold"},
		{names: []string{"inside", "in"}, compile: inside,
			meaning: "the value is an element of the list, a part of the text or a name in the object that is the pattern"},
		{names: []string{"ninside", "nin"}, compile: not(inside),
			meaning: "inside does not hold"},
		{names: []string{"search"}, compile: search, takesNull: true, conditional: true,
			meaning: "items of the list meet the criteria that are the pattern, as many as the condition says"},
	}
}

// Describe returns the operators, for documentation.
func Describe() []OperatorDoc {
	var docs []OperatorDoc
	for _, o := range table() {
		docs = append(docs, OperatorDoc{Names: o.names, Meaning: o.meaning})
	}
	return docs
}

// Operators returns the names of all operators, sorted.
func Operators() []string {
	var names []string
	for _, o := range table() {
		names = append(names, o.names...)
	}
	slices.Sort(names)
	return names
}

// operatorNamed returns the operator with a name.
func operatorNamed(name string) (operator, bool) {
	for _, o := range table() {
		if slices.Contains(o.names, name) {
			return o, true
		}
	}
	return operator{}, false
}

// checkCondition reports what is wrong with a condition that is given for the operator.
func (o operator) checkCondition(condition string) error {
	switch {
	case o.conditional:
		_, err := quantityOf(condition)
		return err
	case condition != "":
		return fmt.Errorf("operator %s has none; leave it out", o.names[0])
	default:
		return nil
	}
}

// not returns what compiles an operator that holds when another does not.
func not(compile func(operand) (test, error)) func(operand) (test, error) {
	return func(o operand) (test, error) {
		inner, err := compile(o)
		if err != nil {
			return nil, err
		}
		return func(env *environment, v value) (bool, error) {
			held, err := inner(env, v)
			return !held, err
		}, nil
	}
}

func exists(operand) (test, error) {
	return func(_ *environment, v value) (bool, error) { return v.kind() != kindNothing, nil }, nil
}

func equals(o operand) (test, error) {
	if pattern, is := o.pattern.(string); is {
		return func(_ *environment, v value) (bool, error) {
			text, isString := v.Text()
			return isString && text == pattern, nil
		}, nil
	}
	return func(_ *environment, v value) (bool, error) {
		decoded, err := v.decode()
		return err == nil && equal(decoded, o.pattern), err
	}, nil
}

// ordered compiles an operator that compares two values by their order.
func ordered(holds func(order int) bool) func(operand) (test, error) {
	return func(o operand) (test, error) {
		if _, is := o.pattern.(map[string]any); is {
			return nil, errors.New("a number, a string or a list is needed: objects have no order")
		}
		return func(_ *environment, v value) (bool, error) {
			decoded, err := v.decode()
			if err != nil {
				return false, err
			}
			order, err := compare(decoded, o.pattern)
			return err == nil && holds(order), err
		}, nil
	}
}

// contains is Python's "pattern in value".
func contains(o operand) (test, error) {
	isElement, err := equals(o)
	if err != nil {
		return nil, err
	}
	return func(env *environment, v value) (held bool, err error) {
		switch v.kind() {
		case kindString:
			text, _ := v.Text()
			return inText(text, o.pattern)
		case kindList:
			for element := range v.Elements() {
				if held, err = isElement(env, value{element}); held || err != nil {
					break
				}
			}
			return held, err
		case kindObject:
			return inObject(o.pattern, func(name string) bool { return v.Member(name).Exists() })
		default:
			return false, fmt.Errorf("the value is %s, which contains nothing", v.kind())
		}
	}, nil
}

// inside is Python's "value in pattern".
func inside(o operand) (test, error) {
	if k := kindOf(o.pattern); k != kindString && k != kindList && k != kindObject {
		return nil, fmt.Errorf("a list, a string or an object is needed, not %s", k)
	}
	return func(_ *environment, v value) (bool, error) {
		decoded, err := v.decode()
		if err != nil {
			return false, err
		}
		switch pattern := o.pattern.(type) {
		case string:
			return inText(pattern, decoded)
		case map[string]any:
			return inObject(decoded, func(name string) bool { _, found := pattern[name]; return found })
		case []any:
			return slices.ContainsFunc(pattern, func(element any) bool { return equal(element, decoded) }), nil
		default:
			return false, nil // not reached: the kind was checked
		}
	}, nil
}
