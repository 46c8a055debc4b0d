// Package expression evaluates CEL: the conditions of a Rule, and the templates in its actions and patterns. Expressions
// are compiled and type-checked once and evaluated many times; what is compiled is safe for concurrent use. Evaluation is
// pure: an expression sees the variables of its Scope and nothing else, no Secret, no network and no clock, and what it
// may cost is bounded.
package expression

import (
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types/ref"
)

// Payload is a trigger's payload: a JSON text, which is read once for all that look into it, and only if somebody does. It
// is safe for concurrent use.
type Payload struct {
	document func() (*document, error)
}

// NewPayload returns the payload with this text, which must never change; an empty text is no payload, which is null.
func NewPayload(text []byte) *Payload {
	return &Payload{sync.OnceValues(func() (*document, error) { return newDocument(text) })}
}

// Value returns the payload's value; a nil payload has none.
func (p *Payload) Value() (Value, error) {
	if p == nil {
		return Value{}, nil
	}
	d, err := p.document()
	if err != nil {
		return Value{}, fmt.Errorf("reading the payload: %w", err)
	}
	return Value{source{d, 0}}, nil
}

// Delivery is the variable delivery: what was accepted.
type Delivery struct {
	ID, Namespace, Webhook, URL string
	TraceTag, Sender            string
	Received                    time.Time
}

// Rule is the variable rule: the Rule that is evaluated.
type Rule struct {
	Namespace, Name string
}

// Scope holds the variables of one evaluation.
type Scope struct {
	// Payload is the variable trigger; nil is null.
	Payload  *Payload
	Delivery Delivery
	Rule     Rule
	// Item is the variable item: what an operator such as search looks at; none is null. Only expressions that were
	// compiled with ItemVariables see it.
	Item Value
}

// Variables says which variables an expression may read.
type Variables int

const (
	// RuleVariables are trigger, delivery and rule.
	RuleVariables Variables = iota
	// ItemVariables are those and item.
	ItemVariables
	// claimVariables is claims alone.
	claimVariables
)

// The names of the variables.
const (
	varTrigger  = "trigger"
	varDelivery = "delivery"
	varRule     = "rule"
	varItem     = "item"
	varClaims   = "claims"
)

// names returns the names of the variables.
func (v Variables) names() []string {
	if v == claimVariables {
		return []string{varClaims}
	}
	names := []string{varTrigger, varDelivery, varRule}
	if v == ItemVariables {
		names = append(names, varItem)
	}
	return names
}

// fields returns the fields of the variable delivery.
func (d *Delivery) fields() map[string]any {
	return map[string]any{
		"id": d.ID, "namespace": d.Namespace, "webhook": d.Webhook, "url": d.URL,
		"traceTag": d.TraceTag, "sender": d.Sender, "received": d.Received,
	}
}

// fields returns the fields of the variable rule.
func (r *Rule) fields() map[string]any {
	return map[string]any{"namespace": r.Namespace, "name": r.Name}
}

// bindings are the values of a scope's variables during one evaluation. Those of delivery and rule are made when they are
// first asked for.
type bindings struct {
	scope          *Scope
	trigger, item  ref.Val
	delivery, rule map[string]any
}

// bind returns the bindings of a scope, and how many bytes an expression can find in them. The payload's text, and the
// item's, is at least as long as any string or list in it.
func bind(scope *Scope) (*bindings, int, error) {
	payload, err := scope.Payload.Value()
	if err != nil {
		return nil, 0, err
	}
	d := &scope.Delivery
	size := len(d.ID) + len(d.Namespace) + len(d.Webhook) + len(d.URL) + len(d.TraceTag) + len(d.Sender) +
		len(scope.Rule.Namespace) + len(scope.Rule.Name)
	size = max(size, len(payload.JSON()), len(scope.Item.JSON()))
	return &bindings{scope: scope, trigger: payload.cel(), item: scope.Item.cel()}, size, nil
}

// ResolveName implements cel.Activation.
func (b *bindings) ResolveName(name string) (any, bool) {
	switch name {
	case varTrigger, varClaims:
		return b.trigger, true
	case varItem:
		return b.item, true
	case varDelivery:
		if b.delivery == nil {
			b.delivery = b.scope.Delivery.fields()
		}
		return b.delivery, true
	case varRule:
		if b.rule == nil {
			b.rule = b.scope.Rule.fields()
		}
		return b.rule, true
	default:
		return nil, false
	}
}

// Parent implements cel.Activation.
func (b *bindings) Parent() cel.Activation { return nil }
