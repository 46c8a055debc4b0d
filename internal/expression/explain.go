package expression

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

const (
	// maxExplanation is how long an explanation may be, in bytes.
	maxExplanation = 300
	// maxShown is how much of a value an explanation shows.
	maxShown = 60
)

// Explain says why a condition did not hold: which part of it is false, and the values that it saw. It evaluates the
// condition again, at several times the cost, so it is for conditions for which Holds returned false. The text is one line
// of at most about 300 bytes.
func (c *Condition) Explain(ctx context.Context, scope *Scope) string {
	p := c.program
	unexplained := clean(p.text, maxPart) + " is false"
	w, err := p.watched()
	if err != nil {
		return unexplained
	}
	variables, _, err := bind(scope)
	if err != nil {
		return unexplained
	}
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	_, details, err := w.program.ContextEval(ctx, variables)
	if err != nil || details == nil {
		return unexplained
	}
	x := explainer{watched: w, state: details.State(), variables: p.environment.variables.names()}
	part := x.culprit(w.ast.NativeRep().Expr())
	text := x.show(part)
	if !x.isFact(part) {
		x.visit(part)
	}
	if len(x.facts) == 0 {
		return clean(text+" is false", maxExplanation)
	}
	return clean(text+" is false: "+strings.Join(x.facts, ", "), maxExplanation)
}

// explainer collects what an evaluation saw.
type explainer struct {
	*watched
	state     interpreter.EvalState
	variables []string
	facts     []string
}

// culprit returns the first of the terms joined by && that is false.
func (x *explainer) culprit(e ast.Expr) ast.Expr {
	for _, term := range terms(e) {
		if value, ok := x.state.Value(term.ID()); ok && value == types.False {
			return term
		}
	}
	return e
}

// terms returns what && joins.
func terms(e ast.Expr) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.LogicalAnd {
		return []ast.Expr{e}
	}
	var all []ast.Expr
	for _, arg := range e.AsCall().Args() {
		all = append(all, terms(arg)...)
	}
	return all
}

// visit collects the values of the fields that an expression selects, in the order in which they stand.
func (x *explainer) visit(e ast.Expr) {
	if x.isFact(e) {
		if value, ok := x.state.Value(e.ID()); ok && !types.IsUnknownOrError(value) {
			if fact := x.show(e) + " is " + showValue(value); !slices.Contains(x.facts, fact) {
				x.facts = append(x.facts, fact)
			}
		}
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		x.visit(e.AsSelect().Operand())
	case ast.CallKind:
		if e.AsCall().IsMemberFunction() {
			x.visit(e.AsCall().Target())
		}
		for _, arg := range e.AsCall().Args() {
			x.visit(arg)
		}
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			x.visit(element)
		}
	case ast.ComprehensionKind:
		// What a loop saw last says little; what it went through says more.
		x.visit(e.AsComprehension().IterRange())
	}
}

// isFact reports whether an expression is a field of a variable, or a test for one.
func (x *explainer) isFact(e ast.Expr) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return slices.Contains(x.variables, e.AsIdent())
	case ast.SelectKind:
		return x.isFact(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		return call.FunctionName() == operators.Index && x.isFact(call.Args()[0]) && call.Args()[1].Kind() == ast.LiteralKind
	default:
		return false
	}
}

// showValue shows a value in a few characters.
func showValue(value ref.Val) string {
	if text, ok := value.(types.String); ok {
		return fmt.Sprintf("%q", clean(string(text), maxShown))
	}
	if read, ok := value.(interface{ raw() string }); ok {
		return clean(read.raw()[:min(len(read.raw()), 2*maxShown)], maxShown)
	}
	shown, err := (&renderer{left: maxRendered}).text(value)
	if err != nil {
		return "a " + value.Type().TypeName()
	}
	return clean(shown, maxShown)
}
