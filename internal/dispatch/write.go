package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// writeAll makes one attempt to write the records of a job, and reports whether none is left.
func (d *Dispatcher) writeAll(ctx context.Context, j *job) bool {
	j.attempts++
	j.records = slices.DeleteFunc(j.records, func(r *record) bool { return d.write(ctx, r, j.attempts) })
	return len(j.records) == 0
}

// write makes one attempt to write a record and reports whether the delivery needs it no more: it was written, now or
// before, or history has passed it by, or it can never be written, which is counted.
func (d *Dispatcher) write(ctx context.Context, r *record, attempts int) bool {
	if r.passedBy(&d.windows) {
		recordsSkipped.WithLabelValues(skippedWindow).Inc()
		return true
	}
	err := d.create(ctx, r)
	if err == nil || apierrors.IsAlreadyExists(err) {
		recordsWritten.WithLabelValues(string(r.kind())).Inc()
		return true
	}
	log := d.Log.WithValues("namespace", r.namespace, "delivery", r.delivery.ID, "error", err.Error())
	if reason := givenUp(err, attempts); reason != "" {
		recordsSkipped.WithLabelValues(reason).Inc()
		log.Info("A record was given up", "reason", reason)
		return true
	}
	log.V(1).Info("A record waits")
	return false
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
	case strings.Contains(err.Error(), "cannot create resource"):
		return ""
	default:
		return skippedAdmission
	}
}
