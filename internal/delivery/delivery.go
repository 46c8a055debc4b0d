// Package delivery is the accepted HTTP request as a value: what the webhook server makes, the queue stores and the
// dispatcher reads. It knows neither HTTP nor Kubernetes nor the queue, and holds no state.
package delivery

import (
	"encoding/json"
	"errors"
	"time"
)

// ErrTooLarge says that a delivery is larger than what the queue can hold of one.
var ErrTooLarge = errors.New("the delivery is too large for the queue")

// Delivery is one accepted HTTP request, or one trigger dispatched by other means. It is immutable once published.
type Delivery struct {
	// ID names the delivery: a ULID of 26 lower-case characters, so that ids sort by the time of acceptance.
	ID string
	// Namespace is the namespace of the webhook that accepted it, or of the Rule or TriggerInstance that asked for it.
	Namespace string
	// Webhook is the name of the Webhook resource; empty where no webhook accepted it.
	Webhook string
	// URL is the webhook's url without outer slashes; with Namespace it identifies the route. Empty where there is none.
	URL string
	// Trigger is the trigger's type, such as "core.st2.webhook" or "mypack.mytrigger".
	Trigger string
	// Parameters are the trigger's parameters; a custom webhook has "url".
	Parameters map[string]string
	// TraceTag is the sender's trace tag, or one made for this delivery.
	TraceTag string
	// Sender is the address the request came from, without its port.
	Sender string
	// Received is when the request was accepted.
	Received time.Time
	// RuleVersion is the highest resourceVersion of a Rule that the acceptor had seen; a dispatcher waits until it has
	// seen as much.
	RuleVersion uint64
	// Violation says how the payload violates a schema that is only audited; empty when it does not.
	Violation string
	// Instance is the name of the TriggerInstance that asked for the dispatch and takes the outcome; empty for others.
	Instance string
	// Depth counts the Rules that dispatched one another to come to this trigger; zero for what came from outside.
	Depth uint64
	// Kin bounds how many triggers may still descend from this one; without meaning where Depth is zero.
	Kin uint64
	// Payload is the trigger's payload, a JSON text. Empty means that there is none, which StackStorm calls null.
	Payload json.RawMessage
}
