package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// Reason is why an action failed, in one word.
type Reason string

// The reasons. Whether trying again helps is said by Failure.Retryable, and mostly goes with the reason.
const (
	// ReasonInvalid: the action cannot be done as it is, or the API server found it invalid.
	ReasonInvalid Reason = "Invalid"
	// ReasonKindUnknown: the API server serves no such kind. Retryable, as its CRD may be installed later.
	ReasonKindUnknown Reason = "KindUnknown"
	// ReasonNotFound: the object to be patched does not exist. Retryable, as it may come.
	ReasonNotFound Reason = "NotFound"
	// ReasonAlreadyExists: somebody else has created an object of that name. Retryable only while it is being deleted.
	ReasonAlreadyExists Reason = "AlreadyExists"
	// ReasonConflict: somebody else manages a field that is applied; or, retryable, wrote the object at the same time.
	ReasonConflict Reason = "Conflict"
	// ReasonForbidden: the ServiceAccount lacks a right, which the message names.
	ReasonForbidden Reason = "Forbidden"
	// ReasonActionsNotAllowed: HookStorm may not act as ServiceAccounts of the Rule's namespace.
	ReasonActionsNotAllowed Reason = v1alpha1.ReasonActionsNotAllowed
	// ReasonDenied: a policy of the cluster, or an address that may not be connected to.
	ReasonDenied Reason = "Denied"
	// ReasonQuotaExceeded: the namespace's quota is used up. Retryable.
	ReasonQuotaExceeded Reason = "QuotaExceeded"
	// ReasonNamespaceGone: the namespace does not exist or is being deleted.
	ReasonNamespaceGone Reason = "NamespaceGone"
	// ReasonSecretNotFound: a Secret or a key of it does not exist, or it is not labeled for outbound use. Retryable.
	ReasonSecretNotFound Reason = v1alpha1.ReasonSecretNotFound
	// ReasonSecretInvalid: a Secret's value cannot be used. Retryable.
	ReasonSecretInvalid Reason = v1alpha1.ReasonSecretInvalid
	// ReasonBusy: the target has as many calls under way as it may. Retryable.
	ReasonBusy Reason = "Busy"
	// ReasonRefused: the target answered with a status that is no success. Retryable if the status is.
	ReasonRefused Reason = "Refused"
	// ReasonUnavailable: there was no answer, or one that says to come again. Retryable.
	ReasonUnavailable Reason = "Unavailable"
	// ReasonInterrupted: the caller's context ended first. Retryable.
	ReasonInterrupted Reason = "Interrupted"
	// ReasonPanicked: HookStorm has a defect.
	ReasonPanicked Reason = "Panicked"
)

// Failure is why an action failed, and what to do about it.
type Failure struct {
	// Reason is one word.
	Reason Reason
	// Message is a clause for people, printable and at most v1alpha1.MaxMessage bytes long. It holds no credential, nothing
	// of what a target answered, and of a URL only scheme, host and port.
	Message string
	// Retryable says that the same action may succeed later.
	Retryable bool
	// After is how long the one who refused asks to be left alone. Zero: it did not ask.
	After time.Duration
	// Busy says that nothing was sent, because others are calling the same target; it is no attempt.
	Busy bool
	// Outage says that the API server, not the action, is what failed: it did not answer, or not for now. It is no attempt.
	Outage bool
}

// Error implements error.
func (f *Failure) Error() string { return f.Message }

// final returns a Failure that lasts.
func final(reason Reason, format string, arguments ...any) *Failure {
	return &Failure{Reason: reason, Message: printable(fmt.Sprintf(format, arguments...))}
}

// passing returns a Failure that may pass.
func passing(reason Reason, format string, arguments ...any) *Failure {
	f := final(reason, format, arguments...)
	f.Retryable = true
	return f
}

// outage returns a Failure that is the API server's.
func outage(after time.Duration, format string, arguments ...any) *Failure {
	f := passing(ReasonUnavailable, format, arguments...)
	f.Outage, f.After = true, after
	return f
}

// failureOf returns the Failure that an error is. Where nobody answered before the caller gave up, that is the reason.
func failureOf(ctx context.Context, err error) *Failure {
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		return final(ReasonInvalid, "%v", err)
	}
	if f.Reason == ReasonUnavailable && ctx.Err() != nil {
		f.Reason = ReasonInterrupted
	}
	return f
}

// printable bounds a text and takes from it what a terminal or a log might obey.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > v1alpha1.MaxMessage {
		text = strings.ToValidUTF8(text[:v1alpha1.MaxMessage], "")
	}
	return text
}
