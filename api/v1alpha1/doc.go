// Package v1alpha1 holds the resources of the group hookstorm.dev: Rule, Webhook, TriggerInstance and TriggerType, with
// the vocabulary of their conditions, labels and annotations. It holds no logic beyond the defaults of omitted fields.
//
// +kubebuilder:object:generate=true
// +groupName=hookstorm.dev
package v1alpha1
