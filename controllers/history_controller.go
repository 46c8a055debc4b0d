package controllers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// historyDelay is how long history waits after a record, so that one look serves many.
	historyDelay = 500 * time.Millisecond
	// historyDeletes is how many deletes are under way at once.
	historyDeletes = 8
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggerinstances,verbs=get;list;watch;delete

// HistoryReconciler deletes the records that history no longer holds, oldest first. One request covers the cluster. Only
// the leader's deletes.
type HistoryReconciler struct {
	Client client.Client
	Leader Leader
	Limits HistoryLimits
	Now    func() time.Time
	feed   feed
}

// historyRequest is the one request.
var historyRequest = reconcile.Request{NamespacedName: types.NamespacedName{Name: "history"}}

// SetupWithManager registers the reconciler. It sees metadata alone, so that no payload is cached.
func (r *HistoryReconciler) SetupWithManager(mgr ctrl.Manager) error {
	soon := handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { q.AddAfter(historyRequest, historyDelay) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { q.AddAfter(historyRequest, historyDelay) },
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("history").
		WatchesMetadata(&v1alpha1.TriggerInstance{}, soon).
		Watches(&v1alpha1.Webhook{}, soon, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.feed.source()).
		Complete(r)
}

// LookAgain has history looked at again, which a new leader does.
func (r *HistoryReconciler) LookAgain(context.Context) error {
	r.feed.add(historyRequest)
	return nil
}

// Reconcile drops what history does not hold.
func (r *HistoryReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	if !r.Leader.Leading() {
		return ctrl.Result{}, nil
	}
	entries, err := r.entries(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	settings, err := r.settings(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Now()
	drop, next := r.Limits.surplus(entries, settings, now)
	if err := r.delete(ctx, drop); err != nil && ctx.Err() == nil {
		return ctrl.Result{}, err
	}
	if next.IsZero() {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(next.Sub(now), historyDelay)}, nil
}

// entries returns the records; objects that ask for a dispatch are none.
func (r *HistoryReconciler) entries(ctx context.Context) ([]entry, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("TriggerInstanceList"))
	err := r.Client.List(ctx, &list, client.HasLabels{v1alpha1.LabelOutcome, v1alpha1.LabelDelivery}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing trigger instances: %w", err)
	}
	entries := make([]entry, 0, len(list.Items))
	for i := range list.Items {
		o := &list.Items[i]
		if !o.DeletionTimestamp.IsZero() {
			continue
		}
		entries = append(entries, entry{
			namespace: o.Namespace,
			name:      o.Name,
			webhook:   v1alpha1.LabelValue(o, v1alpha1.LabelWebhook),
			outcome:   o.Labels[v1alpha1.LabelOutcome],
			delivery:  o.Labels[v1alpha1.LabelDelivery],
			created:   o.CreationTimestamp.Time,
			bytes:     storedBytes(o.Annotations[v1alpha1.AnnotationBytes]),
		})
	}
	return entries, nil
}

// maxStoredBytes is the largest payload that a record holds.
const maxStoredBytes = 256 << 10

// storedBytes reads a record's size within its bounds; what cannot be read counts as the largest.
func storedBytes(annotation string) int64 {
	bytes, err := strconv.ParseInt(annotation, 10, 64)
	if err != nil || bytes < 0 || bytes > maxStoredBytes {
		return maxStoredBytes
	}
	return bytes
}

// settings returns what Webhooks say about their history, by the namespace of a record and its spec.webhook.
func (r *HistoryReconciler) settings(ctx context.Context) (func(namespace, webhook string) *v1alpha1.WebhookHistory, error) {
	var webhooks v1alpha1.WebhookList
	if err := r.Client.List(ctx, &webhooks, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing webhooks: %w", err)
	}
	histories := make(map[types.NamespacedName]*v1alpha1.WebhookHistory, len(webhooks.Items))
	for i := range webhooks.Items {
		histories[client.ObjectKeyFromObject(&webhooks.Items[i])] = webhooks.Items[i].Spec.History
	}
	return func(namespace, webhook string) *v1alpha1.WebhookHistory {
		if other, name, ok := strings.Cut(webhook, "/"); ok {
			namespace, webhook = other, name
		}
		return histories[types.NamespacedName{Namespace: namespace, Name: webhook}]
	}, nil
}

// delete deletes entries, some at once.
func (r *HistoryReconciler) delete(ctx context.Context, drop []entry) error {
	var mu sync.Mutex
	var failure error
	var deleting sync.WaitGroup
	slots := make(chan struct{}, historyDeletes)
	for _, e := range drop {
		slots <- struct{}{}
		deleting.Go(func() {
			defer func() { <-slots }()
			o := &v1alpha1.TriggerInstance{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: e.name}}
			if err := client.IgnoreNotFound(r.Client.Delete(ctx, o)); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failure = fmt.Errorf("deleting trigger instance %s/%s: %w", e.namespace, e.name, err)
			}
		})
	}
	deleting.Wait()
	return failure
}
