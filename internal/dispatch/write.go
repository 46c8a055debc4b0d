package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// writeTimeout bounds one attempt to write a record. An attempt outlives the end of the Dispatcher's context by as much.
	writeTimeout = 10 * time.Second
	// firstRetryDelay is the time before the second attempt; it doubles with each until maxRetryDelay, and stays there: an
	// API server may be away for any length of time.
	firstRetryDelay   = 100 * time.Millisecond
	maxRetryDelay     = 10 * time.Second
	maxRetryDoublings = 7
	// maxAdmissionAttempts is how often a record is tried, in about three minutes, while an admission webhook fails that has
	// to admit it: that may be for one namespace alone, whose records must not fill the window of all.
	maxAdmissionAttempts = 24
)

// write writes a record, and then lets the queue forget the delivery. What cannot be written now is tried again later; but
// a record of what is only postponed is worth one attempt, since another follows.
func (d *Dispatcher) write(ctx context.Context, r *record) {
	if r.attempts++; r.attempts == 1 {
		d.bury(ctx, r)
	}
	if d.written(ctx, r) || r.open() {
		r.done()
		return
	}
	delay := min(maxRetryDelay, firstRetryDelay<<min(r.attempts, maxRetryDoublings))
	d.passLater(ctx, r, wait.Jitter(delay, jitter), d.writing)
}

// bury keeps a delivery that failed for good and whose record cannot hold its payload, so that it can be replayed. Like the
// writing of the record, after which nothing else has the payload, it is finished even when ctx ends meanwhile.
func (d *Dispatcher) bury(ctx context.Context, r *record) {
	if r.outcome() != v1alpha1.OutcomeFailed || !r.webhook.History.KeepsPayload() || len(r.payload()) == len(r.delivery.Payload) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	if err := d.Store.Bury(ctx, workID(r.namespace, r.delivery.ID), *r.delivery); err != nil {
		d.Log.Error(err, "The payload of a failed delivery could not be kept whole", "namespace", r.namespace, "delivery", r.delivery.ID)
	}
}

// written makes one attempt to write a record and reports whether the delivery needs it no more: it was written, now or
// before, or history has passed it by, or it is not wanted, or it can never be written, which is counted.
func (d *Dispatcher) written(ctx context.Context, r *record) bool {
	switch kind := r.kind(); {
	case r.exists: // what was begun is ended, whatever history says by now
	case kind == v1alpha1.RecordNone, kind == v1alpha1.RecordEvent && r.open():
		return true
	case r.passedBy(&d.windows):
		recordsSkipped.WithLabelValues(skippedWindow).Inc()
		return true
	}
	err := d.put(ctx, r)
	if err == nil {
		recordsWritten.WithLabelValues(string(r.kind())).Inc()
		return true
	}
	log := d.Log.WithValues("namespace", r.namespace, "delivery", r.delivery.ID, "error", err.Error())
	if reason := givenUp(err, r.attempts); reason != "" {
		recordsSkipped.WithLabelValues(reason).Inc()
		log.Info("A record was given up", "reason", reason)
		return true
	}
	log.V(1).Info("A record waits")
	return false
}

// put makes one attempt. It is finished even when ctx ends meanwhile: the delivery is done sooner than after a restart.
func (d *Dispatcher) put(ctx context.Context, r *record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	instance := r.instance(d.Now())
	if r.exists {
		err := d.change(ctx, instance)
		if !apierrors.IsNotFound(err) {
			return err
		}
		// History has dropped it, or it was never written. Its end is recorded as if it had not been.
		if r.open() || r.kind() == v1alpha1.RecordNone || r.passedBy(&d.windows) {
			return nil
		}
	}
	if r.kind() == v1alpha1.RecordEvent {
		return ignoreAlreadyExists(d.Client.Create(ctx, r.event(d.Now()), client.FieldOwner(v1alpha1.ManagedByHookStorm)))
	}
	err := d.Client.Create(ctx, instance.DeepCopy(), client.FieldOwner(v1alpha1.ManagedByHookStorm))
	if apierrors.IsAlreadyExists(err) && r.acted() && !r.open() {
		// This delivery was processed before, up to where its actions were postponed.
		return d.change(ctx, instance)
	}
	return ignoreAlreadyExists(err)
}

// unfinished are the phases of a TriggerInstance that has no outcome yet.
var unfinished = []v1alpha1.Phase{v1alpha1.PhaseProcessing, v1alpha1.PhasePending}

// testFailed reports whether an error says that the test of a JSON patch failed. An API server answers that with Invalid, and
// names no field, as it does for an object that is invalid.
func testFailed(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || len(details.Causes) == 0
}

// change writes the outcome into a TriggerInstance that has none yet. One that has another by now keeps it.
func (d *Dispatcher) change(ctx context.Context, instance *v1alpha1.TriggerInstance) error {
	for _, phase := range unfinished {
		err := d.changeFrom(ctx, instance, phase)
		if !testFailed(err) {
			return err
		}
	}
	return nil
}

// changeFrom writes the outcome into a TriggerInstance that is in a phase.
func (d *Dispatcher) changeFrom(ctx context.Context, instance *v1alpha1.TriggerInstance, phase v1alpha1.Phase) error {
	patch, err := json.Marshal([]operation{
		{Op: "test", Path: "/spec/deliveryID", Value: instance.Spec.DeliveryID}, // not another of its name
		{Op: "test", Path: "/status/phase", Value: phase},
		{Op: "replace", Path: "/status", Value: instance.Status},
		{Op: "add", Path: "/metadata/labels/" + pointerToken(v1alpha1.LabelOutcome), Value: instance.Labels[v1alpha1.LabelOutcome]},
	})
	if err != nil {
		return fmt.Errorf("encoding the outcome: %w", err)
	}
	target := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: instance.Namespace, Name: instance.Name}}
	return d.Client.Patch(ctx, target, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(v1alpha1.ManagedByHookStorm))
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// pointerToken writes a key as a part of a JSON pointer (RFC 6901).
func pointerToken(key string) string { return strings.ReplaceAll(key, "/", "~1") }

func ignoreAlreadyExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// givenUp returns why a record can never be written, or "" if it may be later.
func givenUp(err error, attempts int) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return ""
	}
	details := status.Status().Details
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return skippedNamespace
	case apierrors.IsNotFound(err) && details != nil && details.Kind == "namespaces":
		return skippedNamespace
	case apierrors.IsForbidden(err):
		return forbidden(err)
	case strings.Contains(err.Error(), "failed calling webhook") && attempts >= maxAdmissionAttempts:
		return skippedAdmission
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsBadRequest(err):
		return skippedInvalid
	}
	return ""
}

// forbidden tells a quota and somebody's policy from RBAC, which an administrator mends.
func forbidden(err error) string {
	switch {
	case strings.Contains(err.Error(), "exceeded quota"):
		return skippedQuota
	case strings.Contains(err.Error(), "cannot create resource"), strings.Contains(err.Error(), "cannot patch resource"):
		return ""
	default:
		return skippedAdmission
	}
}
