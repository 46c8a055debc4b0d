package criteria

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// quantity is how many must hold for a search to hold.
type quantity struct {
	everyItem      bool // every item, or else one
	everyCriterion bool // every criterion for such an item, or else one
}

// conditions are the conditions of a search.
var conditions = map[string]quantity{
	"any":     {everyItem: false, everyCriterion: true},
	"all":     {everyItem: true, everyCriterion: true},
	"any2any": {everyItem: false, everyCriterion: false},
	"all2any": {everyItem: true, everyCriterion: false},
}

// maxSearches bounds how deep searches nest.
const maxSearches = 8

// search compiles the operator that looks for items of a list that meet criteria of their own.
func search(o operand) (test, error) {
	needed, err := quantityOf(o.condition)
	if err != nil {
		return nil, err
	}
	if o.compiler.depth == maxSearches {
		return nil, fmt.Errorf("searches nest more than %d deep", maxSearches)
	}
	if o.pattern == nil {
		// As in StackStorm, criteria are missed only where there is an item to meet them.
		return searchWithout(needed), nil
	}
	children, err := o.compiler.children(o.pattern)
	if err != nil {
		return nil, err
	}
	return func(env *environment, v value) (bool, error) {
		return eachItem(v, needed.everyItem, func(item value) (bool, error) {
			return needed.met(env, item, children)
		})
	}, nil
}

// quantityOf returns the quantity that a condition names.
func quantityOf(condition string) (quantity, error) {
	needed, known := conditions[condition]
	if !known {
		names := strings.Join(slices.Sorted(maps.Keys(conditions)), ", ")
		return quantity{}, fmt.Errorf("operator search needs one of %s, not %q", names, condition)
	}
	return needed, nil
}

// searchWithout returns the test for criteria that a template rendered to null.
func searchWithout(needed quantity) test {
	return func(_ *environment, v value) (bool, error) {
		return eachItem(v, needed.everyItem, func(value) (bool, error) {
			return false, errors.New("the pattern is null; a search needs a map of criteria")
		})
	}
}

// children compiles the criteria that are the pattern of a search.
func (c compiler) children(pattern any) ([]criterion, error) {
	members, is := pattern.(map[string]any)
	if !is {
		return nil, fmt.Errorf("a map of criteria is needed, such as {item.name: {type: …, pattern: …}}, not %s", kindOf(pattern))
	}
	definitions := make(map[string]Criterion, len(members))
	for key, member := range members {
		definition, err := toCriterion(member)
		if err != nil {
			return nil, fmt.Errorf("[%q]: %w", key, err)
		}
		definitions[key] = definition
	}
	return compiler{variables: expression.ItemVariables, depth: c.depth + 1}.all("", definitions)
}

// toCriterion returns the criterion that a decoded value is. Members that it does not have are ignored.
func toCriterion(decoded any) (Criterion, error) {
	text, err := json.Marshal(decoded)
	if err != nil {
		return Criterion{}, fmt.Errorf("encoding the criterion: %w", err)
	}
	var read struct {
		Type      string          `json:"type"`
		Pattern   json.RawMessage `json:"pattern"`
		Condition string          `json:"condition"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return Criterion{}, errors.New("a criterion is an object with the strings type and condition, and a pattern")
	}
	return Criterion{Type: read.Type, Pattern: read.Pattern, Condition: read.Condition}, nil
}

// met reports whether an item meets enough criteria. As in StackStorm, one that cannot be evaluated is not met.
func (q quantity) met(env *environment, item value, criteria []criterion) (bool, error) {
	inner, err := forItem(env, item, criteria)
	if err != nil {
		return false, err
	}
	for i := range criteria {
		found, err := criteria[i].evaluate(inner, source{name: sourceItem, value: item})
		if held := err == nil && found.held; held != q.everyCriterion {
			return held, nil
		}
	}
	return q.everyCriterion, nil
}

// forItem returns the environment in which the criteria of an item are evaluated. Only templates need one of their own.
func forItem(env *environment, item value, criteria []criterion) (*environment, error) {
	if err := env.ctx.Err(); err != nil {
		return nil, fmt.Errorf("searching: %w", err)
	}
	if !slices.ContainsFunc(criteria, func(c criterion) bool { return c.template != nil }) {
		return env, nil
	}
	scope := *env.scope
	scope.Item = item.Value
	return &environment{ctx: env.ctx, scope: &scope, now: env.now}, nil
}

// eachItem reports whether every item of a value is met, or else one. The items are the elements of a list or the characters
// of a string; an object is one item.
func eachItem(v value, every bool, met func(item value) (bool, error)) (held bool, err error) {
	held = every
	visit := func(item value) bool {
		held, err = met(item)
		return err == nil && held == every
	}
	switch v.kind() {
	case kindList:
		for element := range v.Elements() {
			if !visit(value{element}) {
				break
			}
		}
	case kindObject:
		visit(v)
	case kindString:
		text, _ := v.Text()
		for _, r := range text {
			character, failed := quote(string(r))
			if failed != nil {
				return false, failed
			}
			if !visit(character) {
				break
			}
		}
	default:
		return false, fmt.Errorf("the value is %s, in which nothing can be searched", v.kind())
	}
	return held, err
}
