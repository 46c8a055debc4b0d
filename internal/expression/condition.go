package expression

import (
	"context"
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

// Condition is a compiled CEL expression that is true or false.
type Condition struct {
	program *program
}

// CompileCondition compiles a CEL expression. Its result must be a bool, or of a type that is known only when it is
// evaluated.
func CompileCondition(text string) (*Condition, error) { return compileCondition(text, RuleVariables) }

// CompileClaims compiles a condition on the claims of a token, the variable claims, which are the Payload of its Scope.
func CompileClaims(text string) (*Condition, error) { return compileCondition(text, claimVariables) }

func compileCondition(text string, variables Variables) (*Condition, error) {
	p, result, err := compile(text, variables)
	if err != nil {
		return nil, err
	}
	if !result.IsExactType(cel.BoolType) && !result.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("the result is of type %s, and a condition is true or false; compare it with something", cel.FormatCELType(result))
	}
	return &Condition{p}, nil
}

// Holds reports whether the condition is true. An error means that it could not be evaluated, such as for a missing field.
func (c *Condition) Holds(ctx context.Context, scope *Scope) (bool, error) {
	value, err := c.program.eval(ctx, scope)
	if err != nil {
		return false, err
	}
	held, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("%s: the result is of type %s, and a condition is true or false", clean(c.program.text, maxPart), value.Type().TypeName())
	}
	return bool(held), nil
}
