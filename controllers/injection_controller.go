package controllers

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// Injector dispatches triggers that TriggerInstances ask for. Its methods are safe for concurrent use.
type Injector interface {
	// DeliveryID returns the id of the delivery that a TriggerInstance asks for, always the same.
	DeliveryID(instance *v1alpha1.TriggerInstance) string
	// Inject stores the trigger of a claimed TriggerInstance, with its whole payload, so that nothing short of a lost disk
	// loses it. Doing it again has no other effect.
	Inject(ctx context.Context, instance *v1alpha1.TriggerInstance, payload []byte) error
	// Unearth returns the whole payload of a delivery that failed in a namespace and whose record there holds only a part;
	// found is false where it is not kept.
	Unearth(ctx context.Context, namespace, deliveryID string) (payload []byte, found bool, err error)
}

// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances,verbs=get;list;watch;patch

// InjectionReconciler dispatches what TriggerInstances without a deliveryID ask for. It claims one, in one write that gives
// it a deliveryID, and then has it stored; what it had claimed when it was killed it stores again. Only the leader's does.
type InjectionReconciler struct {
	Client   client.Client
	Live     client.Reader // reads from the API server itself: a claim must be seen at once
	Leader   Leader
	Injector Injector
	feed     feed
}

// SetupWithManager registers the reconciler, and a cache of what asks for a dispatch, which is little: records are many.
func (r *InjectionReconciler) SetupWithManager(mgr ctrl.Manager) error {
	unclaimed, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(),
		Mapper: mgr.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{&v1alpha1.TriggerInstance{}: {
			Field: fields.OneTermEqualSelector("spec.deliveryID", ""), Transform: withoutPayload,
		}},
	})
	if err != nil {
		return fmt.Errorf("preparing the cache of requested dispatches: %w", err)
	}
	if err := mgr.Add(unclaimed); err != nil {
		return fmt.Errorf("adding the cache of requested dispatches: %w", err)
	}
	each := &handler.TypedEnqueueRequestForObject[*v1alpha1.TriggerInstance]{}
	return ctrl.NewControllerManagedBy(mgr).
		Named("injection").
		WatchesRawSource(source.Kind(unclaimed, &v1alpha1.TriggerInstance{}, each)).
		WatchesRawSource(r.feed.source()).
		Complete(r)
}

func withoutPayload(object any) (any, error) {
	if instance, ok := object.(*v1alpha1.TriggerInstance); ok {
		instance.Spec.Payload, instance.ManagedFields = "", nil
	}
	return object, nil
}

// LookAtAll has what asks for a dispatch looked at, and what was claimed and has come no further, which a new leader does.
func (r *InjectionReconciler) LookAtAll(ctx context.Context) error {
	for _, selector := range []client.MatchingFields{{"spec.deliveryID": ""}, {"status.phase": string(v1alpha1.PhasePending)}} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TriggerInstanceList"))
		if err := r.Live.List(ctx, &list, selector); err != nil {
			return fmt.Errorf("listing trigger instances: %w", err)
		}
		for i := range list.Items {
			r.feed.add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return nil
}

// Reconcile claims and dispatches one TriggerInstance.
func (r *InjectionReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.Leader.Leading() {
		return ctrl.Result{}, nil
	}
	var instance v1alpha1.TriggerInstance
	if err := r.Live.Get(ctx, request.NamespacedName, &instance); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !instance.DeletionTimestamp.IsZero() || !r.asksForDispatch(&instance) {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.dispatch(ctx, &instance)
}

// asksForDispatch reports whether a TriggerInstance is unclaimed, or claimed and no further. One that was restored from a
// backup while it was claimed has another UID, and is a record.
func (r *InjectionReconciler) asksForDispatch(instance *v1alpha1.TriggerInstance) bool {
	if instance.Spec.DeliveryID == "" {
		return true
	}
	return instance.Status != nil && instance.Status.Phase == v1alpha1.PhasePending &&
		instance.Spec.DeliveryID == r.Injector.DeliveryID(instance)
}

// dispatch claims a TriggerInstance unless it is claimed, and has its trigger stored.
func (r *InjectionReconciler) dispatch(ctx context.Context, instance *v1alpha1.TriggerInstance) error {
	was := instance.DeepCopy()
	payload, err := r.resolve(ctx, instance)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return r.claim(ctx, was, instance, nil, notDispatched(refused.why))
	case err != nil:
		return err
	}
	if instance.Spec.DeliveryID == "" {
		if err := r.claim(ctx, was, instance, payload, pending()); err != nil {
			return err
		}
	}
	if err := r.Injector.Inject(ctx, instance, payload); err != nil {
		return fmt.Errorf("storing the trigger of %s: %w", instance.Name, err)
	}
	return nil
}

// claim gives a TriggerInstance its deliveryID and a status, unless somebody has changed it since it was read.
func (r *InjectionReconciler) claim(
	ctx context.Context, was, instance *v1alpha1.TriggerInstance, payload []byte, status *v1alpha1.TriggerInstanceStatus,
) error {
	if instance.Spec.DeliveryID == "" {
		r.describe(instance, payload)
	}
	instance.Status = status
	// Without an outcome, history does not count what somebody asked for.
	if status.Phase == v1alpha1.PhaseProcessingFailed {
		v1alpha1.SetLabel(instance, v1alpha1.LabelOutcome, v1alpha1.OutcomeFailed)
	}
	patch := client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, instance, patch, client.FieldOwner(v1alpha1.ManagedByHookStorm)); err != nil {
		return fmt.Errorf("claiming %s: %w", instance.Name, err)
	}
	return nil
}

// describe fills in what a record says of its delivery.
func (r *InjectionReconciler) describe(instance *v1alpha1.TriggerInstance, payload []byte) {
	occurred := metav1.NewMicroTime(instance.CreationTimestamp.Time)
	spec := &instance.Spec
	spec.DeliveryID = r.Injector.DeliveryID(instance)
	spec.OccurrenceTime = &occurred
	spec.PayloadSize = int64(len(payload))
	if spec.ReplayOf != "" && len(payload) <= maxStoredBytes {
		spec.Payload = string(payload)
	}
	if spec.TraceTag == "" {
		spec.TraceTag = "trigger_instance-" + instance.Name
	}
	v1alpha1.SetLabel(instance, v1alpha1.LabelDelivery, spec.DeliveryID)
	annotations := instance.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationBytes] = strconv.Itoa(len(spec.Payload))
	instance.SetAnnotations(annotations)
}

func pending() *v1alpha1.TriggerInstanceStatus {
	return &v1alpha1.TriggerInstanceStatus{Phase: v1alpha1.PhasePending}
}

// notDispatched is the status of a TriggerInstance that asks for what cannot be.
func notDispatched(why string) *v1alpha1.TriggerInstanceStatus {
	now := metav1.NowMicro()
	status := &v1alpha1.TriggerInstanceStatus{Phase: v1alpha1.PhaseProcessingFailed, StartTime: &now, CompletionTime: &now}
	meta.SetStatusCondition(&status.Conditions, no(v1alpha1.ConditionSucceeded, v1alpha1.ReasonNotDispatched, cutMessage(why)))
	return status
}
