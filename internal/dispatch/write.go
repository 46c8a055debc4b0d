package dispatch

import (
	"context"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// writeTimeout bounds one attempt to write a record. An attempt outlives the end of the Dispatcher's context by as much.
const writeTimeout = 10 * time.Second

// writeBackoff is the time between attempts while the API server does not answer; it stays at its cap.
var writeBackoff = wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 7, Cap: 10 * time.Second}

// write writes a record and reports whether the delivery needs it no more: it was written, now or before, or history has
// passed it by, or it can never be written, which is counted. False means that ctx ended first.
func (d *Dispatcher) write(ctx context.Context, r *record) bool {
	backoff := writeBackoff
	for {
		if r.passedBy(&d.windows) {
			recordsSkipped.WithLabelValues(skippedWindow).Inc()
			return true
		}
		err := d.create(ctx, r)
		if err == nil || apierrors.IsAlreadyExists(err) {
			recordsWritten.WithLabelValues(string(r.kind())).Inc()
			return true
		}
		if reason := givenUp(err); reason != "" {
			recordsSkipped.WithLabelValues(reason).Inc()
			d.Log.V(1).Info("A record was given up", "namespace", r.namespace, "delivery", r.delivery.ID, "reason", reason, "error", err.Error())
			return true
		}
		d.Log.V(1).Info("A record waits", "namespace", r.namespace, "delivery", r.delivery.ID, "error", err.Error())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(backoff.Step()):
		}
	}
}

// create makes one attempt. It is finished even when ctx ends meanwhile: the delivery is done sooner than after a restart.
func (d *Dispatcher) create(ctx context.Context, r *record) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	var object client.Object
	if r.kind() == v1alpha1.RecordEvent {
		object = r.event(d.Now())
	} else {
		object = r.instance(d.Now())
	}
	return d.Client.Create(ctx, object, client.FieldOwner(v1alpha1.ManagedByHookStorm))
}

// givenUp returns why a record can never be written, or "" if it may be later.
func givenUp(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return ""
	}
	switch details := status.Status().Details; {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return skippedNamespace
	case apierrors.IsNotFound(err) && details != nil && details.Kind == "namespaces":
		return skippedNamespace
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return skippedQuota
	case apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsBadRequest(err):
		return skippedInvalid
	}
	return ""
}
