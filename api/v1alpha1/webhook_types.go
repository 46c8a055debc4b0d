package v1alpha1

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WebhookType says what a webhook does with a body.
//
// +kubebuilder:validation:Enum=Custom;Generic
type WebhookType string

const (
	// WebhookCustom dispatches core.st2.webhook with the request's headers and body.
	WebhookCustom WebhookType = "Custom"
	// WebhookGeneric dispatches the trigger that the body names.
	WebhookGeneric WebhookType = "Generic"
)

// WebhookSpec says where a webhook is, who may post to it, what it takes and what is recorded.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Generic' || !has(self.payloadSchema)",message="spec.payloadSchema: only for a Custom webhook; describe the triggers of a Generic one with TriggerTypes in its namespace"
// +kubebuilder:validation:XValidation:rule="self.type == 'Generic' || !has(self.knownTriggersOnly) || !self.knownTriggersOnly",message="spec.knownTriggersOnly: only for a Generic webhook; leave it out, or set type: Generic"
type WebhookSpec struct {
	// url is where senders post, below /v1/webhooks/: segments of letters, digits, '-', '.', '_' and '~', separated by
	// single slashes, none of them '.' or '..'. Outer slashes do not count. At most 200 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^/*[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/*$') && !self.matches('(^|/)[.][.]?(/|$)')",message="spec.url: write segments of letters, digits, '-', '.', '_', '~' separated by single slashes, none '.' or '..'"
	URL string `json:"url"`

	// description is for people; the list of webhooks shows it. Omitted: none. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// type is Custom, or Generic for a webhook whose body names the trigger: {"trigger": …, "payload": …}. Omitted: Custom.
	// +optional
	// +kubebuilder:default=Custom
	Type WebhookType `json:"type,omitempty"`

	// suspend answers 503 to whoever is authenticated, and takes nothing. Omitted: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// auth is who may post: any one entry admits. Omitted: one entry, tokens: {}. 1 to 16 entries.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Auth []WebhookAuth `json:"auth,omitempty"`

	// allowedRules says which Rules may see the triggers of this webhook. Omitted: those of its own namespace.
	// +optional
	AllowedRules *AllowedRules `json:"allowedRules,omitempty"`

	// payloadSchema, of a Custom webhook, is a JSON Schema (2020-12) for the body, written as an object. Omitted: any body.
	// References to other documents are not followed. One that does not compile makes the Webhook Accepted=False. For a
	// Generic webhook TriggerTypes describe the payloads.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	PayloadSchema *apiextensionsv1.JSON `json:"payloadSchema,omitempty"`

	// validation is Enforce: 400 for a payload that violates its schema; or Audit: the violation is recorded, and the trigger
	// passes. Omitted: Enforce.
	// +optional
	Validation Validation `json:"validation,omitempty"`

	// knownTriggersOnly, of a Generic webhook, refuses a trigger that no TriggerType of the webhook's namespace describes and
	// no Rule that may see it uses. Omitted: false.
	// +optional
	KnownTriggersOnly bool `json:"knownTriggersOnly,omitempty"`

	// deduplicate takes a delivery that is sent again within HookStorm's window (--deduplicate-window, 10m) only once: the
	// sender gets 202 and the id of the first. Omitted: every request is a delivery.
	// +optional
	Deduplicate *Deduplicate `json:"deduplicate,omitempty"`

	// body is how bodies are read beyond StackStorm's ways. Omitted: the defaults of its fields.
	// +optional
	Body *WebhookBody `json:"body,omitempty"`

	// handshakes are questions of providers that are answered and are no deliveries. Omitted: none, but those that belong to
	// a signature scheme.
	// +optional
	Handshakes *Handshakes `json:"handshakes,omitempty"`

	// limits bound what is taken: size, rate and sources. Omitted: the defaults of its fields.
	// +optional
	Limits *WebhookLimits `json:"limits,omitempty"`

	// history is what is recorded of each delivery, and how long it is kept. Omitted: the defaults of its fields.
	// +optional
	History *WebhookHistory `json:"history,omitempty"`
}

// Validation says what a schema violation does.
//
// +kubebuilder:validation:Enum=Enforce;Audit
type Validation string

const (
	// ValidationEnforce refuses the request with 400.
	ValidationEnforce Validation = "Enforce"
	// ValidationAudit records the violation and lets the trigger pass.
	ValidationAudit Validation = "Audit"
)

// AllowedRules says which Rules may see the triggers of a webhook.
type AllowedRules struct {
	// namespaces are the namespaces of those Rules. Omitted: the webhook's own.
	// +optional
	Namespaces *RuleNamespaces `json:"namespaces,omitempty"`
}

// RuleNamespaces selects namespaces.
//
// +kubebuilder:validation:XValidation:rule="(has(self.from) && self.from == 'Selector') == has(self.selector)",message="spec.allowedRules.namespaces: selector is needed with from: Selector, and only there"
type RuleNamespaces struct {
	// from is Same: the webhook's namespace; All: every namespace; Selector: the namespaces that selector selects. All and
	// Selector are only for webhooks in HookStorm's own namespace; elsewhere they make the Webhook Accepted=False.
	// Omitted: Same.
	// +optional
	// +kubebuilder:validation:Enum=Same;All;Selector
	// +kubebuilder:default=Same
	From FromNamespaces `json:"from,omitempty"`

	// selector selects namespaces by label; needed with from: Selector.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// FromNamespaces says how namespaces are selected.
type FromNamespaces string

const (
	// FromSame is the webhook's namespace.
	FromSame FromNamespaces = "Same"
	// FromAll is every namespace.
	FromAll FromNamespaces = "All"
	// FromSelector is the namespaces that a selector selects.
	FromSelector FromNamespaces = "Selector"
)

// Record is what is written of a delivery that succeeded.
//
// +kubebuilder:validation:Enum=TriggerInstance;Event;None
type Record string

const (
	// RecordTriggerInstance writes a TriggerInstance.
	RecordTriggerInstance Record = "TriggerInstance"
	// RecordEvent writes a Kubernetes Event about the Webhook.
	RecordEvent Record = "Event"
	// RecordNone writes nothing.
	RecordNone Record = "None"
)

// PayloadRecord says whether a TriggerInstance holds the payload.
//
// +kubebuilder:validation:Enum=Keep;Omit
type PayloadRecord string

const (
	// PayloadKeep keeps the payload within its bounds.
	PayloadKeep PayloadRecord = "Keep"
	// PayloadOmit keeps only the payload's size and digest.
	PayloadOmit PayloadRecord = "Omit"
)

// WebhookHistory is what is recorded of each delivery, and how long it is kept: a window, not an archive. A failure is
// always a TriggerInstance.
type WebhookHistory struct {
	// record is what is written of a delivery that succeeded: TriggerInstance, Event or None. Omitted: TriggerInstance. A
	// violation that validation: Audit lets pass is always a TriggerInstance.
	// +optional
	Record Record `json:"record,omitempty"`

	// succeeded is how many succeeded TriggerInstances are kept, oldest out first. Omitted: 100. 0 to 1000.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Succeeded *int32 `json:"succeeded,omitempty"`

	// failed is how many failed TriggerInstances are kept, oldest out first. Omitted: 100. 1 to 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Failed *int32 `json:"failed,omitempty"`

	// ttl is how long a TriggerInstance is kept. Omitted: 24h. At least 1m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="spec.history.ttl: at least 1m"
	TTL *Duration `json:"ttl,omitempty"`

	// payload is Keep, or Omit to record only its size and digest. Omitted: Keep.
	// +optional
	Payload PayloadRecord `json:"payload,omitempty"`
}

// WebhookStatus is what HookStorm made of a Webhook.
type WebhookStatus struct {
	// observedGeneration is the generation of the spec that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Accepted, ResolvedRefs, Programmed, ShortURL and Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// path is where a sender posts: the short path if this namespace has it, else the namespaced path.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`

	// namespacedPath is the path that is this webhook's whatever other namespaces claim.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	NamespacedPath string `json:"namespacedPath,omitempty"`

	// url is path below HookStorm's external url, when that is configured.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`

	// authentication lists the ways to be admitted, such as "tokens".
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Authentication string `json:"authentication,omitempty"`

	// attachedRules counts the enabled and disabled Rules of this namespace that name the url.
	// +optional
	AttachedRules *int32 `json:"attachedRules,omitempty"`

	// lastDeliveryTime is when a delivery was last dispatched; written at most once a minute.
	// +optional
	LastDeliveryTime *metav1.Time `json:"lastDeliveryTime,omitempty"`

	// lastRejection is when and why a request to this webhook was last refused; written at most once a minute.
	// +optional
	LastRejection *Rejection `json:"lastRejection,omitempty"`

	// keys say when each key that spec.auth refers to last admitted a request, by Secret and key as "secret/key"; written at
	// most once a minute. A key that is not there was not used since it came; tokens of HookStorm's own namespace are not
	// shown elsewhere. At most 256.
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	Keys map[string]metav1.Time `json:"keys,omitempty"`
}

// Rejection is a moment and a reason.
type Rejection struct {
	// time is when it happened.
	// +required
	Time metav1.Time `json:"time"`

	// reason is one word, such as Unauthorized.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`
}

// Webhook is a URL that external systems post to. HookStorm keeps one for each url that Rules name and no Webhook of their
// namespace has.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=wh,categories=hookstorm
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`,description="Where senders post, below /v1/webhooks/"
// +kubebuilder:printcolumn:name="Auth",type=string,JSONPath=`.status.authentication`,description="Who may post"
// +kubebuilder:printcolumn:name="Rules",type=integer,JSONPath=`.status.attachedRules`,description="How many Rules name the url"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the webhook is live"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Why it is or is not"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name: a Webhook's name has at most 63 characters"
type Webhook struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is standard object metadata; the name has at most 63 characters.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the webhook takes.
	// +required
	Spec WebhookSpec `json:"spec"`

	// status is what HookStorm made of it.
	// +optional
	Status WebhookStatus `json:"status,omitempty"`
}

// GetConditions returns the conditions, which the caller may change.
func (w *Webhook) GetConditions() *[]metav1.Condition { return &w.Status.Conditions }

// The defaults of omitted fields.
const (
	DefaultMaxBodySize      = 1 << 20
	DefaultHistorySucceeded = 100
	DefaultHistoryFailed    = 100
	DefaultHistoryTTL       = 24 * time.Hour
	DefaultClockSkew        = time.Minute
)

// Authentication returns the entries of auth, or the default where it is omitted.
func (s *WebhookSpec) Authentication() []WebhookAuth {
	if len(s.Auth) == 0 {
		return []WebhookAuth{{Tokens: &TokenAuth{}}}
	}
	return s.Auth
}

// MaxBodySize returns the largest body in bytes.
func (s *WebhookSpec) MaxBodySize() int64 {
	if s.Limits == nil || s.Limits.MaxBodySize == nil {
		return DefaultMaxBodySize
	}
	return s.Limits.MaxBodySize.Value()
}

// RequestsPerSecond returns how many deliveries are taken a second; 0: as many as come.
func (s *WebhookSpec) RequestsPerSecond() int {
	if s.Limits == nil || s.Limits.RequestsPerSecond == nil {
		return 0
	}
	return int(*s.Limits.RequestsPerSecond)
}

// Burst returns how many deliveries are taken at once; 0: the server's default.
func (s *WebhookSpec) Burst() int {
	if s.Limits == nil || s.Limits.Burst == nil {
		return 0
	}
	return int(*s.Limits.Burst)
}

// RuleNamespaces returns which namespaces' Rules may see the triggers.
func (s *WebhookSpec) RuleNamespaces() RuleNamespaces {
	if s.AllowedRules == nil || s.AllowedRules.Namespaces == nil || s.AllowedRules.Namespaces.From == "" {
		return RuleNamespaces{From: FromSame}
	}
	return *s.AllowedRules.Namespaces
}

// Recorded returns what is written of a delivery that succeeded.
func (h *WebhookHistory) Recorded() Record {
	if h == nil || h.Record == "" {
		return RecordTriggerInstance
	}
	return h.Record
}

// Limit returns how many TriggerInstances of an outcome are kept; of those that are being processed as many as of failed ones.
func (h *WebhookHistory) Limit(outcome string) int {
	switch {
	case outcome != OutcomeSucceeded && h != nil && h.Failed != nil:
		return int(*h.Failed)
	case outcome != OutcomeSucceeded:
		return DefaultHistoryFailed
	case h != nil && h.Succeeded != nil:
		return int(*h.Succeeded)
	default:
		return DefaultHistorySucceeded
	}
}

// Age returns how long a TriggerInstance is kept.
func (h *WebhookHistory) Age() time.Duration {
	if h == nil {
		return DefaultHistoryTTL
	}
	return h.TTL.Or(DefaultHistoryTTL)
}

// KeepsPayload reports whether a TriggerInstance holds the payload.
func (h *WebhookHistory) KeepsPayload() bool { return h == nil || h.Payload != PayloadOmit }

// WebhookList is a list of Webhooks.
//
// +kubebuilder:object:root=true
type WebhookList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Webhook `json:"items"`
}
