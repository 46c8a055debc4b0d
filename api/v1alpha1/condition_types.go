package v1alpha1

// The condition types. All are positive: True is good. A Rule has Accepted, ResolvedRefs, Programmed and Ready; a Webhook
// also ShortURL; a TriggerType has Accepted; a TriggerInstance has Succeeded.
const (
	// ConditionAccepted says whether the spec is valid and takes part.
	// True: Accepted. False: Invalid, Conflicted.
	ConditionAccepted = "Accepted"

	// ConditionResolvedRefs says whether everything the spec refers to exists and is usable.
	// True: ResolvedRefs. False: SecretNotFound, SecretInvalid, KeysUnreachable, TLSNotServed; for a Rule also ActionsNotAllowed.
	ConditionResolvedRefs = "ResolvedRefs"

	// ConditionProgrammed says whether the object is live in the route table or the rule book.
	// True: Programmed. False: NotAccepted, Disabled.
	ConditionProgrammed = "Programmed"

	// ConditionShortURL says whether a webhook is served at its short url, besides its namespaced path.
	// True: Assigned. False: Conflicted, NotAllowed, NotAccepted.
	ConditionShortURL = "ShortURL"

	// ConditionReady sums up: True when Accepted, ResolvedRefs and Programmed are; else False with the reason of the first
	// that is not. True: Ready. A webhook without its short url is ready.
	ConditionReady = "Ready"

	// ConditionSucceeded tells how a trigger instance went. True: Matched, NoRuleMatched. Unknown: Retrying. False: RuleFailed,
	// ActionFailed, NotDispatched.
	ConditionSucceeded = "Succeeded"
)

// The reasons of the conditions.
const (
	// ReasonAccepted: the spec is valid.
	ReasonAccepted = "Accepted"
	// ReasonInvalid: the spec has an error, which the message names with the field and the fix.
	ReasonInvalid = "Invalid"
	// ReasonConflicted: another object has what this one claims.
	ReasonConflicted = "Conflicted"
	// ReasonResolvedRefs: all references are good.
	ReasonResolvedRefs = "ResolvedRefs"
	// ReasonSecretNotFound: a Secret that the spec refers to does not exist or lacks the label of its use.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: a Secret that the spec refers to holds no usable key.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonTLSNotServed: the spec asks for client certificates, and webhooks are served without TLS.
	ReasonTLSNotServed = "TLSNotServed"
	// ReasonKeysUnreachable: the keys of an issuer that the spec refers to cannot be had.
	ReasonKeysUnreachable = "KeysUnreachable"
	// ReasonActionsNotAllowed: HookStorm may not act as ServiceAccounts of the Rule's namespace; the message says how to allow it.
	ReasonActionsNotAllowed = "ActionsNotAllowed"
	// ReasonProgrammed: the object is live.
	ReasonProgrammed = "Programmed"
	// ReasonNotAccepted: the object takes no part, because it is not accepted.
	ReasonNotAccepted = "NotAccepted"
	// ReasonDisabled: the Rule has enabled: false.
	ReasonDisabled = "Disabled"
	// ReasonAssigned: the short url is this webhook's.
	ReasonAssigned = "Assigned"
	// ReasonNotAllowed: the namespace may not own short urls.
	ReasonNotAllowed = "NotAllowed"
	// ReasonReady: all is well.
	ReasonReady = "Ready"
	// ReasonMatched: at least one Rule matched, and none failed.
	ReasonMatched = "Matched"
	// ReasonNoRuleMatched: every Rule was evaluated, and none matched.
	ReasonNoRuleMatched = "NoRuleMatched"
	// ReasonRuleFailed: a Rule could not be evaluated.
	ReasonRuleFailed = "RuleFailed"
	// ReasonRetrying: an action is still to be tried.
	ReasonRetrying = "Retrying"
	// ReasonActionFailed: an action failed for good.
	ReasonActionFailed = "ActionFailed"
	// ReasonNotDispatched: what was asked for cannot be dispatched, which the message explains.
	ReasonNotDispatched = "NotDispatched"
)

// The labels and annotations. Values that are too long for a label are cut to 63 characters there, with the whole value in
// an annotation of the same key.
const (
	// LabelWebhook on a TriggerInstance is its spec.webhook, with "." for "/".
	LabelWebhook = "hookstorm.dev/webhook"
	// LabelDelivery on a TriggerInstance is the delivery's id.
	LabelDelivery = "hookstorm.dev/delivery"
	// LabelOutcome on a TriggerInstance is Succeeded, Failed or Processing.
	LabelOutcome = "hookstorm.dev/outcome"
	// LabelRule on a TriggerInstance is the first Rule that matched, if any.
	LabelRule = "hookstorm.dev/rule"
	// LabelAuth on a Secret names its one use; HookStorm reads no Secret without it.
	LabelAuth = "hookstorm.dev/auth"
	// LabelManagedBy is app.kubernetes.io/managed-by; on a Webhook ManagedByHookStorm says that HookStorm keeps it.
	LabelManagedBy = "app.kubernetes.io/managed-by"

	// AnnotationBytes on a TriggerInstance is the size of its stored payload, which history counts.
	AnnotationBytes = "hookstorm.dev/bytes"
	// AnnotationExpiresAt on a Secret with LabelAuth is the RFC 3339 time at which its keys stop being valid. A value that cannot be
	// read ends them at once.
	AnnotationExpiresAt = "hookstorm.dev/expires-at"
	// AnnotationScopes on a token Secret is a comma-separated list of scopes; omitted: send.
	AnnotationScopes = "hookstorm.dev/scopes"
)

// The values of LabelAuth.
const (
	// AuthToken is for a Secret whose every key is a token.
	AuthToken = "token"
	// AuthSignature is for a Secret whose every key signs requests.
	AuthSignature = "signature"
	// AuthBasic is for a Secret with the keys username and password.
	AuthBasic = "basic"
	// AuthJWT is for a Secret whose every key is a JSON Web Key Set.
	AuthJWT = "jwt"
	// AuthCA is for a Secret whose every key holds certificates of authorities.
	AuthCA = "ca"
	// AuthOutbound is for a Secret whose values the http actions of its namespace may send.
	AuthOutbound = "outbound"
)

// DefaultServiceAccount is the ServiceAccount of a Rule that names none.
const DefaultServiceAccount = "default"

// ManagedByHookStorm is the value of LabelManagedBy, and the field owner of everything HookStorm writes.
const ManagedByHookStorm = "hookstorm"

// The values of LabelOutcome.
const (
	OutcomeSucceeded  = "Succeeded"
	OutcomeFailed     = "Failed"
	OutcomeProcessing = "Processing"
)
