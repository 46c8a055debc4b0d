package controllers

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// +kubebuilder:rbac:groups=hookstorm.dev,resources=triggertypes/status,verbs=patch

// NewTriggerTypeReconciler returns the reconciler that writes the status of TriggerTypes.
func NewTriggerTypeReconciler(c client.Client, l Leader, p *Programmer) *StatusReconciler[*v1alpha1.TriggerType] {
	return &StatusReconciler[*v1alpha1.TriggerType]{
		client: c, leader: l, programmer: p, feed: &p.types,
		empty: func() *v1alpha1.TriggerType { return &v1alpha1.TriggerType{} },
		apply: applyTriggerTypeStatus,
	}
}

func applyTriggerTypeStatus(p *program, object *v1alpha1.TriggerType) bool {
	wanted := p.triggerTypes[object.UID]
	if wanted == nil || wanted.ObservedGeneration != object.Generation {
		return false
	}
	setConditions(object, wanted.Conditions)
	object.Status.ObservedGeneration = wanted.ObservedGeneration
	return true
}
