package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=webhooks,verbs=create;delete;patch

// KeptWebhookReconciler keeps a Webhook for each url that Rules of a namespace name and no user's Webhook there has, so
// that the url is listed and has a status; traffic does not need it. A request names a namespace. Only the leader's writes.
type KeptWebhookReconciler struct {
	Client client.Client
	Leader Leader
	feed   feed
}

// SetupWithManager registers the reconciler.
func (r *KeptWebhookReconciler) SetupWithManager(mgr ctrl.Manager) error {
	namespace := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: object.GetNamespace()}}}
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("keptwebhook").
		Watches(&v1alpha1.Rule{}, namespace, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Webhook{}, namespace).
		WatchesRawSource(r.feed.source()).
		Complete(r)
}

// KeepAll has every namespace looked at again, which a new leader does.
func (r *KeptWebhookReconciler) KeepAll(ctx context.Context) error {
	var rules v1alpha1.RuleList
	var webhooks v1alpha1.WebhookList
	for _, list := range []client.ObjectList{&rules, &webhooks} {
		if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("listing %T: %w", list, err)
		}
	}
	for _, rule := range rules.Items {
		r.feed.add(reconcile.Request{NamespacedName: types.NamespacedName{Name: rule.Namespace}})
	}
	for _, webhook := range webhooks.Items {
		r.feed.add(reconcile.Request{NamespacedName: types.NamespacedName{Name: webhook.Namespace}})
	}
	return nil
}

// Reconcile brings the kept Webhooks of one namespace to what its Rules need.
func (r *KeptWebhookReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if !r.Leader.Leading() {
		return ctrl.Result{}, nil
	}
	var rules v1alpha1.RuleList
	var webhooks v1alpha1.WebhookList
	for _, list := range []client.ObjectList{&rules, &webhooks} {
		if err := r.Client.List(ctx, list, client.InNamespace(request.Name), client.UnsafeDisableDeepCopy); err != nil {
			return ctrl.Result{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	var errs []error
	for _, c := range claims(webhooks.Items, rules.Items) {
		errs = append(errs, r.keep(ctx, c, webhooks.Items))
	}
	return ctrl.Result{}, errors.Join(errs...)
}

// keep brings the Webhooks of one url to what its Rules need.
func (r *KeptWebhookReconciler) keep(ctx context.Context, c *claim, existing []v1alpha1.Webhook) error {
	if c.webhook == nil {
		return r.create(ctx, c, existing)
	}
	if err := r.release(ctx, c.webhook); err != nil {
		return err
	}
	surplus := c.others
	if len(c.rules) == 0 {
		surplus = append(surplus, c.webhook)
	}
	for _, w := range surplus {
		if err := r.remove(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// create makes the Webhook of a url that only Rules name.
func (r *KeptWebhookReconciler) create(ctx context.Context, c *claim, existing []v1alpha1.Webhook) error {
	name := keptName(c.key.URL, func(name string) bool {
		return slices.ContainsFunc(existing, func(w v1alpha1.Webhook) bool { return w.Name == name })
	})
	w := &unstructured.Unstructured{}
	w.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Webhook"))
	w.SetNamespace(c.key.Namespace)
	w.SetName(name)
	w.SetLabels(map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedByHookStorm})
	w.Object["spec"] = map[string]any{"url": c.key.URL}
	// Applied, not created, so that HookStorm owns these fields and no default: a user applies over the rest without a
	// conflict. Should the name have become a user's meanwhile, his url conflicts, and nothing is changed.
	err := r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(w), client.FieldOwner(v1alpha1.ManagedByHookStorm))
	if unlessStale(err) != nil {
		return fmt.Errorf("keeping a Webhook for url %s: %w", c.key.URL, err)
	}
	return nil
}

// release takes HookStorm's label off a Webhook that somebody has applied over: from then on it is theirs for all to see.
func (r *KeptWebhookReconciler) release(ctx context.Context, w *v1alpha1.Webhook) error {
	if kept(w) || w.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedByHookStorm || slices.ContainsFunc(w.ManagedFields, setsLabel) {
		return nil
	}
	theirs := w.DeepCopy()
	delete(theirs.Labels, v1alpha1.LabelManagedBy)
	patch := client.MergeFromWithOptions(w, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, theirs, patch, client.FieldOwner(v1alpha1.ManagedByHookStorm)); unlessStale(err) != nil {
		return fmt.Errorf("releasing Webhook %s: %w", w.Name, err)
	}
	return nil
}

// setsLabel reports whether somebody else sets HookStorm's label too, as a manifest does that was exported: it is theirs.
func setsLabel(f metav1.ManagedFieldsEntry) bool {
	return f.Manager != v1alpha1.ManagedByHookStorm && f.FieldsV1 != nil &&
		strings.Contains(f.FieldsV1.GetRawString(), `"f:`+v1alpha1.LabelManagedBy+`"`)
}

// remove deletes a kept Webhook that no Rule needs, unless somebody has written to it since it was read.
func (r *KeptWebhookReconciler) remove(ctx context.Context, w *v1alpha1.Webhook) error {
	if !kept(w) || !w.DeletionTimestamp.IsZero() {
		return nil
	}
	unchanged := client.Preconditions{UID: &w.UID, ResourceVersion: &w.ResourceVersion}
	if err := r.Client.Delete(ctx, w, unchanged); unlessStale(err) != nil {
		return fmt.Errorf("deleting Webhook %s: %w", w.Name, err)
	}
	return nil
}

// unlessStale returns err, unless it only says that the cache is behind: the event that it waits for comes.
func unlessStale(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
