package dispatch

import (
	"context"
	"errors"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/queue"
	"github.com/hookstorm/hookstorm/internal/rule"
)

// Injector stores triggers that TriggerInstances ask for. Its methods are safe for concurrent use.
type Injector struct {
	// Queue stores them.
	Queue *queue.Queue
}

// DeliveryID returns the id of what a TriggerInstance asks for.
func (i *Injector) DeliveryID(instance *v1alpha1.TriggerInstance) string {
	return delivery.IDAt(instance.CreationTimestamp.Time, string(instance.UID))
}

// Inject stores the trigger of a claimed TriggerInstance, once.
func (i *Injector) Inject(ctx context.Context, instance *v1alpha1.TriggerInstance, payload []byte) error {
	spec := &instance.Spec
	_, _, err := i.Queue.PublishOnce(ctx, string(instance.UID), delivery.Delivery{
		ID:         spec.DeliveryID,
		Namespace:  instance.Namespace,
		Trigger:    spec.Trigger.Type,
		Parameters: rule.Parameters(spec.Trigger.Parameters),
		TraceTag:   spec.TraceTag,
		Sender:     spec.Sender,
		Received:   instance.CreationTimestamp.Time,
		Instance:   instance.Name,
		Payload:    payload,
	})
	return err
}

// Unearth returns the payload of a delivery that failed in a namespace and was buried.
func (i *Injector) Unearth(ctx context.Context, namespace, deliveryID string) (payload []byte, found bool, err error) {
	d, err := i.Queue.Exhume(ctx, workID(namespace, deliveryID))
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return d.Payload, true, nil
}
