package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// DeduplicateBy says what makes two requests the same.
//
// +kubebuilder:validation:Enum=SignedContent;Header;Expression
type DeduplicateBy string

const (
	// DeduplicateBySignedContent takes what was signed, which also stops a captured request from being sent again.
	DeduplicateBySignedContent DeduplicateBy = "SignedContent"
	// DeduplicateByHeader takes the value of a header.
	DeduplicateByHeader DeduplicateBy = "Header"
	// DeduplicateByExpression takes the value of an expression.
	DeduplicateByExpression DeduplicateBy = "Expression"
)

// Deduplicate says what makes two requests the same. A request in which that is missing is a delivery of its own.
//
// +kubebuilder:validation:XValidation:rule="has(self.header) == (self.by == 'Header')",message="spec.deduplicate.header: needed with by: Header, and only there"
// +kubebuilder:validation:XValidation:rule="has(self.expression) == (self.by == 'Expression')",message="spec.deduplicate.expression: needed with by: Expression, and only there"
type Deduplicate struct {
	// by is SignedContent: what the sender signed, so that spec.auth needs an entry signature; Header; or Expression.
	// +required
	By DeduplicateBy `json:"by"`

	// header names the header whose value counts, such as X-GitHub-Delivery. 1 to 64 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header,omitempty"`

	// expression is a CEL expression over trigger, such as trigger.body.id, whose value counts. One that fails or is null
	// makes the request a delivery of its own.
	// +optional
	Expression Expression `json:"expression,omitempty"`
}

// WebhookBody is how bodies are read beyond StackStorm's ways.
type WebhookBody struct {
	// formField is the field of a form that holds the JSON which is the body, such as payload of GitHub's and Slack's forms;
	// a form without it is answered 400. Omitted: a form's fields are the body. 1 to 64 characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	FormField string `json:"formField,omitempty"`

	// jsonSuffix takes every media type that ends in +json, such as application/cloudevents+json, for JSON. Omitted: false;
	// they are answered 400, as StackStorm does.
	// +optional
	JSONSuffix bool `json:"jsonSuffix,omitempty"`
}

// Handshakes are questions of providers that are answered and are no deliveries.
type Handshakes struct {
	// eventGrid answers the SubscriptionValidation of Azure Event Grid. Omitted: it is a delivery like others.
	// +optional
	EventGrid *EventGridHandshake `json:"eventGrid,omitempty"`

	// cloudEvents answers the OPTIONS request of the CloudEvents webhook specification (1.0.2, section 4), which needs no
	// authentication and so shows that this webhook exists. Omitted: such a request is refused.
	// +optional
	CloudEvents *CloudEventsHandshake `json:"cloudEvents,omitempty"`
}

// EventGridHandshake has no settings.
type EventGridHandshake struct{}

// CloudEventsHandshake says who may send CloudEvents.
type CloudEventsHandshake struct {
	// allowedOrigins are the values of WebHook-Request-Origin that are allowed to send; "*" allows all. 1 to 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	AllowedOrigins []string `json:"allowedOrigins"`

	// requestsPerMinute is the rate that is granted. Omitted: "*", no limit. At least 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RequestsPerMinute *int32 `json:"requestsPerMinute,omitempty"`
}

// WebhookLimits bound what is taken: size, rate and sources.
//
// +kubebuilder:validation:XValidation:rule="!has(self.burst) || has(self.requestsPerSecond)",message="spec.limits.burst: needs requestsPerSecond"
type WebhookLimits struct {
	// maxBodySize is the largest body in bytes; a larger one is answered 413. Omitted: 1Mi. At least 1,
	// at most 7Mi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0')) && quantity(string(self)).compareTo(quantity('7Mi')) <= 0",message="spec.limits.maxBodySize: a quantity above 0 and at most 7Mi"
	MaxBodySize *resource.Quantity `json:"maxBodySize,omitempty"`

	// requestsPerSecond is how many deliveries are taken a second on average, by each replica; others are answered 429 with
	// Retry-After. Omitted: as many as come. 1 to 100000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	RequestsPerSecond *int32 `json:"requestsPerSecond,omitempty"`

	// burst is how many deliveries are taken at once. Omitted: twice requestsPerSecond. 1 to 200000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=200000
	Burst *int32 `json:"burst,omitempty"`

	// sourceRanges are the networks from which requests are taken, such as 192.0.2.0/24; who is elsewhere is as one without
	// a credential. Behind a proxy the sender is known only if --trusted-proxies names the proxy. Omitted: any. At most 256.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="spec.limits.sourceRanges: write networks such as 192.0.2.0/24 or 2001:db8::/32"
	SourceRanges []string `json:"sourceRanges,omitempty"`
}
