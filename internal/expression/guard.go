package expression

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// CEL prices a call by a rough estimate, and charges for it when it is done. That is too late for a call that turns a small
// payload into gigabytes, or takes minutes. The guard computes what such a call will do, and refuses it before.
const (
	// maxWork is how many bytes or steps one call may take: about a tenth of a second.
	maxWork = 16 << 20
	// maxInstructions is how long a regular expression may be when it is compiled. x{1000} has 1,000 instructions.
	maxInstructions = 1024
	// maxPattern is how long a regular expression may be as text.
	maxPattern = 1024
	// maxRange is how many numbers lists.range makes at most.
	maxRange = 10_000
	// maxPrecision is how many digits format writes behind the point at most.
	maxPrecision = 100
)

// price returns the bytes or steps of a call with these arguments.
type price func(args []ref.Val) int

// prices are the functions whose work or result can be far larger than their arguments.
func prices() map[string]price {
	return map[string]price{
		"distinct":        squareOf,
		"flatten":         func(args []ref.Val) int { return measure(args[0], maxWork) },
		"format":          func(args []ref.Val) int { return length(args[0]) + 4*sum(args[1:]) }, // an escape has 4 bytes
		"indexOf":         productOfLengths,
		"join":            func(args []ref.Val) int { return sum(args[:1]) + size(args[0])*sum(args[1:]) },
		"lastIndexOf":     productOfLengths,
		"replace":         replaced,
		"sets.contains":   productOfSizes,
		"sets.equivalent": productOfSizes,
		"sets.intersects": productOfSizes,
	}
}

// maxQuantity is how long the text of a quantity may be.
const maxQuantity = 64

// checkQuantity refuses a quantity whose exponent would be written out: 1e1000000000 takes hours to parse.
func checkQuantity(text string) error {
	at := strings.LastIndexAny(text, "eE")
	if len(text) > maxQuantity || at >= 0 && len(strings.TrimLeft(text[at+1:], "+-0")) > 3 {
		return fmt.Errorf("a quantity has at most %d characters, and an exponent of 3 digits", maxQuantity)
	}
	return nil
}

// isRegex reports whether a function matches its first argument with a regular expression, its second.
func isRegex(function string) bool {
	return function == "matches" || function == "find" || function == "findAll"
}

func squareOf(args []ref.Val) int { return size(args[0]) * size(args[0]) }

func productOfSizes(args []ref.Val) int { return size(args[0]) * size(args[1]) }

// productOfLengths is for functions that know lists too, which they walk through once.
func productOfLengths(args []ref.Val) int { return length(args[0]) * length(args[1]) }

func replaced(args []ref.Val) int {
	text, isText := args[0].(types.String)
	old, isOld := args[1].(types.String)
	if !isText || !isOld {
		return 0
	}
	return len(text) + strings.Count(string(text), string(old))*length(args[2])
}

// length returns how many bytes a string or bytes have.
func length(value ref.Val) int {
	switch v := value.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	default:
		return 0
	}
}

// size returns how many elements a list has.
func size(value ref.Val) int {
	list, ok := value.(traits.Lister)
	if !ok {
		return 0
	}
	n, _ := list.Size().(types.Int)
	return int(n)
}

func sum(values []ref.Val) int {
	total := 0
	for _, value := range values {
		total += measure(value, maxWork)
	}
	return total
}

// overhead is what measure counts for each value in memory: a Go interface.
const overhead = 16

// measure returns about how many bytes a value has with all that is in it. It stops at a limit, because a list may hold a
// large value a thousand times.
func measure(value ref.Val, limit int) int {
	total := overhead + length(value)
	switch v := value.(type) {
	case traits.Lister:
		for it := v.Iterator(); total <= limit && it.HasNext() == types.True; {
			total += measure(it.Next(), limit-total)
		}
	case traits.Mapper:
		for it := v.Iterator(); total <= limit && it.HasNext() == types.True; {
			key := it.Next()
			total += measure(key, limit-total) + measure(v.Get(key), limit-total)
		}
	}
	return total
}

// guard returns what replaces a call in the plan of an expression: itself, or for those with a price one that is refused
// where it would do too much.
func (e *environment) guard(step interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := step.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) == 0 {
		return step, nil
	}
	args := slices.Clone(call.Args())
	price, priced := prices()[call.Function()]
	switch {
	case isRegex(call.Function()) && len(args) > 1:
		args = guardRegex(args)
	case call.Function() == "quantity" || call.Function() == "isQuantity":
		args[0] = checked{args[0], checkQuantity}
	case priced:
		args[0] = interruptible{args[0]}
	default:
		return step, nil
	}
	run := e.implementation(call.Function(), call.OverloadID())
	if price != nil {
		unguarded := run
		run = func(args ...ref.Val) ref.Val {
			if work := price(args); work > maxWork || work < 0 {
				return types.NewErr("%s would make or compare more than %d MiB", call.Function(), maxWork>>20)
			}
			return unguarded(args...)
		}
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), args, run), nil
}

// implementation returns what a call of a function runs.
func (e *environment) implementation(function, overload string) func(...ref.Val) ref.Val {
	bound, ok := e.functions[overload]
	if !ok {
		bound, ok = e.functions[function]
	}
	return func(args ...ref.Val) ref.Val {
		switch {
		case ok && len(args) == 1 && bound.Unary != nil:
			return bound.Unary(args[0])
		case ok && len(args) == 2 && bound.Binary != nil:
			return bound.Binary(args[0], args[1])
		case ok && bound.Function != nil:
			return bound.Function(args...)
		default:
			return types.NewErr("no such overload: %s", function)
		}
	}
}

// guardRegex bounds the text that a regular expression is matched with, and the expression where it is no constant.
func guardRegex(args []interpreter.InterpretableV2) []interpreter.InterpretableV2 {
	instructions := maxInstructions
	pattern, constant := args[1].(interpreter.InterpretableConst)
	if !constant {
		args[1] = checked{args[1], checkPattern}
	} else if text, ok := pattern.Value().(types.String); ok {
		instructions = max(countInstructions(string(text)), 1)
	}
	args[0] = checked{args[0], func(text string) error {
		if len(text) > maxWork/instructions {
			return fmt.Errorf("the text is too long for a regular expression: %d bytes, and at most %d with this one",
				len(text), maxWork/instructions)
		}
		return nil
	}}
	return args
}

// checkPattern refuses a regular expression that is too long, or too long when compiled.
func checkPattern(pattern string) error {
	if len(pattern) > maxPattern || countInstructions(pattern) > maxInstructions {
		return fmt.Errorf("the regular expression is too long: at most %d bytes, and %d instructions where x{9} has 9",
			maxPattern, maxInstructions)
	}
	return nil
}

// countInstructions returns how many instructions a regular expression has, and 0 for none.
func countInstructions(pattern string) int {
	if len(pattern) > maxPattern {
		return maxInstructions + 1
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0 // the function itself says what is wrong
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

// interruptible is an argument before which an evaluation may be interrupted: calls that take long are not interrupted.
type interruptible struct {
	interpreter.InterpretableV2
}

// Exec implements interpreter.InterpretableV2.
func (i interruptible) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	if frame.CheckInterrupt() {
		return types.WrapErr(interpreter.InterruptError{})
	}
	return i.InterpretableV2.Exec(frame)
}

// Eval implements interpreter.Interpretable.
func (i interruptible) Eval(variables interpreter.Activation) ref.Val {
	return i.Exec(interpreter.AsFrame(variables))
}

// checked is a string argument that is checked before the call.
type checked struct {
	interpreter.InterpretableV2
	check func(string) error
}

// Exec implements interpreter.InterpretableV2.
func (c checked) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	value := interruptible{c.InterpretableV2}.Exec(frame)
	if text, ok := value.(types.String); ok {
		if err := c.check(string(text)); err != nil {
			return types.LabelErrNode(c.ID(), types.WrapErr(err))
		}
	}
	return value
}

// Eval implements interpreter.Interpretable.
func (c checked) Eval(variables interpreter.Activation) ref.Val {
	return c.Exec(interpreter.AsFrame(variables))
}
