package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/hack/cluster"
	hookstorm "github.com/hookstorm/hookstorm/internal/rule"
)

// The names of the results. The first four are a Rule's evaluation, as dispatch has it: by criteria and by an expression,
// from JSON text to verdict, and for a payload that another Rule has looked at. The others are what a bare CEL program takes
// for the same expression: with the decoding of the text, and over a value that somebody has decoded.
const (
	evalCriteria       = "eval.criteria"
	evalCEL            = "eval.cel"
	evalCriteriaShared = "eval.criteria.shared"
	evalCELShared      = "eval.cel.shared"
	evalBareDecode     = "eval.bare.decode"
	evalBare           = "eval.bare"
)

const (
	// evalPayload is the payload of a custom webhook, 12 KB: GitHub's pull_request.
	evalPayload = "internal/expression/testdata/pull_request.json"
	// evalExpression makes the comparisons of evalRules' criteria.
	evalExpression = `trigger.body.action == "closed" && trigger.headers_lower["x-github-event"] == "pull_request" && ` +
		`trigger.body.pull_request.base.ref == "main"`
	// evalBatch is how many evaluations there are between two looks at the clock.
	evalBatch = 64
)

// evaluation evaluates once. An error says that it did not match.
type evaluation struct {
	name string
	run  func() error
}

var errNotMatched = errors.New("the payload was not matched")

// measureEvaluations measures each evaluation for its part of the duration.
func (b *bench) measureEvaluations() error {
	evaluations, err := newEvaluations()
	if err != nil {
		return fmt.Errorf("preparing the evaluations: %w", err)
	}
	evaluations = slices.DeleteFunc(evaluations, func(e evaluation) bool { return !b.only.MatchString(e.name) })
	for _, e := range evaluations {
		fmt.Fprintln(os.Stderr, e.name)
		each, allocations, err := e.measure(b.duration / time.Duration(len(evaluations)))
		if err != nil {
			return fmt.Errorf("measuring %s: %w", e.name, err)
		}
		b.results.add(e.name, unitNanoseconds, each)
		b.results.add(e.name+".allocs", unitAllocations, allocations)
	}
	return nil
}

// measure evaluates for a duration, and returns the nanoseconds and the allocations of one evaluation.
func (e evaluation) measure(d time.Duration) (each, allocations float64, err error) {
	runtime.GC() // what others left is not this one's to collect
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, start := 0, time.Now()
	for n == 0 || time.Since(start) < d {
		for range evalBatch {
			if err := e.run(); err != nil {
				return 0, 0, err
			}
		}
		n += evalBatch
	}
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	return float64(elapsed.Nanoseconds()) / float64(n), float64(after.Mallocs-before.Mallocs) / float64(n), nil
}

func newEvaluations() ([]evaluation, error) {
	root, err := cluster.Root()
	if err != nil {
		return nil, err
	}
	payload, err := os.ReadFile(filepath.Join(root, evalPayload))
	if err != nil {
		return nil, fmt.Errorf("reading the payload: %w", err)
	}
	byCriteria, byExpression, err := evalRules()
	if err != nil {
		return nil, err
	}
	bare, err := newBareProgram()
	if err != nil {
		return nil, err
	}
	var decoded any
	if err := json.Unmarshal(payload, &decoded); err != nil {
		return nil, fmt.Errorf("decoding the payload: %w", err)
	}
	shared := evalInput(payload)
	return []evaluation{
		{evalCriteria, func() error { return evaluate(byCriteria, evalInput(payload)) }},
		{evalCEL, func() error { return evaluate(byExpression, evalInput(payload)) }},
		{evalBareDecode, func() error {
			var value any
			return errors.Join(json.Unmarshal(payload, &value), bare.evaluate(value))
		}},
		{evalCriteriaShared, func() error { return evaluate(byCriteria, shared) }},
		{evalCELShared, func() error { return evaluate(byExpression, shared) }},
		{evalBare, func() error { return bare.evaluate(decoded) }},
	}, evaluate(byCriteria, shared)
}

// evalRules returns two Rules that ask for the same: one by criteria, one by an expression.
func evalRules() (byCriteria, byExpression []*hookstorm.Rule, err error) {
	criteria, expression := rule("criteria", "eval"), rule("expression", "eval")
	criteria.Spec.Criteria = map[string]v1alpha1.Criterion{
		"trigger.body.action":                  equals("closed"),
		"trigger.headers_lower.x-github-event": equals("pull_request"),
		"trigger.body.pull_request.base.ref":   equals("main"),
	}
	expression.Spec.When = []v1alpha1.Expression{evalExpression}
	first, err := hookstorm.Compile(criteria)
	if err != nil {
		return nil, nil, err
	}
	second, err := hookstorm.Compile(expression)
	return []*hookstorm.Rule{first}, []*hookstorm.Rule{second}, err
}

func evalInput(payload []byte) *hookstorm.Input {
	now := time.Now()
	return hookstorm.NewInput(payload, hookstorm.Delivery{
		ID: "01jd8x3q", Namespace: namespace, Webhook: "eval", URL: "eval", Received: now,
	}, now)
}

func evaluate(rules []*hookstorm.Rule, input *hookstorm.Input) error {
	verdicts := hookstorm.Evaluate(context.Background(), rules, input)
	if outcome := verdicts[0].Outcome; outcome.Result != v1alpha1.ResultMatched {
		return fmt.Errorf("%w: %s %s", errNotMatched, outcome.Reason, outcome.Message)
	}
	return nil
}

// bareProgram is a CEL program with nothing around it.
type bareProgram struct{ cel.Program }

func newBareProgram() (bareProgram, error) {
	env, err := cel.NewEnv(cel.Variable("trigger", cel.DynType))
	if err != nil {
		return bareProgram{}, fmt.Errorf("building the bare CEL environment: %w", err)
	}
	checked, issues := env.Compile(evalExpression)
	if issues.Err() != nil {
		return bareProgram{}, fmt.Errorf("compiling the bare CEL program: %w", issues.Err())
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	return bareProgram{program}, err
}

func (p bareProgram) evaluate(trigger any) error {
	value, _, err := p.Eval(map[string]any{"trigger": trigger})
	if err == nil && value.Value() != true {
		return errNotMatched
	}
	return err
}
