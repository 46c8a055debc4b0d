package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TriggerInstanceSpec is one dispatched trigger.
type TriggerInstanceSpec struct {
	// trigger is what was dispatched, or what is to be. Required without replayOf, which takes another's.
	// +optional
	Trigger Trigger `json:"trigger,omitzero"`

	// payload is the trigger's payload, a JSON text; where a dispatch is asked for, an object. A record keeps 64 KiB of it
	// where the trigger succeeded and 256 KiB where it failed, and cuts off the rest; payloadSize tells. Empty: there was
	// none, or it was not kept. At most 262144 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	Payload string `json:"payload,omitempty"`

	// payloadSize is the size of the whole payload in bytes.
	// +optional
	PayloadSize int64 `json:"payloadSize,omitempty"`

	// payloadDigest is "sha256:" and the digest of the whole payload in hexadecimal.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	PayloadDigest string `json:"payloadDigest,omitempty"`

	// webhook is the Webhook that accepted the delivery: its name, or namespace/name from another namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Webhook string `json:"webhook,omitempty"`

	// deliveryID is the id of the delivery that this object records. Only HookStorm sets it; with it the object is a record
	// and never dispatched.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DeliveryID string `json:"deliveryID,omitempty"`

	// occurrenceTime is when the delivery was accepted.
	// +optional
	OccurrenceTime *metav1.MicroTime `json:"occurrenceTime,omitempty"`

	// traceTag is the tag that the sender gave in the header St2-Trace-Tag, or one made for the delivery.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	TraceTag string `json:"traceTag,omitempty"`

	// sender is the address the request came from.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Sender string `json:"sender,omitempty"`

	// replayOf names another TriggerInstance of this namespace, whose trigger is to be dispatched again: its trigger and its
	// payload are taken, and the payload's __context.original_id names it. Omitted: trigger and payload are what is dispatched.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ReplayOf string `json:"replayOf,omitempty"`
}

// Trigger is a trigger's name with its parameters.
type Trigger struct {
	// type is the trigger's name. 1 to 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Type string `json:"type"`

	// parameters of the trigger: url for core.st2.webhook. At most 16.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Parameters map[string]ParameterValue `json:"parameters,omitempty"`
}

// Phase is how far a trigger instance has come.
//
// +kubebuilder:validation:Enum=Pending;Processing;Processed;ProcessingFailed
type Phase string

const (
	// PhasePending means that it was asked for and is on its way.
	PhasePending Phase = "Pending"
	// PhaseProcessing means that an action is still to be tried.
	PhaseProcessing Phase = "Processing"
	// PhaseProcessed means that every Rule was evaluated and every action done, or nothing matched.
	PhaseProcessed Phase = "Processed"
	// PhaseProcessingFailed means that a Rule could not be evaluated, or an action failed for good.
	PhaseProcessingFailed Phase = "ProcessingFailed"
)

// RuleResult is what a Rule made of a trigger.
//
// +kubebuilder:validation:Enum=Matched;NotMatched;Failed
type RuleResult string

const (
	// ResultMatched means that every criterion and every expression held.
	ResultMatched RuleResult = "Matched"
	// ResultNotMatched means that a criterion or an expression did not hold.
	ResultNotMatched RuleResult = "NotMatched"
	// ResultFailed means that the Rule could not be evaluated, or that an action failed for good.
	ResultFailed RuleResult = "Failed"
)

// The limits of a TriggerInstance's status.
const (
	// MaxRuleOutcomes is how many rules a status lists.
	MaxRuleOutcomes = 32
	// MaxMessage is how many characters a message has.
	MaxMessage = 512
)

// RuleOutcome is what one Rule made of a trigger, and why.
type RuleOutcome struct {
	// name of the Rule.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// result is Matched, NotMatched or Failed.
	// +required
	Result RuleResult `json:"result"`

	// reason is one word: Matched, NoCriteria, CriterionNotMet, CriterionFailed, EmptyPayload, ExpressionFalse,
	// ExpressionFailed, NotEvaluated, ActionFailed or Retrying.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message names the criterion or expression that decided, and what it saw. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// actions are what became of the Rule's actions, where it matched. At most 20.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Actions []ActionOutcome `json:"actions,omitempty"`
}

// ActionPhase is how far an action has come.
//
// +kubebuilder:validation:Enum=Succeeded;Retrying;Failed
type ActionPhase string

const (
	// ActionSucceeded means that it is done.
	ActionSucceeded ActionPhase = "Succeeded"
	// ActionRetrying means that it failed for now, or was not tried yet, and will be tried again.
	ActionRetrying ActionPhase = "Retrying"
	// ActionFailed means that it failed for good.
	ActionFailed ActionPhase = "Failed"
)

// ActionOutcome is what became of one action.
type ActionOutcome struct {
	// name of the action.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// phase is Succeeded, Retrying or Failed.
	// +required
	Phase ActionPhase `json:"phase"`

	// attempts is how often it was tried.
	// +optional
	Attempts int32 `json:"attempts,omitempty"`

	// message says why it failed, or what it did. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`

	// object is what was created, applied, patched or deleted, as kind.group/name in a namespace, or the trigger instance
	// that was dispatched. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Object string `json:"object,omitempty"`
}

// TriggerInstanceStatus is what became of a trigger.
type TriggerInstanceStatus struct {
	// phase is how far it has come.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// conditions are Succeeded.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// startTime is when its dispatch began.
	// +optional
	StartTime *metav1.MicroTime `json:"startTime,omitempty"`

	// completionTime is when it was done.
	// +optional
	CompletionTime *metav1.MicroTime `json:"completionTime,omitempty"`

	// matched counts the Rules that matched.
	// +optional
	Matched int32 `json:"matched"`

	// failed counts the Rules that could not be evaluated, or an action of which failed for good.
	// +optional
	Failed int32 `json:"failed,omitempty"`

	// notMatched counts the Rules that did not match.
	// +optional
	NotMatched int32 `json:"notMatched,omitempty"`

	// omitted counts the Rules that rules does not list.
	// +optional
	Omitted int32 `json:"omitted,omitempty"`

	// violation says how the payload violates its schema, when the webhook only audits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Violation string `json:"violation,omitempty"`

	// rules are the Rules that were considered: failed first, then matched, then not. At most 32.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Rules []RuleOutcome `json:"rules,omitempty"`
}

// TriggerInstance is the record of one dispatched trigger. It carries a deliveryID, which only HookStorm sets, and its
// outcome; both are protected by an admission policy. One that is created without a deliveryID asks for a dispatch: of its
// trigger and payload, or with replayOf of those of another; HookStorm then writes the outcome into it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=ti,categories=hookstorm
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.trigger.type`,description="The trigger's type"
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`,description="How far it has come"
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.matched`,description="How many Rules matched"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.deliveryID`
// +kubebuilder:selectablefield:JSONPath=`.spec.webhook`
// +kubebuilder:selectablefield:JSONPath=`.spec.trigger.type`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
// +kubebuilder:validation:XValidation:rule="!has(self.status) || has(self.spec.deliveryID)",message="status: a trigger instance has a status only with spec.deliveryID, which HookStorm sets; leave both out"
// +kubebuilder:validation:XValidation:rule="has(self.spec.deliveryID) || has(self.spec.trigger) != has(self.spec.replayOf)",message="spec: set exactly one of trigger, replayOf"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.spec.deliveryID) || self.spec == oldSelf.spec",message="spec: immutable once spec.deliveryID is set"
type TriggerInstance struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what was dispatched.
	// +required
	Spec TriggerInstanceSpec `json:"spec"`

	// status is what became of it.
	// +optional
	Status *TriggerInstanceStatus `json:"status,omitempty"`
}

// TriggerInstanceList is a list of TriggerInstances.
//
// +kubebuilder:object:root=true
type TriggerInstanceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TriggerInstance `json:"items"`
}
