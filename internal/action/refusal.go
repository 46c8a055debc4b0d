package action

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// refused returns why the API server did not do what was asked of it.
func (a *api) refused(err error, t *target) *Failure {
	status := statusOf(err)
	about := status.Message
	switch {
	case apierrors.IsForbidden(err):
		return a.forbidden(err, t)
	case status.Reason == metav1.StatusReasonConflict && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		return final(ReasonConflict, "%s: %s; force: true takes the fields over", t, about)
	case status.Reason == metav1.StatusReasonConflict:
		return passing(ReasonConflict, "%s: %s", t, about)
	case apierrors.IsNotFound(err):
		return a.notFound(err, t)
	case status.Code >= 400 && status.Code < 500 && !transient(status.Code):
		return final(ReasonInvalid, "%s: %s", t, invalid(&status))
	default:
		return unavailable(err)
	}
}

// sayable are the beginnings of what an API server says of an object that it cannot read and that quote no value of it.
var sayable = regexp.MustCompile(`(strict decoding error: |json: cannot unmarshal |json: unknown field ).*`)

// invalid returns what is wrong with an object, as far as that quotes nothing of it: where a patch is wrong the API server
// quotes the whole target, which may be a Secret that the ServiceAccount itself must not read.
func invalid(status *metav1.Status) string {
	if status.Details != nil && len(status.Details.Causes) > 0 {
		var causes []string
		for _, cause := range status.Details.Causes {
			causes = append(causes, fmt.Sprintf("%s: %s", cause.Field, cause.Type))
		}
		return "invalid: " + strings.Join(causes, ", ")
	}
	if said := sayable.FindString(status.Message); said != "" && status.Code == http.StatusBadRequest {
		return said
	}
	return fmt.Sprintf("the API server refuses it (%d %s)", status.Code, status.Reason)
}

// statusOf returns what the API server said; the zero Status where it said nothing.
func statusOf(err error) metav1.Status {
	var said apierrors.APIStatus
	if errors.As(err, &said) {
		return said.Status()
	}
	return metav1.Status{}
}

// transient reports whether a status below 500 is not about the request: HookStorm's own credentials, which are renewed, and
// too many requests.
func transient(code int32) bool {
	return code == http.StatusUnauthorized || code == http.StatusTooManyRequests
}

// unavailable returns the Failure that the API server answered nothing, or not for now. An outage it is not where one
// request is the cause, such as an admission webhook that fails: that would be tried for ever.
func unavailable(err error) *Failure {
	status := statusOf(err)
	after := time.Duration(0)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok {
		after = time.Duration(seconds) * time.Second
	}
	switch {
	case status.Code == 0:
		return outage(0, "the API server does not answer: %s", connectionError(err))
	case status.Code == http.StatusUnauthorized:
		return outage(after, "the API server does not accept HookStorm's own credentials")
	case transient(status.Code), status.Code == http.StatusServiceUnavailable, status.Code == http.StatusGatewayTimeout, etcdFails(status.Message):
		return outage(after, "the API server is not available: %s", status.Message)
	default:
		failure := passing(ReasonUnavailable, "the API server: %s", status.Message)
		failure.After = after
		return failure
	}
}

// etcdFails reports whether an internal error is one of the API server's store.
func etcdFails(message string) bool {
	return strings.Contains(message, "etcdserver: ") || strings.Contains(message, "rpc error: ")
}

// connectionError returns what of an error is about the connection: not the method and the URL, which name the object.
func connectionError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return errors.New("the time for it ended")
	}
	if call, ok := errors.AsType[*url.Error](err); ok {
		return call.Err
	}
	return err
}

// notFound tells apart what of a request does not exist: the namespace, the kind or the object.
func (a *api) notFound(err error, t *target) *Failure {
	details := statusOf(err).Details
	switch {
	case details == nil || apierrors.IsUnexpectedServerError(err):
		a.kinds.forget(t.kind.GroupVersion())
		return passing(ReasonKindUnknown, "the API server serves %s in %s no more", t.kind.Kind, t.kind.GroupVersion())
	case details.Kind == "namespaces" && t.kind.resource != "namespaces":
		return final(ReasonNamespaceGone, "namespace %s does not exist", t.namespace)
	default:
		return passing(ReasonNotFound, "%s does not exist", t)
	}
}

// rightMissing is how the API server says which right is missing: the verb is all that is not known yet.
var rightMissing = regexp.MustCompile(` is forbidden: User "[^"]*" cannot ([a-z:-]+) resource "`)

// forbidden tells apart who forbids a request: RBAC to HookStorm, RBAC to the ServiceAccount, or an admission plug-in.
func (a *api) forbidden(err error, t *target) *Failure {
	message := statusOf(err).Message
	missing := rightMissing.FindStringSubmatch(message)
	switch {
	// With constrained impersonation (Kubernetes 1.36) the verb is one such as impersonate-on:serviceaccount:create.
	case missing != nil && strings.HasPrefix(missing[1], "impersonate"):
		return final(ReasonActionsNotAllowed, "HookStorm may not act as ServiceAccounts of namespace %s; allow it with: %s",
			t.account.Namespace, v1alpha1.GrantCommand(t.account.Namespace, a.account.Namespace))
	case missing != nil:
		return final(ReasonForbidden, "%s", t.rightMissing(missing[1]))
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return final(ReasonNamespaceGone, "namespace %s is being deleted", t.namespace)
	// The second is what is said until a new quota was counted.
	case strings.Contains(message, "exceeded quota: "), strings.Contains(message, "status unknown for quota: "):
		return passing(ReasonQuotaExceeded, "%s", message)
	default:
		return final(ReasonDenied, "%s", message)
	}
}

// rightMissing says which right the ServiceAccount lacks, and how to give it, if there is room for that.
func (t *target) rightMissing(verb string) string {
	role := fmt.Sprintf("%s-%s-%s", t.account.Name, verb, t.kind)
	scope, sort, where := "in namespace "+t.namespace, "role", " -n "+t.namespace
	if t.namespace == "" {
		role = t.account.Namespace + "-" + role
		scope, sort, where = "in the cluster", "clusterrole", ""
	}
	problem := fmt.Sprintf("ServiceAccount %s may not %s %s %s", t.account, verb, t.kind, scope)
	remedy := fmt.Sprintf("; grant it with: kubectl create %[1]s %[2]s --verb=%[3]s --resource=%[4]s%[5]s && kubectl create %[1]sbinding %[2]s "+
		"--%[1]s=%[2]s --serviceaccount=%[6]s:%[7]s%[5]s", sort, role, verb, t.kind, where, t.account.Namespace, t.account.Name)
	if len(problem)+len(remedy) > v1alpha1.MaxMessage {
		return problem
	}
	return problem + remedy
}
