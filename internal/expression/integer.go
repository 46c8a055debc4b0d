package expression

import (
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// integer is an integer of a payload that has more than 64 bits. CEL has no such number and calculates with the double next to
// it; a template that only passes it on writes what the payload has.
type integer struct {
	types.Double
	text string
}

// exactly returns an integer in place of a value, if the value is the double that stands for it, and the expression does no more
// than select it.
func (p *program) exactly(value types.Double, scope *Scope) (integer, bool) {
	payload, err := scope.Payload.Value()
	if err != nil || len(p.selects) == 0 {
		return integer{}, false
	}
	found := payload.follow(p.selects)
	if !found.is(kindNumber) || strings.ContainsAny(found.JSON(), ".eE") {
		return integer{}, false
	}
	return integer{value, found.JSON()}, true
}

// selected returns the names that an expression selects one after the other from trigger, if that is all it does.
func selected(checked *cel.Ast) []string {
	var names []string
	e := checked.NativeRep().Expr()
	for e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() {
		names = append([]string{e.AsSelect().FieldName()}, names...)
		e = e.AsSelect().Operand()
	}
	if e.Kind() != ast.IdentKind || e.AsIdent() != varTrigger {
		return nil
	}
	return names
}
