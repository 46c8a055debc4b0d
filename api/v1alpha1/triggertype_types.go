package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TriggerTypeSpec describes a trigger.
//
// +kubebuilder:validation:XValidation:rule="self.type == oldSelf.type",message="spec.type: immutable; delete the TriggerType and create another"
type TriggerTypeSpec struct {
	// type is the trigger's name as senders and Rules give it; free-form, immutable. Where several TriggerTypes of a
	// namespace describe one name, the oldest that is accepted counts. 1 to 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Type string `json:"type"`

	// description is for people. Omitted: none. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// payloadSchema is a JSON Schema (2020-12) for the payload that a sender gives to a generic webhook of the namespace.
	// Omitted: any payload. References to other documents are not followed. One that does not compile makes the TriggerType
	// Accepted=False, and it is not enforced.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	PayloadSchema *apiextensionsv1.JSON `json:"payloadSchema,omitempty"`
}

// TriggerTypeStatus is what HookStorm made of a TriggerType.
type TriggerTypeStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TriggerType describes a trigger: its name, and which payloads it takes. It is optional.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=tt,categories=hookstorm
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`,description="The trigger's type"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether it is enforced"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].reason`,description="Why it is or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TriggerType struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the trigger.
	// +required
	Spec TriggerTypeSpec `json:"spec"`

	// status is what HookStorm made of it.
	// +optional
	Status TriggerTypeStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions, which the caller may change.
func (t *TriggerType) GetConditions() *[]metav1.Condition { return &t.Status.Conditions }

// TriggerTypeList is a list of TriggerTypes.
//
// +kubebuilder:object:root=true
type TriggerTypeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TriggerType `json:"items"`
}
