package expression

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

// costLimit is what one evaluation may cost: as much as in the API server, about a tenth of a second.
const costLimit = celconfig.PerCallLimit

// maxInput is the largest payload for which a bound is computed: no queue takes a larger one.
const maxInput = 64 << 20

// minInput is the smallest payload for which a bound is worth the trouble.
const minInput = 4 << 10

// bound returns how many bytes a payload may have so that an expression surely costs no more than the limit, and 0 if that
// cannot be said.
func (e *environment) bound(checked *cel.Ast, found findings) (int, error) {
	if found.underestimated {
		return 0, nil
	}
	for input := maxInput; input >= minInput; input /= 2 {
		cost, err := e.estimate(checked, found, input)
		if err != nil {
			return 0, err
		}
		if cost.Max <= costLimit {
			return input, nil
		}
	}
	return 0, nil
}

// estimate returns what an expression costs with a payload of so many bytes.
func (e *environment) estimate(checked *cel.Ast, found findings, input int) (checker.CostEstimate, error) {
	sizes := sizeEstimator{input: uint64(input), fromInput: found.fromInput}
	return e.cel.EstimateCost(checked, &library.CostEstimator{SizeEstimator: sizes})
}

// sizeEstimator says that what was read from a variable is no larger than the payload. Of anything else it knows nothing:
// the path of a node is no help, because a map that an expression makes may have a member called trigger too.
type sizeEstimator struct {
	input     uint64
	fromInput map[int64]bool
}

// EstimateSize implements checker.CostEstimator.
func (s sizeEstimator) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if node.Expr() == nil || !s.fromInput[node.Expr().ID()] {
		return nil
	}
	return &checker.SizeEstimate{Max: s.input}
}

// EstimateCallCost implements checker.CostEstimator.
func (s sizeEstimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// counter says what a call costs, while costs are counted. CEL goes by the overload of an operator, which it does not know
// for values whose type is known only now, and would charge next to nothing for adding long texts.
type counter struct {
	library.CostEstimator
}

// CallCost implements interpreter.ActualCostEstimator.
func (c *counter) CallCost(function, overload string, args []ref.Val, result ref.Val) *uint64 {
	if overload != "" || len(args) != 2 {
		return c.CostEstimator.CallCost(function, overload, args, result)
	}
	var cost float64
	switch function {
	case operators.Add:
		cost = float64(length(args[0])+length(args[1])) * common.StringTraversalCostFactor
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		cost = float64(min(length(args[0]), length(args[1]))) * common.StringTraversalCostFactor
	case operators.In:
		cost = float64(size(args[1]))
	default:
		return c.CostEstimator.CallCost(function, overload, args, result)
	}
	units := uint64(cost) + 1
	return &units
}

// findings is what matters in an expression for its cost.
type findings struct {
	// fromInput are the nodes whose value was read from a variable.
	fromInput map[int64]bool
	// long says that an evaluation may take long enough to be interrupted, underestimated that CEL's estimate of some
	// call can be far too low.
	long, underestimated bool
}

// examine walks through an expression.
func examine(expression ast.Expr, variables Variables) findings {
	x := examiner{findings: findings{fromInput: map[int64]bool{}}, scope: map[string]bool{}}
	for _, name := range variables.names() {
		x.scope[name] = true
	}
	x.visit(expression)
	return x.findings
}

// examiner follows what was read from a variable; scope says of each variable in sight whether it holds such a value.
type examiner struct {
	findings
	scope map[string]bool
}

// visit reports whether the value of a node was read from a variable.
func (x *examiner) visit(e ast.Expr) bool {
	from := false
	switch e.Kind() {
	case ast.IdentKind:
		from = x.scope[e.AsIdent()]
	case ast.SelectKind:
		from = x.visit(e.AsSelect().Operand()) && !e.AsSelect().IsTestOnly()
	case ast.CallKind:
		from = x.call(e.AsCall())
	case ast.ComprehensionKind:
		from = x.comprehension(e.AsComprehension())
	default:
		x.parts(e)
	}
	// Macros may use a node twice; it counts only if it is so in both places.
	if before, seen := x.fromInput[e.ID()]; seen {
		from = from && before
	}
	x.fromInput[e.ID()] = from
	return from
}

// parts visits what a list, a map or an object is made of.
func (x *examiner) parts(e ast.Expr) {
	switch e.Kind() {
	case ast.ListKind:
		for _, element := range e.AsList().Elements() {
			x.visit(element)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			x.visit(entry.AsMapEntry().Key())
			x.visit(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			x.visit(field.AsStructField().Value())
		}
	}
}

func (x *examiner) call(call ast.CallExpr) bool {
	function := call.FunctionName()
	args := call.Args()
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	from := make([]bool, len(args))
	for i, arg := range args {
		from[i] = x.visit(arg)
	}
	x.judge(function, args)
	switch function {
	case operators.Index, operators.OptIndex, operators.OptSelect, "value", "dyn", "string":
		return len(from) > 0 && from[0]
	case "orValue", "or":
		return len(from) == 2 && from[0] && (from[1] || isSmall(args[1]))
	default:
		return false
	}
}

// isSmall reports whether a node is a constant, or an empty list or map, so that it is smaller than any payload for which
// a bound is computed.
func isSmall(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind ||
		e.Kind() == ast.ListKind && e.AsList().Size() == 0 ||
		e.Kind() == ast.MapKind && e.AsMap().Size() == 0
}

// judge notes whether a call may take long, and whether CEL's estimate of it can be trusted.
func (x *examiner) judge(function string, args []ast.Expr) {
	_, priced := prices()[function]
	x.long = x.long || priced || isRegex(function)
	switch {
	case function == "flatten" || function == "format" || function == "indexOf" || function == "lastIndexOf" || function == "join":
		x.underestimated = true
	case isRegex(function) && len(args) > 1:
		x.underestimated = x.underestimated || !isFair(args[1])
	}
}

// isFair reports whether a regular expression takes about as many steps as its length says, which CEL goes by.
func isFair(pattern ast.Expr) bool {
	if pattern.Kind() != ast.LiteralKind {
		return false
	}
	text, ok := pattern.AsLiteral().(types.String)
	return ok && countInstructions(string(text)) <= 4*len(text)+4
}

func (x *examiner) comprehension(c ast.ComprehensionExpr) bool {
	x.long = true
	items, initial := x.visit(c.IterRange()), x.visit(c.AccuInit())
	restore := x.declare(c.AccuVar(), initial)
	inner := x.declare(c.IterVar(), items)
	inner2 := func() {}
	if c.HasIterVar2() {
		inner2 = x.declare(c.IterVar2(), items)
	}
	x.visit(c.LoopCondition())
	x.visit(c.LoopStep())
	inner2()
	inner()
	x.visit(c.Result())
	restore()
	return false
}

// declare declares a variable, and returns what removes it.
func (x *examiner) declare(name string, fromInput bool) func() {
	outer := x.scope[name]
	x.scope[name] = fromInput
	return func() { x.scope[name] = outer }
}
