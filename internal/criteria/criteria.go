// Package criteria evaluates StackStorm's criteria: operators that compare values found in a trigger's payload with
// patterns. Criteria are compiled once and evaluated many times; what can be wrong about them is said when they are
// compiled. Evaluation reads the payload's JSON text where it stands, has no effects, and is safe for concurrent use.
package criteria

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hookstorm/hookstorm/internal/expression"
)

// Criterion is one comparison as its author wrote it.
type Criterion struct {
	// Type is the operator's name.
	Type string
	// Pattern is the JSON text of what the operator compares with; nil where there is none.
	Pattern []byte
	// Condition says how many items and criteria must hold; for the operator search only.
	Condition string
}

// Set is a compiled map of criteria, all of which must hold.
type Set struct {
	criteria []criterion
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

// Compile compiles criteria, in the order of their keys. The error names every key that is wrong below spec.criteria, their
// place in a Rule, with the fix.
func Compile(definitions map[string]Criterion) (*Set, error) {
	compiled, err := compiler{variables: expression.RuleVariables}.all("spec.criteria", definitions)
	return &Set{criteria: compiled}, err
}

// Empty reports whether the set has no criteria, so that it holds for every payload.
func (s *Set) Empty() bool { return len(s.criteria) == 0 }

// Evaluate reports whether all criteria hold for the payload of a scope, at a time. Not holding is a Result; an error means
// that a criterion could not be evaluated, such as a regex over a number.
func (s *Set) Evaluate(ctx context.Context, scope *expression.Scope, now time.Time) (Result, error) {
	if s.Empty() {
		return Result{Matched: true, Reason: ReasonNoCriteria}, nil
	}
	trigger, err := scope.Payload.Value()
	if err != nil {
		return Result{}, err
	}
	payload := source{name: sourceTrigger, value: value{trigger}}
	if !payload.value.truthy() {
		return Result{Reason: ReasonEmptyPayload, Message: "the payload is empty, and criteria never match an empty payload"}, nil
	}
	env := environment{ctx: ctx, scope: scope, now: now}
	for i := range s.criteria {
		c := &s.criteria[i]
		found, err := c.evaluate(&env, payload)
		if err != nil {
			return Result{}, fmt.Errorf("%s: %s: %w", showKey(c.key), found.wanted, err)
		}
		if !found.held {
			return Result{
				Reason:  ReasonNotMet,
				Message: fmt.Sprintf("%s: %s: saw %s", showKey(c.key), found.wanted, show(found.saw.JSON())),
			}, nil
		}
	}
	return Result{Matched: true, Reason: ReasonMatched}, nil
}

// environment is what one evaluation sees besides the value that it tests. It lives only as long as the evaluation, which is
// why it may hold the context.
type environment struct {
	ctx   context.Context
	scope *expression.Scope
	now   time.Time
}

// compiler compiles criteria of one level: those of a rule, or those in the pattern of a search.
type compiler struct {
	variables expression.Variables
	depth     int // how many searches are around
}

// all compiles criteria in the order of their keys; field names them in errors.
func (c compiler) all(field string, definitions map[string]Criterion) ([]criterion, error) {
	compiled := make([]criterion, 0, len(definitions))
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(definitions)) {
		one, err := c.one(key, definitions[key])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s[%q]: %w", field, key, err))
			continue
		}
		compiled = append(compiled, one)
	}
	return compiled, errors.Join(errs...)
}

func (c compiler) one(key string, definition Criterion) (criterion, error) {
	path, err := parseKey(key)
	if err != nil {
		return criterion{}, err
	}
	operator, known := operatorNamed(definition.Type)
	if !known {
		names := strings.Join(Operators(), ", ")
		return criterion{}, fmt.Errorf("type: unknown operator %q; use one of %s", definition.Type, names)
	}
	if err := operator.checkCondition(definition.Condition); err != nil {
		return criterion{}, fmt.Errorf("condition: %w", err)
	}
	compiled := criterion{
		key:      key,
		path:     path,
		operator: operator,
		operand:  operand{condition: definition.Condition, compiler: c},
		name:     strings.TrimSpace(definition.Type + " " + definition.Condition),
	}
	return compiled, compiled.setPattern(definition.Pattern)
}
