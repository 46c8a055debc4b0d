package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// refusedError says why a TriggerInstance asks for what cannot be dispatched.
type refusedError struct{ why string }

func (e *refusedError) Error() string { return e.why }

func refuse(format string, arguments ...any) error {
	return &refusedError{fmt.Sprintf(format, arguments...)}
}

// maxInjected is the largest payload that is dispatched: that of the largest body that a webhook takes.
const maxInjected = 7 << 20

// contextMember is the member of a replayed payload that names the original, as StackStorm's re-emit has it.
const contextMember = "__context"

// resolve returns the payload that a TriggerInstance asks to have dispatched; for a replay it fills in the trigger too. The
// error is a *refusedError where there is none.
func (r *InjectionReconciler) resolve(ctx context.Context, instance *v1alpha1.TriggerInstance) ([]byte, error) {
	claimed := instance.Spec.DeliveryID != "" && int64(len(instance.Spec.Payload)) == instance.Spec.PayloadSize
	if instance.Spec.ReplayOf == "" || claimed {
		payload := []byte(instance.Spec.Payload)
		_, err := members(payload)
		return payload, err
	}
	var original v1alpha1.TriggerInstance
	key := types.NamespacedName{Namespace: instance.Namespace, Name: instance.Spec.ReplayOf}
	if err := r.Live.Get(ctx, key, &original); apierrors.IsNotFound(err) {
		return nil, refuse("spec.replayOf: this namespace has no TriggerInstance %s; name one that kubectl get triggerinstances lists", key.Name)
	} else if err != nil {
		return nil, fmt.Errorf("reading the original of a replay: %w", err)
	}
	if original.Spec.Trigger.Type == "" {
		return nil, refuse("spec.replayOf: TriggerInstance %s has not been dispatched itself; wait until it has a status", key.Name)
	}
	payload, err := r.whole(ctx, &original)
	if err != nil {
		return nil, err
	}
	instance.Spec.Trigger = original.Spec.Trigger
	return withContext(payload, original.Name)
}

// whole returns the whole payload of a record.
func (r *InjectionReconciler) whole(ctx context.Context, original *v1alpha1.TriggerInstance) ([]byte, error) {
	spec := &original.Spec
	if int64(len(spec.Payload)) >= spec.PayloadSize {
		return []byte(spec.Payload), nil
	}
	payload, found, err := r.Injector.Unearth(ctx, original.Namespace, spec.DeliveryID)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the payload of the original of a replay: %w", err)
	case !found:
		return nil, refuse("spec.replayOf: TriggerInstance %s holds %d of the %d bytes of its payload, and the rest is not kept; have it sent again",
			original.Name, len(spec.Payload), spec.PayloadSize)
	}
	return payload, nil
}

// members reads a payload: an object, or nothing.
func members(payload []byte) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if len(payload) == 0 {
		return map[string]json.RawMessage{}, nil
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, refuse("spec.payload: needs to be a JSON object, such as {\"attribute1\": \"value1\"}, got: %s", wrong.Value)
		}
		return nil, refuse("spec.payload: not a JSON text: %v", err)
	}
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	return all, nil
}

// withContext returns a payload that names the original it replays.
func withContext(payload []byte, original string) ([]byte, error) {
	all, err := members(payload)
	if err != nil {
		return nil, err
	}
	if all[contextMember], err = json.Marshal(map[string]string{"original_id": original}); err != nil {
		return nil, fmt.Errorf("naming the original: %w", err)
	}
	var replayed bytes.Buffer
	encoder := json.NewEncoder(&replayed)
	encoder.SetEscapeHTML(false) // what was received is as long as it was
	if err := encoder.Encode(all); err != nil {
		return nil, fmt.Errorf("encoding the payload of a replay: %w", err)
	}
	if replayed.Len() > maxInjected {
		return nil, refuse("spec.replayOf: the payload of TriggerInstance %s has more than %d bytes; have it sent again", original, maxInjected)
	}
	return bytes.TrimSpace(replayed.Bytes()), nil
}
