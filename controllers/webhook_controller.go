package controllers

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=webhooks/status,verbs=patch

// NewWebhookReconciler returns the reconciler that writes the status of Webhooks, and has an Event recorded about one that no
// longer admits whom it should.
func NewWebhookReconciler(c client.Client, l Leader, p *Programmer, recorder events.EventRecorder) *StatusReconciler[*v1alpha1.Webhook] {
	return &StatusReconciler[*v1alpha1.Webhook]{
		client: c, leader: l, programmer: p, feed: &p.webhooks,
		empty: func() *v1alpha1.Webhook { return &v1alpha1.Webhook{} },
		apply: applyWebhookStatus,
		tell:  func(was, is *v1alpha1.Webhook) { tellOfWebhook(recorder, was, is) },
	}
}

// tellOfWebhook records an Event about a condition that has become False, or is so for another reason. That a Webhook which
// HookStorm keeps is not accepted is nobody's to mend: it goes once a user's own has its url.
func tellOfWebhook(recorder events.EventRecorder, was, is *v1alpha1.Webhook) {
	for _, conditionType := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionResolvedRefs} {
		now := meta.FindStatusCondition(is.Status.Conditions, conditionType)
		before := meta.FindStatusCondition(was.Status.Conditions, conditionType)
		if now == nil || now.Status != metav1.ConditionFalse || conditionType == v1alpha1.ConditionAccepted && kept(is) ||
			before != nil && before.Status == now.Status && before.Reason == now.Reason && before.Message == now.Message {
			continue
		}
		recorder.Eventf(is, nil, corev1.EventTypeWarning, now.Reason, "Check", "%s", now.Message)
	}
}

func applyWebhookStatus(p *program, object *v1alpha1.Webhook) bool {
	wanted := p.webhooks[object.UID]
	if wanted == nil || wanted.ObservedGeneration != object.Generation {
		return false
	}
	setConditions(object, wanted.Conditions)
	object.Status.ObservedGeneration = wanted.ObservedGeneration
	object.Status.Path = wanted.Path
	object.Status.NamespacedPath = wanted.NamespacedPath
	object.Status.URL = wanted.URL
	object.Status.Authentication = wanted.Authentication
	object.Status.AttachedRules = wanted.AttachedRules
	maps.DeleteFunc(object.Status.Keys, func(name string, _ metav1.Time) bool {
		_, known := wanted.Keys[name]
		return !known
	})
	return true
}
