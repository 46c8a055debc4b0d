package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WebhookAuth is one way to be admitted; exactly one of its fields is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.tokens), has(self.signature), has(self.basic), has(self.jwt), has(self.kubernetes), has(self.clientCertificate), has(self.anonymous)].filter(set, set).size() == 1",message="spec.auth: each entry has exactly one of tokens, signature, basic, jwt, kubernetes, clientCertificate, anonymous; write one entry for each"
type WebhookAuth struct {
	// tokens admits whoever sends a valid token: header X-Auth-Token, St2-Api-Key or Authorization: Bearer, or query
	// x-auth-token or st2-api-key.
	// +optional
	Tokens *TokenAuth `json:"tokens,omitempty"`

	// signature admits what a provider signed with a key that it shares with this webhook.
	// +optional
	Signature *SignatureAuth `json:"signature,omitempty"`

	// basic admits a username and a password in Authorization: Basic.
	// +optional
	Basic *BasicAuth `json:"basic,omitempty"`

	// jwt admits a JSON Web Token in Authorization: Bearer.
	// +optional
	JWT *JWTAuth `json:"jwt,omitempty"`

	// kubernetes admits who may create webhooks/deliveries of this Webhook, by the token of a ServiceAccount or user of the
	// cluster in Authorization: Bearer.
	// +optional
	Kubernetes *KubernetesAuth `json:"kubernetes,omitempty"`

	// clientCertificate admits a TLS client certificate. HookStorm must terminate TLS itself (--webhook-tls-cert-dir).
	// +optional
	ClientCertificate *ClientCertificateAuth `json:"clientCertificate,omitempty"`

	// anonymous admits everybody. Write it only for a webhook that may be called by anyone who can reach it.
	// +optional
	Anonymous *AnonymousAuth `json:"anonymous,omitempty"`
}

// TokenAuth says which Secrets hold the tokens. A Secret counts only with the label hookstorm.dev/auth: token; each of its
// keys is a valid token. Neither field: the token Secrets of the webhook's namespace and of HookStorm's own.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.secretRef) && has(self.secretSelector))",message="spec.auth.tokens: set at most one of secretRef, secretSelector"
type TokenAuth struct {
	// secretRef is the one Secret of the webhook's namespace whose tokens admit. Missing or empty: nobody is admitted, and
	// whoever sends a token gets 503.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// secretSelector selects the Secrets of the webhook's namespace whose tokens admit. None: nobody is admitted.
	// +optional
	SecretSelector *metav1.LabelSelector `json:"secretSelector,omitempty"`
}

// SignatureScheme is how a provider signs its requests. docs/authentication.md lists what each signs and where.
//
// +kubebuilder:validation:Enum=GitHub;GitLab;GitLabSigning;Stripe;Slack;StandardWebhooks;Shopify;Bitbucket;Twilio;Sentry;PagerDuty;Grafana;AWSSNS;Custom
type SignatureScheme string

// The schemes.
const (
	SchemeGitHub           SignatureScheme = "GitHub"
	SchemeGitLab           SignatureScheme = "GitLab"
	SchemeGitLabSigning    SignatureScheme = "GitLabSigning"
	SchemeStripe           SignatureScheme = "Stripe"
	SchemeSlack            SignatureScheme = "Slack"
	SchemeStandardWebhooks SignatureScheme = "StandardWebhooks"
	SchemeShopify          SignatureScheme = "Shopify"
	SchemeBitbucket        SignatureScheme = "Bitbucket"
	SchemeTwilio           SignatureScheme = "Twilio"
	SchemeSentry           SignatureScheme = "Sentry"
	SchemePagerDuty        SignatureScheme = "PagerDuty"
	SchemeGrafana          SignatureScheme = "Grafana"
	SchemeAWSSNS           SignatureScheme = "AWSSNS"
	SchemeCustom           SignatureScheme = "Custom"
)

// SignatureAuth says how requests are signed, and with which keys.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) == (self.scheme != 'AWSSNS')",message="spec.auth.signature.secretRef: every scheme but AWSSNS needs the Secret that holds its keys; AWSSNS has none"
// +kubebuilder:validation:XValidation:rule="has(self.sns) == (self.scheme == 'AWSSNS')",message="spec.auth.signature.sns: needed with scheme: AWSSNS, and only there"
// +kubebuilder:validation:XValidation:rule="has(self.custom) == (self.scheme == 'Custom')",message="spec.auth.signature.custom: needed with scheme: Custom, and only there"
// +kubebuilder:validation:XValidation:rule="!has(self.publicURL) || self.scheme == 'Twilio'",message="spec.auth.signature.publicURL: only with scheme: Twilio, which signs the url"
// +kubebuilder:validation:XValidation:rule="(!has(self.header) && !has(self.timestampHeader)) || self.scheme == 'Grafana'",message="spec.auth.signature.header, timestampHeader: only with scheme: Grafana, where they are settings"
type SignatureAuth struct {
	// scheme is how the provider signs.
	// +required
	Scheme SignatureScheme `json:"scheme"`

	// secretRef is the Secret of the webhook's namespace that holds the keys, with the label hookstorm.dev/auth: signature.
	// Each of its keys of at least 16 bytes is valid, so that a key is replaced by adding the new one before the old one is
	// removed. Missing or without such a key: nobody is admitted, and whoever sends a signature gets 503. Needed, but for
	// AWSSNS, which signs with a certificate.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// tolerance is how far a signed time may be from now, in the past or the future. Omitted: 5m, of AWSSNS 1h. 1s to 24h.
	// Schemes without a signed time have no use of it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="spec.auth.signature.tolerance: 1s to 24h"
	Tolerance *Duration `json:"tolerance,omitempty"`

	// publicURL is, for Twilio, which signs the url that it calls, where senders reach the server, such as
	// https://hooks.example.org. Omitted: HookStorm's external url. At most 512 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https?://[^/?#]+(/[^?#]*)?$`
	PublicURL string `json:"publicURL,omitempty"`

	// header is, for Grafana, the header that its setting "signature header" names. Omitted: X-Grafana-Alerting-Signature. At
	// most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header,omitempty"`

	// timestampHeader is, for Grafana, the header that its setting "timestamp header" names; then the time is signed too.
	// Omitted: no time is signed. At most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	TimestampHeader string `json:"timestampHeader,omitempty"`

	// sns is needed with AWSSNS.
	// +optional
	SNS *SNSSignature `json:"sns,omitempty"`

	// custom is needed with Custom.
	// +optional
	Custom *CustomSignature `json:"custom,omitempty"`
}

// SNSSignature says which messages of Amazon SNS are taken.
type SNSSignature struct {
	// topicARNs are the topics whose messages are taken: anybody's topic has a valid signature. 1 to 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	TopicARNs []string `json:"topicARNs"`

	// confirm answers a topic's SubscriptionConfirmation by calling its SubscribeURL. Omitted: false, and the message is
	// a delivery like others.
	// +optional
	Confirm bool `json:"confirm,omitempty"`
}

// CustomSignature is a signature by HMAC as many systems make it.
type CustomSignature struct {
	// header is the header that holds the signature. 1 to 64 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	Header string `json:"header"`

	// algorithm that signs. Omitted: HMAC-SHA256. HMAC-SHA1 is for senders that have nothing else.
	// +optional
	// +kubebuilder:validation:Enum=HMAC-SHA256;HMAC-SHA512;HMAC-SHA1
	Algorithm string `json:"algorithm,omitempty"`

	// encoding of the signature in the header. Omitted: Hex.
	// +optional
	// +kubebuilder:validation:Enum=Hex;Base64
	Encoding string `json:"encoding,omitempty"`

	// prefix stands before the signature in the header, such as "sha256=". Omitted: none. At most 32 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Prefix string `json:"prefix,omitempty"`

	// signed is what is signed: a text in which {id}, {timestamp} and {body} stand for those. Omitted: "{body}". It must have
	// {body}, and a text between any two of them, with no digit beside {timestamp}; or nobody is admitted. At most 128 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.contains('{body}')",message="spec.auth.signature.custom.signed: must contain {body}, or the body could be replaced"
	Signed string `json:"signed,omitempty"`

	// idHeader is the header of {id}. At most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	IDHeader string `json:"idHeader,omitempty"`

	// timestampHeader is the header of {timestamp}: seconds since 1970. At most 64 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9-]+$`
	TimestampHeader string `json:"timestampHeader,omitempty"`
}

// BasicAuth says which usernames and passwords admit.
type BasicAuth struct {
	// secretRef is a Secret of the webhook's namespace with the label hookstorm.dev/auth: basic and the keys username and
	// password, as type kubernetes.io/basic-auth has them. Missing or without a password: nobody is admitted, and whoever
	// sends a password gets 503.
	// +required
	SecretRef LocalSecretReference `json:"secretRef"`
}

// JWTAuth says which JSON Web Tokens admit. They are signed with RSA, ECDSA or Ed25519, have an end (exp), and are at most
// 16 KiB long.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.jwksURL) && has(self.secretRef))",message="spec.auth.jwt: set at most one of jwksURL, secretRef"
type JWTAuth struct {
	// issuer is what the claim iss must be, to the letter. 1 to 512 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer"`

	// audiences are what the claim aud must have one of. 1 to 16.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences"`

	// jwksURL is where the issuer's keys are, an https url. Omitted, and secretRef too: where the issuer's OpenID discovery
	// document says. At most 1024 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^https://[^#]+$`
	JWKSURL string `json:"jwksURL,omitempty"`

	// secretRef is a Secret of the webhook's namespace with the label hookstorm.dev/auth: jwt, whose keys each hold a JSON
	// Web Key Set. Missing or without one: nobody is admitted, and whoever sends a token that would be if it were signed gets
	// 503.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// requiredClaims are CEL expressions over claims, such as claims.sub == "ci"; all must be true. Omitted: none. At most 8.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	RequiredClaims []Expression `json:"requiredClaims,omitempty"`

	// clockSkew is by how much the clocks of issuer and HookStorm may differ. Omitted: 1m. At most 5m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) <= duration('5m')",message="spec.auth.jwt.clockSkew: at most 5m"
	ClockSkew *Duration `json:"clockSkew,omitempty"`
}

// KubernetesAuth admits accounts of the cluster: a TokenReview says whose token it is, a SubjectAccessReview whether it may
// create webhooks/deliveries (group hookstorm.dev) of this Webhook.
type KubernetesAuth struct {
	// audience is whom the token must be for. Omitted: hookstorm. At most 256 characters.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Audience string `json:"audience,omitempty"`
}

// ClientCertificateAuth says which TLS client certificates admit.
type ClientCertificateAuth struct {
	// secretRef is a Secret of the webhook's namespace with the label hookstorm.dev/auth: ca, whose keys each hold
	// certificates of authorities in PEM. Missing or without one: nobody is admitted, and whoever shows a certificate gets
	// 503.
	// +required
	SecretRef LocalSecretReference `json:"secretRef"`

	// names are the names of which a certificate must have one among its subject alternative names: a URI, if it has a colon, an
	// email address, if it has an @, or a DNS name. Its common name does not count. Omitted: any name. At most 32.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Names []string `json:"names,omitempty"`
}

// AnonymousAuth has no settings.
type AnonymousAuth struct{}
