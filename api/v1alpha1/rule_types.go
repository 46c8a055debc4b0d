package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RuleType says when a Rule is considered.
//
// +kubebuilder:validation:Enum=Standard;Backstop
type RuleType string

const (
	// RuleStandard is considered for every trigger of its type.
	RuleStandard RuleType = "Standard"
	// RuleBackstop is considered only if no Standard Rule matched the trigger.
	RuleBackstop RuleType = "Backstop"
)

// RuleSpec says which triggers a Rule takes, and what it does then.
type RuleSpec struct {
	// description is for people. Omitted: none. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// enabled says whether the Rule is evaluated. Omitted: true. A disabled Rule still registers its webhook.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`

	// type is Standard, or Backstop for a Rule that is considered only if no Standard Rule matched the trigger.
	// Omitted: Standard.
	// +optional
	// +kubebuilder:default=Standard
	Type RuleType `json:"type,omitempty"`

	// trigger is what the Rule waits for.
	// +required
	Trigger RuleTrigger `json:"trigger"`

	// criteria must all hold for the Rule to match. A key is a path into the payload, such as trigger.body.action; text from
	// the first # on only makes the key unique. Omitted: the Rule matches every trigger of its type. At most 64; a key has 1
	// to 512 characters. A criterion that cannot be compiled makes the Rule Accepted=False.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(key, size(key) >= 1 && size(key) <= 512)",message="spec.criteria: a key is a path of 1 to 512 characters, such as trigger.body.action"
	Criteria map[string]Criterion `json:"criteria,omitempty"`

	// when are CEL expressions over trigger, delivery and rule, all of which must be true, beside the criteria: such as
	// trigger.body.pull_request.merged. Omitted: the criteria alone decide. At most 16, each of 1 to 4096 characters. One that
	// does not compile makes the Rule Accepted=False.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	When []Expression `json:"when,omitempty"`

	// serviceAccountName is the ServiceAccount of the Rule's namespace as which the actions create, apply, patch and delete.
	// Omitted: default.
	// +optional
	// +kubebuilder:default=default
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// actions are what the Rule does when it matched. All of them run, in no order; one that fails does not stop the others.
	// Omitted: a match is only recorded. At most 20.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Actions []Action `json:"actions,omitempty"`

	// retry says how actions are tried again. Omitted: 12 times in about 18 minutes.
	// +optional
	Retry *RetryPolicy `json:"retry,omitempty"`
}

// Expression is a CEL expression. 1 to 4096 characters.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=4096
type Expression string

// RuleTrigger names a trigger and, where wanted, its parameters.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'core.st2.webhook' || (has(self.parameters) && 'url' in self.parameters)",message="spec.trigger.parameters.url: core.st2.webhook needs the url of its webhook, such as url: github/pr"
// +kubebuilder:validation:XValidation:rule="self.type != 'core.st2.webhook' || !has(self.parameters) || !('url' in self.parameters) || (size(self.parameters['url']) <= 200 && self.parameters['url'].matches('^/*[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/*$') && !self.parameters['url'].matches('(^|/)[.][.]?(/|$)'))",message="spec.trigger.parameters.url: write segments of letters, digits, '-', '.', '_', '~' separated by single slashes, none '.' or '..', at most 200 characters"
type RuleTrigger struct {
	// type is the trigger's name: core.st2.webhook for a webhook of its own, or any name that a sender gives to a generic
	// webhook, such as mypack.mytrigger. 1 to 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Type string `json:"type"`

	// parameters must each be equal in the trigger. core.st2.webhook has one, url: it registers the webhook, and its outer
	// slashes do not count. Omitted: any. At most 16.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Parameters map[string]ParameterValue `json:"parameters,omitempty"`
}

// ParameterValue is the value of a trigger's parameter. At most 1024 characters.
//
// +kubebuilder:validation:MaxLength=1024
type ParameterValue string

// Criterion compares one value of the payload with a pattern.
type Criterion struct {
	// type is the operator's name, such as equals. Unknown: the Rule is Accepted=False.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Type string `json:"type"`

	// pattern is any JSON value the operator compares with. A string may hold templates, ${…}. exists and nexists need none;
	// every other operator does.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Pattern *apiextensionsv1.JSON `json:"pattern,omitempty"`

	// condition says how the operator search counts: any, all, any2any or all2any. Only search has one, and needs it.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Condition string `json:"condition,omitempty"`
}

// RuleStatus is what HookStorm made of a Rule.
type RuleStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted, ResolvedRefs, Programmed and Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// webhook is the name of the Webhook that serves this Rule's url. Empty for other triggers.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Webhook string `json:"webhook,omitempty"`

	// path is where a sender posts: the short path if this namespace has it, else the namespaced path. Empty for other
	// triggers.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`

	// lastTriggerTime is when the Rule last matched; written at most once a minute.
	// +optional
	LastTriggerTime *metav1.Time `json:"lastTriggerTime,omitempty"`

	// lastTriggerInstance is the name of the record of that match, when it was recorded.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastTriggerInstance string `json:"lastTriggerInstance,omitempty"`

	// lastFailure is why the Rule last could not be evaluated, or an action of it failed for good; written at most once a
	// minute.
	// +optional
	LastFailure *Failure `json:"lastFailure,omitempty"`
}

// Failure is a moment and a reason.
type Failure struct {
	// time is when it happened.
	// +required
	Time metav1.Time `json:"time"`

	// message is why. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// Rule is StackStorm's rule: a trigger, criteria over its payload, and actions. A Rule with the trigger core.st2.webhook
// registers a webhook at its url.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rule,categories=hookstorm
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Trigger",type=string,JSONPath=`.spec.trigger.type`,description="The trigger's type"
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.trigger.parameters.url`,description="The url of the Rule's webhook"
// +kubebuilder:printcolumn:name="Enabled",type=boolean,JSONPath=`.spec.enabled`,description="Whether the Rule is evaluated"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the Rule is live"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is or is not"
// +kubebuilder:printcolumn:name="Last",type=date,JSONPath=`.status.lastTriggerTime`,description="When the Rule last matched"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name: a Rule's name has at most 63 characters"
type Rule struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata; the name has at most 63 characters.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the Rule waits for.
	// +required
	Spec RuleSpec `json:"spec"`

	// status is what HookStorm made of it.
	// +optional
	Status RuleStatus `json:"status,omitempty"`
}

// IsEnabled reports whether the Rule is evaluated.
func (r *Rule) IsEnabled() bool { return r.Spec.Enabled == nil || *r.Spec.Enabled }

// WebhookURL returns the url of the webhook that the Rule registers, without outer slashes; empty for other triggers.
func (r *Rule) WebhookURL() string {
	if r.Spec.Trigger.Type != TriggerWebhook {
		return ""
	}
	return TrimURL(string(r.Spec.Trigger.Parameters[ParameterURL]))
}

// GetConditions returns the conditions, which the caller may change.
func (r *Rule) GetConditions() *[]metav1.Condition { return &r.Status.Conditions }

// RuleList is a list of Rules.
//
// +kubebuilder:object:root=true
type RuleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Rule `json:"items"`
}
