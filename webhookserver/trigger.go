package webhookserver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// The lengths that a TriggerInstance has room for, in characters.
const (
	longestTrigger   = 253
	longestTraceTag  = 1024
	longestViolation = 512
)

const (
	// smallDocument is up to how many bytes a document is validated at once. A larger one, which may take a second and 75 MB,
	// waits for its turn: there are as many as processors.
	smallDocument = 16 << 10
	// validationPatience bounds that wait.
	validationPatience = 2 * time.Second
)

// makeDelivery turns the body into a delivery: of the webhook's own trigger, or of the one that the body names.
func (x *exchange) makeDelivery() *refusal {
	now := x.now()
	x.delivery = delivery.Delivery{
		ID:          x.ids.next(now),
		Namespace:   x.route.Namespace,
		Webhook:     x.route.Name,
		URL:         x.route.URL,
		Trigger:     x.route.trigger,
		Parameters:  x.route.parameters,
		TraceTag:    x.traceTag(),
		Sender:      x.sender(),
		Received:    now,
		RuleVersion: x.table.ruleVersion,
	}
	if x.route.Generic {
		return x.readTrigger()
	}
	x.delivery.Payload = x.customPayload()
	return nil
}

// sender is the address the request came from; "" where it has none.
func (x *exchange) sender() string {
	if !x.source.IsValid() {
		return ""
	}
	return x.source.String()
}

func (x *exchange) traceTag() string {
	tag := x.r.Header.Get("St2-Trace-Tag")
	if tag == "" {
		return newTraceTag(x.route.URL)
	}
	return cut(printable(tag), longestTraceTag)
}

// readTrigger takes the trigger and its payload out of the body of a generic webhook.
func (x *exchange) readTrigger() *refusal {
	if x.document[0] != '{' {
		return invalid("InvalidBody", "Webhook body needs to be an object, got: array")
	}
	members := x.object()
	trigger, refused := triggerName(members["trigger"])
	if refused != nil {
		return refused
	}
	payload := members["payload"]
	if string(payload) == "null" {
		payload = nil
	}
	if len(payload) > 0 && payload[0] != '{' {
		value, err := parse(payload)
		if err != nil {
			return notDecoded(err)
		}
		return notDispatched(trigger, repr(value)+" is not of type 'object'")
	}
	x.delivery.Trigger, x.delivery.Payload = trigger, payload
	return nil
}

func triggerName(member json.RawMessage) (string, *refusal) {
	if len(member) == 0 || string(member) == "null" {
		return "", invalid("InvalidBody", "Trigger not specified.")
	}
	var name string
	if err := json.Unmarshal(member, &name); err != nil {
		return "", invalid("InvalidBody", "Trigger needs to be a string.")
	}
	switch {
	case name == "":
		return "", invalid("InvalidBody", "Trigger not specified.")
	case name == webhookTrigger:
		return "", invalid("InvalidBody", "Trigger "+webhookTrigger+" comes from webhooks only: post to the webhook itself.")
	case utf8.RuneCountInString(name) > longestTrigger:
		return "", invalid("InvalidBody", fmt.Sprintf("Trigger is too long: at most %d characters.", longestTrigger))
	case printable(name) != name:
		return "", invalid("InvalidBody", "Trigger has control characters.")
	}
	return name, nil
}

// notDispatched is StackStorm's answer to a payload that does not fit its trigger, but for the payload, which it repeats.
func notDispatched(trigger, why string) *refusal {
	return invalid("SchemaViolation", fmt.Sprintf(
		"Trigger payload validation failed and validation is enabled, not dispatching a trigger %q: %s", trigger, why))
}

// checkSchema refuses what violates its schema, or records the violation where it is only audited.
func (x *exchange) checkSchema() *refusal {
	violation, refused := x.violation()
	switch {
	case refused != nil:
		return refused
	case violation == "":
		return nil
	case x.route.Audit:
		x.delivery.Violation = cut(printable(violation), longestViolation)
		return nil
	}
	return notDispatched(x.delivery.Trigger, violation)
}

// violation says how the payload of a generic webhook, or the body of a custom one, violates its schema.
func (x *exchange) violation() (string, *refusal) {
	schema, document := x.route.Schema, x.document
	if x.route.Generic {
		var described bool
		schema, described = x.route.TriggerSchemas[x.delivery.Trigger]
		if !described && x.route.KnownTriggers != nil && !x.route.KnownTriggers[x.delivery.Trigger] {
			return fmt.Sprintf("Trigger type with reference %q doesn't exist", x.delivery.Trigger), nil
		}
		document = x.delivery.Payload
	}
	if schema != nil && len(document) > smallDocument {
		ctx, cancel := context.WithTimeout(x.r.Context(), validationPatience)
		defer cancel()
		if x.validations.Acquire(ctx, 1) != nil {
			return "", &overloaded
		}
		defer x.validations.Release(1)
	}
	return schema.violation(document), nil
}

// printable is text without what a terminal obeys instead of showing it, and without bytes that are no UTF-8.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
