package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=webhooks/status,verbs=patch

// NewWebhookReconciler returns the reconciler that writes the status of Webhooks.
func NewWebhookReconciler(c client.Client, l Leader, p *Programmer) *StatusReconciler[*v1alpha1.Webhook] {
	return &StatusReconciler[*v1alpha1.Webhook]{
		client: c, leader: l, programmer: p, feed: &p.webhooks,
		empty: func() *v1alpha1.Webhook { return &v1alpha1.Webhook{} },
		apply: applyWebhookStatus,
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
	return true
}
