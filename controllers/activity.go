package controllers

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// activityPeriod is how often one object's last* fields are written at most.
	activityPeriod = time.Minute
	// activityTick is how often what is due is written.
	activityTick = time.Second
	// maxActivity bounds the objects that are waited for; what is beyond is not noted.
	maxActivity = 20_000
)

// Activity writes the last* fields of statuses: what was seen last, at most once a minute an object, by the replica that
// saw it. It notes without blocking, and is safe for concurrent use.
type Activity struct {
	client client.Client
	log    logr.Logger
	now    func() time.Time

	mu       sync.Mutex
	rules    map[types.NamespacedName]*seen[v1alpha1.RuleStatus]
	webhooks map[types.NamespacedName]*seen[v1alpha1.WebhookStatus]
}

// seen is what is to be written into one object's status, and when it was written last.
type seen[S any] struct {
	written time.Time
	pending bool
	status  S
}

// NewActivity returns an Activity that writes through a client.
func NewActivity(c client.Client, log logr.Logger, now func() time.Time) *Activity {
	return &Activity{
		client: c, log: log, now: now,
		rules:    map[types.NamespacedName]*seen[v1alpha1.RuleStatus]{},
		webhooks: map[types.NamespacedName]*seen[v1alpha1.WebhookStatus]{},
	}
}

// Delivered notes that a webhook's delivery was dispatched.
func (a *Activity) Delivered(namespace, webhook string, at time.Time) {
	note(a, a.webhooks, namespace, webhook, func(s *v1alpha1.WebhookStatus) { s.LastDeliveryTime = &metav1.Time{Time: at} })
}

// Rejected notes that a request to a webhook was refused.
func (a *Activity) Rejected(namespace, webhook, reason string) {
	note(a, a.webhooks, namespace, webhook, func(s *v1alpha1.WebhookStatus) {
		s.LastRejection = &v1alpha1.Rejection{Time: metav1.NewTime(a.now()), Reason: reason}
	})
}

// Evaluated notes what a Rule made of a trigger; instance is the name of its record, "" where there is none.
func (a *Activity) Evaluated(namespace string, outcome v1alpha1.RuleOutcome, instance string, at time.Time) {
	switch outcome.Result {
	case v1alpha1.ResultMatched:
		note(a, a.rules, namespace, outcome.Name, func(s *v1alpha1.RuleStatus) {
			s.LastTriggerTime, s.LastTriggerInstance = &metav1.Time{Time: at}, instance
		})
	case v1alpha1.ResultFailed:
		note(a, a.rules, namespace, outcome.Name, func(s *v1alpha1.RuleStatus) {
			s.LastFailure = &v1alpha1.Failure{Time: metav1.NewTime(at), Message: outcome.Message}
		})
	}
}

// note changes what is to be written into one object's status.
func note[S any](a *Activity, all map[types.NamespacedName]*seen[S], namespace, name string, change func(*S)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := types.NamespacedName{Namespace: namespace, Name: name}
	one := all[key]
	if one == nil {
		if len(all) >= maxActivity {
			return
		}
		one = &seen[S]{}
		all[key] = one
	}
	one.pending = true
	change(&one.status)
}

// NeedLeaderElection says that every replica writes what it saw.
func (a *Activity) NeedLeaderElection() bool { return false }

// Start writes what is due until ctx ends.
func (a *Activity) Start(ctx context.Context) error {
	ticker := time.NewTicker(activityTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			a.write(ctx)
		}
	}
}

// write writes what is due.
func (a *Activity) write(ctx context.Context) {
	for key, status := range due(a, a.rules) {
		object := &v1alpha1.Rule{Status: status}
		object.Namespace, object.Name = key.Namespace, key.Name
		a.patch(ctx, &v1alpha1.Rule{ObjectMeta: object.ObjectMeta}, object)
	}
	for key, status := range due(a, a.webhooks) {
		object := &v1alpha1.Webhook{Status: status}
		object.Namespace, object.Name = key.Namespace, key.Name
		a.patch(ctx, &v1alpha1.Webhook{ObjectMeta: object.ObjectMeta}, object)
	}
}

// patch writes one status. What cannot be written is dropped: the next that is seen is as good.
func (a *Activity) patch(ctx context.Context, was, is client.Object) {
	err := a.client.Status().Patch(ctx, is, client.MergeFrom(was), client.FieldOwner(v1alpha1.ManagedByHookStorm))
	if client.IgnoreNotFound(err) != nil {
		a.log.V(1).Info("Writing what was last seen failed", "namespace", is.GetNamespace(), "name", is.GetName(), "error", err.Error())
	}
}

// due takes what is to be written now, and forgets objects of which nothing was seen for a while.
func due[S any](a *Activity, all map[types.NamespacedName]*seen[S]) map[types.NamespacedName]S {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	ready := map[types.NamespacedName]S{}
	for key, one := range all {
		switch {
		case now.Sub(one.written) < activityPeriod:
		case !one.pending:
			delete(all, key)
		default:
			ready[key] = one.status
			*one = seen[S]{written: now}
		}
	}
	return ready
}
