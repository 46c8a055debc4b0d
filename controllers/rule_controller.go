package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=rules/status,verbs=patch

// NewRuleReconciler returns the reconciler that writes the status of Rules.
func NewRuleReconciler(c client.Client, l Leader, p *Programmer) *StatusReconciler[*v1alpha1.Rule] {
	return &StatusReconciler[*v1alpha1.Rule]{
		client: c, leader: l, programmer: p, feed: &p.rules,
		empty: func() *v1alpha1.Rule { return &v1alpha1.Rule{} },
		apply: applyRuleStatus,
	}
}

func applyRuleStatus(p *program, object *v1alpha1.Rule) bool {
	wanted := p.rules[object.UID]
	if wanted == nil || wanted.ObservedGeneration != object.Generation {
		return false
	}
	setConditions(object, wanted.Conditions)
	object.Status.ObservedGeneration = wanted.ObservedGeneration
	object.Status.Webhook = wanted.Webhook
	object.Status.Path = wanted.Path
	return true
}
