package expression

import (
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// orElse is a call of or or orValue, whose second argument counts only if the first has no value. cel-go plans it so in a
// cel.Program, and does not export what does.
type orElse struct {
	interpreter.InterpretableCall
	unwrap bool
}

// planOrElse replaces calls of or and orValue.
func planOrElse(step interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := step.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 || call.Function() != "or" && call.Function() != "orValue" {
		return step, nil
	}
	return orElse{call, call.Function() == "orValue"}, nil
}

// Exec implements interpreter.InterpretableV2.
func (o orElse) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	first := o.Args()[0].Exec(frame)
	optional, ok := first.(*types.Optional)
	switch {
	case types.IsUnknownOrError(first):
		return first
	case !ok:
		return types.NewErrWithNodeID(o.ID(), "no such overload: %s", o.Function())
	case !optional.HasValue():
		return o.Args()[1].Exec(frame)
	case o.unwrap:
		return optional.GetValue()
	default:
		return optional
	}
}

// Eval implements interpreter.Interpretable.
func (o orElse) Eval(variables interpreter.Activation) ref.Val {
	return o.Exec(interpreter.AsFrame(variables))
}
