package expression

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"
	"github.com/google/cel-go/parser"
)

const (
	// maxMessage is how long what CEL says may be, in bytes, because it may quote the payload.
	maxMessage = 200
	// maxPart is how much of an expression a message shows.
	maxPart = 120
	// maxErrors is how many of the errors in one expression are shown: the later ones mostly follow from the first.
	maxErrors = 3
)

// clean makes a text fit to be shown: one line, without control characters, and not too long.
func clean(text string, limit int) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(text) {
		if b.Len() >= limit {
			b.WriteString("…")
			break
		}
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// compileError says in one line what is wrong with an expression, and where.
func compileError(text string, errs []*cel.Error, variables Variables) error {
	var messages []string
	for _, err := range errs[:min(len(errs), maxErrors)] {
		// What the parser would have expected is a list of all that can follow.
		message, _, _ := strings.Cut(err.Message, " expecting {")
		message = clean(message, maxMessage)
		if name, ok := quoted(message, "undeclared reference to '"); ok {
			message = undeclared(text, name, variables)
		} else if _, ok := quoted(message, "undefined field '"); ok {
			message += fmt.Sprintf("; the fields are %s.%s and %s.%s", varDelivery, fieldNames((&Delivery{}).fields()),
				varRule, fieldNames((&Rule{}).fields()))
		}
		if err.Location.Line() > 0 {
			message = fmt.Sprintf("%d:%d: %s", err.Location.Line(), err.Location.Column()+1, message)
		}
		messages = append(messages, message)
	}
	return errors.New(strings.Join(messages, "; "))
}

// quoted returns what a message says in quotes behind a prefix.
func quoted(message, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(message, prefix)
	name, _, closed := strings.Cut(rest, "'")
	return name, ok && closed
}

// undeclared says that there is no such variable or function, and which there are.
func undeclared(text, name string, variables Variables) string {
	if strings.Contains(text, name+"(") {
		return fmt.Sprintf("there is no function %s", name)
	}
	names := variables.names()
	last := len(names) - 1
	if last == 0 {
		return fmt.Sprintf("there is no variable %s; there is only %s: write %s.%s", name, names[0], names[0], name)
	}
	message := fmt.Sprintf("there is no variable %s; there are %s and %s", name, strings.Join(names[:last], ", "), names[last])
	if slices.Contains([]string{"body", "headers", "headers_lower"}, name) {
		message += fmt.Sprintf("; write %s.%s", varTrigger, name)
	}
	return message
}

func fieldNames(fields map[string]any) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return "{" + strings.Join(names, ", ") + "}"
}

// failure says in one line why an evaluation failed, and which part of the expression it was.
func (p *program) failure(err error) error {
	var stopped interrupted
	if errors.As(err, &stopped) {
		return err
	}
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Errorf("the evaluation costs more than %d with this payload", costLimit)
	}
	message := clean(err.Error(), maxMessage)
	if strings.HasPrefix(message, "no such key: ") {
		message += "; has() tests for it, and .?name.orValue(…) replaces it"
	}
	var failed *types.Err
	if errors.As(err, &failed) {
		if part := p.part(failed.NodeID()); part != "" {
			message = part + ": " + message
		}
	}
	return errors.New(message)
}

// part returns the text of a part of the expression, if it can be said.
func (p *program) part(id int64) string {
	w, err := p.watched()
	if err != nil || id == 0 {
		return ""
	}
	var part string
	ast.PostOrderVisit(w.ast.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			part = w.show(e)
		}
	}))
	return part
}

// show returns the text of a part of an expression.
func (w *watched) show(e ast.Expr) string {
	text, err := parser.Unparse(e, w.ast.NativeRep().SourceInfo())
	if err != nil {
		return ""
	}
	return clean(text, maxPart)
}
