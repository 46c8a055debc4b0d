package expression

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	"k8s.io/apiserver/pkg/cel/library"
)

const (
	// maxDuration is how long an evaluation may take that has loops or calls that may be long. Costs are estimates; this
	// holds where they are wrong.
	maxDuration = time.Second
	// checkFrequency is after how many steps of a loop an evaluation looks whether it is to end: each, because one step may
	// compare a whole payload.
	checkFrequency = 1
)

// errTooLong is why an evaluation was interrupted that took too long.
var errTooLong = fmt.Errorf("it takes longer than %v", maxDuration)

// program is one compiled expression.
type program struct {
	text        string
	environment *environment
	selects     []string // the names that it selects from trigger, where it does nothing else
	// plan evaluates without counting costs, which would take six times as long. It is for payloads of up to bound bytes:
	// with these no evaluation can exceed the limit.
	plan  interpreter.InterpretableV2
	bound int
	long  bool // it may take long enough to be interrupted
	// counting and watched are for the rare evaluation, and compiled again when they are first needed: the syntax tree that
	// they need is larger than all the rest.
	counting func() (cel.Program, error)
	watched  func() (*watched, error)
}

// watched is an expression that remembers the value of each part of it.
type watched struct {
	ast     *cel.Ast
	program cel.Program
}

// compile compiles an expression, and returns the type of its result.
func compile(text string, variables Variables) (*program, *cel.Type, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, errors.New("the expression is empty")
	}
	e, err := environmentOf(variables)
	if err != nil {
		return nil, nil, err
	}
	checked, issues := e.cel.Compile(text)
	if issues.Err() != nil {
		return nil, nil, compileError(text, issues.Errors(), variables)
	}
	found := examine(checked.NativeRep().Expr(), variables)
	p := &program{text: text, environment: e, selects: selected(checked), long: found.long}
	least, err := e.estimate(checked, found, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("estimating the cost: %w", err)
	}
	// The greatest number says that nothing is known, which is what lists.range has as its least.
	if least.Min > costLimit && least.Min < math.MaxUint64 {
		return nil, nil, fmt.Errorf("the expression costs at least %d, and an evaluation may cost %d; make it simpler", least.Min, costLimit)
	}
	if p.bound, err = e.bound(checked, found); err != nil {
		return nil, nil, fmt.Errorf("estimating the cost: %w", err)
	}
	if p.plan, err = e.planner.NewInterpretable(checked.NativeRep(), e.planOptions()...); err != nil {
		return nil, nil, errors.New(clean(err.Error(), maxMessage))
	}
	p.counting = sync.OnceValues(p.compileCounting)
	p.watched = sync.OnceValues(p.compileWatched)
	return p, checked.OutputType(), nil
}

func (e *environment) planOptions() []interpreter.PlannerOption {
	return []interpreter.PlannerOption{
		interpreter.CustomDecoratorV2(planOrElse),
		interpreter.CustomDecoratorV2(e.guard),
		interpreter.InterruptableEval(),
		interpreter.Optimize(),
		interpreter.CompileRegexConstants(interpreter.MatchesRegexOptimization,
			library.FindRegexOptimization, library.FindAllRegexOptimization),
	}
}

// compileCounting compiles the expression to a program that counts its cost.
func (p *program) compileCounting() (cel.Program, error) {
	_, program, err := p.recompile(cel.OptOptimize)
	return program, err
}

func (p *program) compileWatched() (*watched, error) {
	ast, program, err := p.recompile(cel.OptTrackState)
	return &watched{ast, program}, err
}

func (p *program) recompile(options ...cel.EvalOption) (*cel.Ast, cel.Program, error) {
	e := p.environment
	checked, issues := e.cel.Compile(p.text)
	if issues.Err() != nil {
		return nil, nil, issues.Err()
	}
	program, err := e.cel.Program(checked,
		cel.CustomDecoratorV2(e.guard),
		cel.EvalOptions(options...),
		cel.CostTracking(&counter{}),
		cel.CostLimit(costLimit),
		cel.InterruptCheckFrequency(checkFrequency))
	return checked, program, err
}

// eval returns the value of the expression. An error is one line that a user can read.
func (p *program) eval(ctx context.Context, scope *Scope) (ref.Val, error) {
	variables, size, err := bind(scope)
	if err != nil {
		return nil, errors.New(clean(err.Error(), maxMessage))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("evaluating: %w", context.Cause(ctx))
	}
	evaluate := p.evalPlan
	if size > p.bound {
		evaluate = p.evalCounting
	}
	value, err := evaluate(ctx, variables)
	if err != nil {
		return nil, p.failure(err)
	}
	return value, nil
}

// evalPlan evaluates without counting.
func (p *program) evalPlan(ctx context.Context, variables *bindings) (value ref.Val, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("the evaluation panicked: %v", r)
		}
	}()
	frame, err := interpreter.NewExecutionFrame(variables)
	if err != nil {
		return nil, err
	}
	defer frame.Close()
	// A context costs as much as a short evaluation.
	if p.long {
		limited, cancel := context.WithTimeoutCause(ctx, maxDuration, errTooLong)
		defer cancel()
		if err := frame.SetContext(limited, checkFrequency); err != nil {
			return nil, err
		}
		ctx = limited
	}
	value = p.plan.Exec(frame)
	failed, ok := value.(*types.Err)
	switch {
	case !ok:
		return value, nil
	case errors.Is(failed, interpreter.InterruptError{}):
		return nil, interrupted{context.Cause(ctx)}
	default:
		return nil, failed
	}
}

// evalCounting evaluates, and counts the cost.
func (p *program) evalCounting(ctx context.Context, variables *bindings) (ref.Val, error) {
	program, err := p.counting()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxDuration, errTooLong)
	defer cancel()
	value, _, err := program.ContextEval(ctx, variables)
	if errors.Is(err, interpreter.InterruptError{}) {
		return nil, interrupted{context.Cause(ctx)}
	}
	return value, err
}

// interrupted is the error of an evaluation that was interrupted.
type interrupted struct{ cause error }

func (i interrupted) Error() string { return "the evaluation was interrupted: " + i.cause.Error() }

func (i interrupted) Unwrap() error { return i.cause }
