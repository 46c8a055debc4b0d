package v1alpha1

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// Action is one thing that a Rule does when it matched. Any string in it may hold templates: ${…} stands for the value of a
// CEL expression over trigger, delivery and rule, a string that is nothing but one ${…} takes the type of its value, and
// $${ is a plain ${. What says whose rights, which kind or which Secret is used is taken literally.
//
// +kubebuilder:validation:XValidation:rule="[has(self.create), has(self.apply), has(self.patch), has(self.delete), has(self.http), has(self.dispatch)].filter(x, x).size() == 1",message="spec.actions: set exactly one of create, apply, patch, delete, http, dispatch"
type Action struct {
	// name of the action, unique in the Rule; names of created objects derive from it. A DNS label of at most 40 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// create creates an object.
	// +optional
	Create *CreateAction `json:"create,omitempty"`

	// apply applies an object, server-side.
	// +optional
	Apply *ApplyAction `json:"apply,omitempty"`

	// patch patches an object.
	// +optional
	Patch *PatchAction `json:"patch,omitempty"`

	// delete deletes an object. One that is gone already is a success.
	// +optional
	Delete *DeleteAction `json:"delete,omitempty"`

	// http makes an HTTP request.
	// +optional
	HTTP *HTTPAction `json:"http,omitempty"`

	// dispatch dispatches another trigger in the Rule's namespace.
	// +optional
	Dispatch *DispatchAction `json:"dispatch,omitempty"`
}

// IfExists says what a create action does where its object exists already.
//
// +kubebuilder:validation:Enum=Fail;Keep
type IfExists string

const (
	// IfExistsFail fails the action, unless the object was created by the same delivery.
	IfExistsFail IfExists = "Fail"
	// IfExistsKeep leaves the object as it is and succeeds.
	IfExistsKeep IfExists = "Keep"
)

// CreateAction creates an object as the Rule's ServiceAccount.
type CreateAction struct {
	// template is the object. apiVersion, kind and metadata.namespace hold no templates. metadata.namespace omitted: the
	// Rule's. metadata.name omitted: a name that derives from the delivery, the Rule and the action, beginning with
	// metadata.generateName, or the names of Rule and action; a delivery that is processed twice creates one object.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Template apiextensionsv1.JSON `json:"template"`

	// ifExists says what happens where another delivery, or somebody else, has created an object of that name: Fail or Keep.
	// Omitted: Fail.
	// +optional
	// +kubebuilder:default=Fail
	IfExists IfExists `json:"ifExists,omitempty"`
}

// ApplyAction applies an object, server-side, as the Rule's ServiceAccount. The field manager is hookstorm.
type ApplyAction struct {
	// template is what is applied. apiVersion, kind and metadata.namespace hold no templates. metadata.namespace omitted: the
	// Rule's. metadata.name is required.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Template apiextensionsv1.JSON `json:"template"`

	// force takes over fields that others manage. Omitted: false, and a conflict fails the action, naming the manager.
	// +optional
	Force bool `json:"force,omitempty"`
}

// ObjectTarget names an object. apiVersion, kind and namespace hold no templates.
type ObjectTarget struct {
	// apiVersion such as apps/v1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion"`

	// kind such as Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// namespace of the object. Omitted: the Rule's; without meaning for kinds that have none.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the object, or a template for it. 1 to 1024 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`
}

// PatchType is the format of a patch.
//
// +kubebuilder:validation:Enum=Merge;JSON;Strategic
type PatchType string

const (
	// PatchMerge is a JSON merge patch (RFC 7386).
	PatchMerge PatchType = "Merge"
	// PatchJSON is a JSON patch (RFC 6902): a list of operations.
	PatchJSON PatchType = "JSON"
	// PatchStrategic is a strategic merge patch, which only built-in kinds have.
	PatchStrategic PatchType = "Strategic"
)

// PatchAction patches an object as the Rule's ServiceAccount. A delivery that is processed twice patches twice.
type PatchAction struct {
	// target is the object. One that does not exist fails the action.
	// +required
	Target ObjectTarget `json:"target"`

	// type is Merge, JSON or Strategic. Omitted: Merge.
	// +optional
	// +kubebuilder:default=Merge
	Type PatchType `json:"type,omitempty"`

	// patch is the patch: an object, or for JSON a list of operations.
	// +required
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Patch apiextensionsv1.JSON `json:"patch"`
}

// DeleteAction deletes an object as the Rule's ServiceAccount, and what it owns in the background.
type DeleteAction struct {
	// target is the object.
	// +required
	Target ObjectTarget `json:"target"`
}

// CloudEventsMode is how an HTTP request carries a CloudEvent.
//
// +kubebuilder:validation:Enum=Binary;Structured
type CloudEventsMode string

const (
	// CloudEventsBinary puts the attributes into headers and the data into the body.
	CloudEventsBinary CloudEventsMode = "Binary"
	// CloudEventsStructured puts both into a body of application/cloudevents+json.
	CloudEventsStructured CloudEventsMode = "Structured"
)

// HTTPAction makes an HTTP request. A status of 2xx is success. No answer, 408, 425, 429 and 5xx are tried again; any other
// status fails the action, redirects too, which are not followed. Every attempt of one delivery carries the same
// Idempotency-Key.
//
// +kubebuilder:validation:XValidation:rule="!has(self.body) || !has(self.method) || self.method != 'GET'",message="spec.actions.http.body: a GET has no body; use another method or leave body out"
type HTTPAction struct {
	// url is where the request goes: http or https. Scheme, host and port hold no templates. Addresses that HookStorm's
	// administrator has closed (loopback, link-local, cloud metadata, the API server, unless opened) are not connected to. 1
	// to 2048 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// method is GET, POST, PUT, PATCH or DELETE. Omitted: POST.
	// +optional
	// +kubebuilder:default=POST
	// +kubebuilder:validation:Enum=GET;POST;PUT;PATCH;DELETE
	Method string `json:"method,omitempty"`

	// headers are sent as they are. Omitted: none of the Rule's own. Host, Content-Length, Transfer-Encoding, Connection and
	// Idempotency-Key cannot be set. Credentials belong in auth. At most 32.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(name, size(name) <= 128 && name.matches('^[A-Za-z0-9_-]+$'))",message="spec.actions.http.headers: a name has 1 to 128 letters, digits, '-' and '_'"
	// +kubebuilder:validation:XValidation:rule="self.all(name, !name.matches('^(?i)(host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|idempotency-key)$'))",message="spec.actions.http.headers: Host, Content-Length, Transfer-Encoding, Connection and Idempotency-Key are HookStorm's to set; leave them out"
	Headers map[string]HeaderValue `json:"headers,omitempty"`

	// body is what is sent. Omitted: nothing; the whole of a JSON body that was received is json: ${trigger.body}.
	// +optional
	Body *HTTPBody `json:"body,omitempty"`

	// timeout bounds one attempt, from 100ms to 1m. Omitted: 10s. The first attempt has 2s; one that is cut short by that does
	// not count, and is made again.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('1m')",message="spec.actions.http.timeout: from 100ms to 1m"
	Timeout *Duration `json:"timeout,omitempty"`

	// cloudEvents sends the body as the data of a CloudEvent (1.0) whose type is the trigger, whose source is the webhook and
	// whose id is the Idempotency-Key. Omitted: the request is no CloudEvent.
	// +optional
	CloudEvents CloudEventsMode `json:"cloudEvents,omitempty"`

	// auth is the credential that is sent. Omitted: none.
	// +optional
	Auth *HTTPAuth `json:"auth,omitempty"`

	// sign signs the request as Standard Webhooks does, with the key in a Secret: webhook-id, webhook-timestamp and
	// webhook-signature. A key that begins with whsec_ is base64 after it; any other is taken as it is. Omitted: not signed.
	// +optional
	Sign *SecretKeyReference `json:"sign,omitempty"`
}

// HeaderValue is the value of a header. At most 4096 characters.
//
// +kubebuilder:validation:MaxLength=4096
type HeaderValue string

// HTTPBody is the body of a request: exactly one of its members. A json beside another makes the Rule Accepted=False.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.form) && has(self.text))",message="spec.actions.http.body: set exactly one of json, form, text"
type HTTPBody struct {
	// json is any JSON value, sent as application/json.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	JSON *apiextensionsv1.JSON `json:"json,omitempty"`

	// form is sent as application/x-www-form-urlencoded. At most 64 fields.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Form map[string]HeaderValue `json:"form,omitempty"`

	// text is sent as text/plain; charset=utf-8. At most 16384 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Text *string `json:"text,omitempty"`
}

// HTTPAuth is the credential of a request, held in a Secret of the Rule's namespace that is labelled
// hookstorm.dev/auth: outbound. Exactly one of its members.
//
// +kubebuilder:validation:XValidation:rule="[has(self.bearer), has(self.basic), has(self.header)].filter(x, x).size() == 1",message="spec.actions.http.auth: set exactly one of bearer, basic, header"
type HTTPAuth struct {
	// bearer sends the value as Authorization: Bearer.
	// +optional
	Bearer *SecretKeyReference `json:"bearer,omitempty"`

	// basic sends the keys username and password of the Secret as Authorization: Basic.
	// +optional
	Basic *LocalSecretReference `json:"basic,omitempty"`

	// header sends the value in a header of any name.
	// +optional
	Header *HeaderAuth `json:"header,omitempty"`
}

// HeaderAuth is a header whose value is held in a Secret.
type HeaderAuth struct {
	// header is the header's name, such as X-Api-Key.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header"`

	SecretKeyReference `json:",inline"`
}

// SecretKeyReference names a key of a Secret of the same namespace that is labelled hookstorm.dev/auth: outbound.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key of the Secret whose value is used.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// DispatchAction dispatches another trigger, as StackStorm's core.inject_trigger does. Rules that dispatch each other stop
// after 16 triggers in a row, or 1000 in all that descend from one delivery.
type DispatchAction struct {
	// trigger is the trigger's type. core.st2.webhook comes from webhooks only. 1 to 253 characters once its templates are
	// replaced.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Trigger string `json:"trigger"`

	// payload is the trigger's payload, an object. Omitted: none.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Payload *apiextensionsv1.JSON `json:"payload,omitempty"`
}

// RetryPolicy says how an action that failed for now is tried again.
type RetryPolicy struct {
	// attempts is how often an action is tried in all, 1 to 100. Omitted: 12.
	// +optional
	// +kubebuilder:default=12
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Attempts int32 `json:"attempts,omitempty"`

	// backoff is the wait between attempts. Omitted: from 1s, doubled each time, to 5m.
	// +optional
	Backoff *Backoff `json:"backoff,omitempty"`
}

// Backoff is a wait that grows. Up to a fifth of each wait is added by chance, so that not everything is tried at once.
//
// +kubebuilder:validation:XValidation:rule="!has(self.initial) || (duration(self.initial) >= duration('100ms') && duration(self.initial) <= duration('1h'))",message="spec.retry.backoff.initial: from 100ms to 1h"
// +kubebuilder:validation:XValidation:rule="!has(self.max) || (duration(self.max) >= duration('100ms') && duration(self.max) <= duration('1h'))",message="spec.retry.backoff.max: from 100ms to 1h"
type Backoff struct {
	// initial is the first wait, from 100ms to 1h. Omitted: 1s.
	// +optional
	Initial *Duration `json:"initial,omitempty"`

	// factor multiplies the wait each time, 1 to 10. Omitted: 2.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Factor int32 `json:"factor,omitempty"`

	// max bounds the wait, from 100ms to 1h. Omitted: 5m.
	// +optional
	Max *Duration `json:"max,omitempty"`
}

// The values of what a RetryPolicy omits; with them an action is tried for about 18 minutes.
const (
	DefaultAttempts       = 12
	DefaultBackoffInitial = time.Second
	DefaultBackoffFactor  = 2
	DefaultBackoffMax     = 5 * time.Minute
)

// Tries returns how often an action is tried in all.
func (r *RetryPolicy) Tries() int {
	if r == nil || r.Attempts == 0 {
		return DefaultAttempts
	}
	return int(r.Attempts)
}

// Wait returns the wait after a number of attempts that failed, without the part of chance.
func (r *RetryPolicy) Wait(failed int) time.Duration {
	var b Backoff
	if r != nil && r.Backoff != nil {
		b = *r.Backoff
	}
	if b.Factor == 0 {
		b.Factor = DefaultBackoffFactor
	}
	wait, most := b.Initial.Or(DefaultBackoffInitial), b.Max.Or(DefaultBackoffMax)
	for range failed - 1 {
		if wait >= most {
			break
		}
		wait *= time.Duration(b.Factor)
	}
	return min(wait, most)
}

// Kind returns the name of the one member that is set; "" if none is.
func (a *Action) Kind() string {
	switch {
	case a.Create != nil:
		return "create"
	case a.Apply != nil:
		return "apply"
	case a.Patch != nil:
		return "patch"
	case a.Delete != nil:
		return "delete"
	case a.HTTP != nil:
		return "http"
	case a.Dispatch != nil:
		return "dispatch"
	default:
		return ""
	}
}
