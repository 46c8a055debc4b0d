// Package expression evaluates CEL: the conditions of a Rule, and the templates in its actions and patterns. Expressions
// are compiled and type-checked once and evaluated many times; what is compiled is safe for concurrent use. Evaluation is
// pure: an expression sees the variables of its Scope and nothing else, no Secret, no network and no clock, and what it
// may cost is bounded.
package expression

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// Payload is a trigger's payload: a JSON text, which is read once for all expressions that look into it, and decoded once,
// and only if somebody asks for its value. It is safe for concurrent use.
type Payload struct {
	text     []byte
	value    func() (any, error)
	document func() (*document, error)
}

// NewPayload returns the payload with this text, which must not change; an empty text is no payload, which is null.
func NewPayload(text []byte) *Payload {
	return &Payload{
		text:     text,
		value:    sync.OnceValues(func() (any, error) { return decodeJSON(text) }),
		document: sync.OnceValues(func() (*document, error) { return newDocument(text) }),
	}
}

// Text returns the JSON text.
func (p *Payload) Text() []byte { return p.text }

// Value returns the decoded value: maps, lists, strings, booleans, nil, and numbers as json.Number, so that they are exact.
// It belongs to all who ask and must not be changed.
func (p *Payload) Value() (any, error) { return p.value() }

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
	// Item is the variable item: what an operator such as search looks at, as Payload.Value would decode it. Only
	// expressions that were compiled with ItemVariables see it.
	Item any
}

// Variables says which variables an expression may read.
type Variables int

const (
	// RuleVariables are trigger, delivery and rule.
	RuleVariables Variables = iota
	// ItemVariables are those and item.
	ItemVariables
)

// The names of the variables.
const (
	varTrigger  = "trigger"
	varDelivery = "delivery"
	varRule     = "rule"
	varItem     = "item"
)

// names returns the names of the variables.
func (v Variables) names() []string {
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

// bindings are the values of a scope's variables during one evaluation. They are made when they are first asked for.
type bindings struct {
	scope          *Scope
	trigger        ref.Val
	item           ref.Val
	delivery, rule map[string]any
}

// bind returns the bindings of a scope, and how many bytes an expression can find in them. The payload's text, and the
// item's, is at least as long as any string or list in it.
func bind(scope *Scope, variables Variables) (*bindings, int, error) {
	b := &bindings{scope: scope, trigger: types.NullValue}
	d := &scope.Delivery
	size := len(d.ID) + len(d.Namespace) + len(d.Webhook) + len(d.URL) + len(d.TraceTag) + len(d.Sender) +
		len(scope.Rule.Namespace) + len(scope.Rule.Name)
	if scope.Payload != nil {
		document, err := scope.Payload.document()
		if err != nil {
			return nil, 0, fmt.Errorf("reading the payload: %w", err)
		}
		b.trigger = document.root()
		size = max(size, len(document.text))
	}
	if variables == ItemVariables {
		text, err := json.Marshal(scope.Item)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the item: %w", err)
		}
		document, err := newDocument(text)
		if err != nil {
			return nil, 0, fmt.Errorf("reading the item: %w", err)
		}
		b.item = document.root()
		size = max(size, len(text))
	}
	return b, size, nil
}

// ResolveName implements cel.Activation.
func (b *bindings) ResolveName(name string) (any, bool) {
	switch name {
	case varTrigger:
		return b.trigger, true
	case varItem:
		return b.item, b.item != nil
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
