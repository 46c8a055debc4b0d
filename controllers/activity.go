package controllers

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
	"github.com/hookstorm/hookstorm/internal/rule"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	// activityPeriod is how often one object's last* fields are written at most.
	activityPeriod = time.Minute
	// activityTick is how often what is due is written.
	activityTick = time.Second
	// maxActivity bounds the objects that are waited for; what is beyond is not noted.
	maxActivity = 20_000

	// maxKeys bounds the keys of one Webhook that are noted between two writes.
	maxKeys = 64

	// fieldKeys is the field of a Webhook's status that says when its keys were used.
	fieldKeys = "keys"

	kindRule    = "Rule"
	kindWebhook = "Webhook"
)

// Activity writes the last* fields of statuses: what was seen last, at most once a minute an object, by the replica that
// saw it; and Events about Rules that fail, of which the recorder makes one series. It notes without blocking, and is safe
// for concurrent use.
type Activity struct {
	client client.Client
	events events.EventRecorder
	log    logr.Logger
	now    func() time.Time

	mu      sync.Mutex
	objects map[subject]*seen
}

// subject is an object of which something is seen: its kind and its name.
type subject struct {
	kind string
	types.NamespacedName
}

// seen is what is to be written into one object's status, and when it was written last. What is zero was not seen.
type seen struct {
	written time.Time
	noted   bool // something was seen since

	// Of a Webhook.
	delivered time.Time
	rejected  v1alpha1.Rejection
	keys      map[auth.Key]time.Time // when each admitted

	// Of a Rule.
	matched  time.Time
	instance string // that matched
	failed   v1alpha1.Failure
}

// NewActivity returns an Activity that writes through a client and a recorder.
func NewActivity(c client.Client, recorder events.EventRecorder, log logr.Logger, now func() time.Time) *Activity {
	return &Activity{client: c, events: recorder, log: log, now: now, objects: map[subject]*seen{}}
}

// Delivered notes that a webhook's delivery was dispatched.
func (a *Activity) Delivered(namespace, webhook string, at time.Time) {
	a.note(kindWebhook, namespace, webhook, func(s *seen) { s.delivered = at })
}

// Rejected notes that a request to a webhook was refused; webhook is "" for that of a url that nobody owns, which is noted in
// the same time and not written.
func (a *Activity) Rejected(namespace, webhook, reason string) {
	rejected := v1alpha1.Rejection{Time: metav1.NewTime(a.now()), Reason: reason}
	a.note(kindWebhook, namespace, webhook, func(s *seen) { s.rejected = rejected })
}

// Admitted notes that a key of a Secret admitted a request to a webhook of its namespace.
func (a *Activity) Admitted(webhook string, key auth.Key) {
	now := a.now()
	a.note(kindWebhook, key.Namespace, webhook, func(s *seen) {
		if _, noted := s.keys[key]; !noted && len(s.keys) >= maxKeys {
			return
		}
		if s.keys == nil {
			s.keys = map[auth.Key]time.Time{}
		}
		s.keys[key] = now
	})
}

// Evaluated notes what a Rule made of a trigger; instance is the name of its record, "" where there is none.
func (a *Activity) Evaluated(r *rule.Rule, outcome v1alpha1.RuleOutcome, instance string, at time.Time) {
	switch outcome.Result {
	case v1alpha1.ResultMatched:
		a.note(kindRule, r.Namespace, r.Name, func(s *seen) { s.matched, s.instance = at, instance })
	case v1alpha1.ResultFailed:
		failed := v1alpha1.Failure{Time: metav1.NewTime(at), Message: outcome.Message}
		a.note(kindRule, r.Namespace, r.Name, func(s *seen) { s.failed = failed })
		regarding := &v1alpha1.Rule{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: r.Name, UID: r.UID}}
		note := outcome.Message
		if instance != "" {
			note = instance + ": " + note
		}
		a.events.Eventf(regarding, nil, corev1.EventTypeWarning, outcome.Reason, "Dispatch", "%s", note)
	}
}

// note changes what is to be written into one object's status.
func (a *Activity) note(kind, namespace, name string, change func(*seen)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if one := a.object(kind, namespace, name); one != nil {
		change(one)
		one.noted = true
	}
}

// object returns what is seen of an object; nil where too many are waited for already.
func (a *Activity) object(kind, namespace, name string) *seen {
	key := subject{kind: kind, NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
	one := a.objects[key]
	if one == nil && len(a.objects) < maxActivity {
		one = &seen{}
		a.objects[key] = one
	}
	return one
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

// write writes what is due. What cannot be written is dropped: the next that is seen is as good.
func (a *Activity) write(ctx context.Context) {
	for key, one := range a.due() {
		if err := a.patch(ctx, key, one.fields()); err != nil {
			a.log.V(1).Info("Writing what was last seen failed", "kind", key.kind, "namespace", key.Namespace, "name", key.Name, "error", err.Error())
		}
	}
}

// patch writes one status.
func (a *Activity) patch(ctx context.Context, key subject, fields map[string]any) error {
	err := a.patchFields(ctx, key, fields)
	if apierrors.IsInvalid(err) && fields[fieldKeys] != nil {
		// More keys than a status holds; the rest of it does not wait for them.
		delete(fields, fieldKeys)
		err = a.patchFields(ctx, key, fields)
	}
	return err
}

func (a *Activity) patchFields(ctx context.Context, key subject, fields map[string]any) error {
	document, err := json.Marshal(map[string]any{"status": fields})
	if err != nil {
		return err
	}
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(key.kind))
	patch := client.RawPatch(types.MergePatchType, document)
	return client.IgnoreNotFound(a.client.Status().Patch(ctx, object, patch, client.FieldOwner(v1alpha1.ManagedByHookStorm)))
}

// due takes what is to be written now, and forgets objects of which nothing was seen for a while.
func (a *Activity) due() map[subject]*seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	ready := map[subject]*seen{}
	for key, one := range a.objects {
		switch {
		case key.Name == "":
			delete(a.objects, key)
		case now.Sub(one.written) < activityPeriod:
		case !one.noted:
			delete(a.objects, key)
		default:
			ready[key] = one
			a.objects[key] = &seen{written: now}
		}
	}
	return ready
}

// fields returns the fields of the status that are to be written.
func (s *seen) fields() map[string]any {
	fields := map[string]any{}
	if !s.delivered.IsZero() {
		fields["lastDeliveryTime"] = metav1.NewTime(s.delivered)
	}
	if s.rejected != (v1alpha1.Rejection{}) {
		fields["lastRejection"] = s.rejected
	}
	if len(s.keys) > 0 {
		keys := map[string]metav1.Time{}
		for key, used := range s.keys {
			keys[keyName(key)] = metav1.NewTime(used)
		}
		fields[fieldKeys] = keys
	}
	if !s.matched.IsZero() {
		fields["lastTriggerTime"], fields["lastTriggerInstance"] = metav1.NewTime(s.matched), nil
		if s.instance != "" {
			fields["lastTriggerInstance"] = s.instance
		}
	}
	if s.failed != (v1alpha1.Failure{}) {
		fields["lastFailure"] = s.failed
	}
	return fields
}

// keyName is how a Webhook's status names a key.
func keyName(key auth.Key) string { return key.Secret + "/" + key.Name }
