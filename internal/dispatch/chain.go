package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/action"
	"github.com/hookstorm/hookstorm/internal/delivery"
)

const (
	// maxDepth bounds the triggers that Rules dispatch one after another out of one delivery.
	maxDepth = 16
	// maxKin bounds all triggers that descend from one delivery, over all depths: those that a delivery may have it shares out
	// among the triggers that it dispatches.
	maxKin = 1000
	// maxTrigger is the length of a trigger's name, in characters.
	maxTrigger = 253
)

// reasonLoopLimit: Rules dispatch each other without end.
const reasonLoopLimit action.Reason = "LoopLimit"

// chain dispatches another trigger in the record's namespace. Its id derives from the delivery's, so that doing it twice is
// doing it once.
func (d *Dispatcher) chain(ctx context.Context, r *record, a *attempt) (action.Result, error) {
	parent, what := r.delivery, a.action.Dispatch
	if parent.Depth >= maxDepth {
		return action.Result{}, &action.Failure{Reason: reasonLoopLimit, Message: fmt.Sprintf(
			"loop limit: %d triggers in a row were dispatched by Rules; this one, %s, is not; make the Rules stop", maxDepth, what.Trigger)}
	}
	kin := parent.Kin
	if parent.Depth == 0 {
		kin = maxKin
	}
	share := kin / uint64(max(1, a.siblings))
	if share == 0 {
		return action.Result{}, &action.Failure{Reason: reasonLoopLimit, Message: fmt.Sprintf(
			"loop limit: the %d triggers that may descend from one delivery, shared out among its actions, are used up; %s is not dispatched; make the Rules stop",
			maxKin, what.Trigger)}
	}
	payload, err := chainPayload(what)
	if err != nil {
		return action.Result{}, &action.Failure{Reason: action.ReasonInvalid, Message: err.Error()}
	}
	child := delivery.Delivery{
		ID:          delivery.ChildID(parent.ID, string(a.rule.UID), a.action.Name),
		Namespace:   r.namespace,
		Trigger:     what.Trigger,
		TraceTag:    parent.TraceTag,
		Sender:      parent.Sender,
		Received:    d.Now(),
		RuleVersion: parent.RuleVersion,
		Depth:       parent.Depth + 1,
		Kin:         share - 1,
		Payload:     payload,
	}
	if err := d.Store.Publish(ctx, child); err != nil {
		return action.Result{}, &action.Failure{Reason: action.ReasonUnavailable, Message: "storing the trigger: " + err.Error(), Retryable: true}
	}
	name := (&record{delivery: &child, namespace: r.namespace}).name()
	return action.Result{Object: "triggerinstance.hookstorm.dev/" + name}, nil
}

// chainPayload checks what is to be dispatched and returns its payload.
func chainPayload(what *v1alpha1.DispatchAction) ([]byte, error) {
	switch name := what.Trigger; {
	case name == v1alpha1.TriggerWebhook:
		return nil, fmt.Errorf("dispatch.trigger: %s comes from webhooks only", name)
	case name == "" || utf8.RuneCountInString(name) > maxTrigger || strings.ContainsFunc(name, unprintable):
		return nil, fmt.Errorf("dispatch.trigger: 1 to %d characters, all of which can be shown", maxTrigger)
	}
	if what.Payload == nil || string(what.Payload.Raw) == "null" {
		return nil, nil
	}
	if payload := what.Payload.Raw; json.Valid(payload) && payload[0] == '{' {
		return payload, nil
	}
	return nil, fmt.Errorf("dispatch.payload: a payload is an object")
}

// unprintable reports whether a terminal might obey a character instead of showing it.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }
