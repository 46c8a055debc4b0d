package webhookserver

import (
	"net/http"
	"net/netip"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// authenticate admits a request or answers it 401, in an order that depends on the request alone: what needs no body, then,
// only if the request carries a signature that some webhook would take, the body and the signatures. Decoys do what the
// webhook's own ways do not and those of others would, so that neither the time it takes nor a 503 tells which webhooks exist.
// Whatever comes after it sees no credential and no signature.
func (x *exchange) authenticate() *refusal {
	request := x.request()
	result := x.admit(request)
	if marks := x.marks(result); len(marks) > 0 {
		if refused := x.readUnverified(); refused != nil {
			return x.failed(refused)
		}
		request.Body = x.body
		result = x.verify(request, marks, result)
	}
	x.strip()
	return x.conclude(result)
}

// request takes the credentials, and returns what the ways to be admitted look at.
func (x *exchange) request() *auth.Request {
	now := x.now()
	credentials, target := auth.Take(x.r)
	if x.wait = x.failures.wait(x.source, now); x.wait > 0 {
		credentials = withoutGuessable(credentials)
	}
	x.caller = x.table.keyring.Identify(credentials.Token, now)
	r := &auth.Request{
		Credentials: credentials, Caller: x.caller, Namespace: x.at.namespace, URL: x.at.url, Header: x.r.Header, Target: target, Now: now,
	}
	if !x.sources.shared(x.source) {
		r.Source = x.source
	}
	if x.route != nil {
		r.Namespace, r.Webhook = x.route.Namespace, x.route.Name
	}
	return r
}

// admit asks what needs no body. Reading is for tokens of the webhook's namespace and of the system namespace, whoever may
// post to it; so is learning that nobody owns a url.
func (x *exchange) admit(r *auth.Request) auth.Result {
	switch {
	case x.at.collection:
		return admittedIf(x.caller.MaySomewhere(auth.ScopeList))
	case x.r.Method == http.MethodGet:
		return admittedIf(x.caller.May(auth.ScopeRead, r.Namespace))
	case x.route != nil:
		return x.table.decoys.Admit(x.r.Context(), x.route.Auth, r)
	case x.caller.May(scopeOf(x.r.Method), r.Namespace):
		return admittedIf(true)
	default:
		return x.table.decoys.Admit(x.r.Context(), nil, r)
	}
}

func admittedIf(allowed bool) auth.Result {
	if allowed {
		return auth.Result{Verdict: auth.Admitted}
	}
	return auth.Result{}
}

func scopeOf(method string) auth.Scope {
	if method == http.MethodPost {
		return auth.ScopeSend
	}
	return auth.ScopeAny
}

// marks returns the signatures that a request carries which is not admitted without one.
func (x *exchange) marks(result auth.Result) auth.Marks {
	if result.Verdict == auth.Admitted || x.r.Method == http.MethodGet {
		return nil
	}
	return x.table.decoys.Marks(x.r.Header)
}

// verify asks the webhook's signatures, and decoys of the others that the request carries.
func (x *exchange) verify(r *auth.Request, marks auth.Marks, best auth.Result) auth.Result {
	var own []*auth.Signature
	if x.route != nil {
		own = x.route.Signatures
	}
	if proof := marks.Verify(x.r.Context(), own, r); proof.Verdict > best.Verdict {
		best, x.proof = proof.Result, proof
	}
	return best
}

// strip removes signatures from the request.
func (x *exchange) strip() {
	for name := range x.r.Header {
		if auth.IsSecretHeader(name) {
			delete(x.r.Header, name)
		}
	}
	if x.route == nil {
		return
	}
	for _, name := range x.route.signatureHeaders {
		delete(x.r.Header, name)
	}
}

// conclude turns what the ways to be admitted made of the request into an answer.
func (x *exchange) conclude(result auth.Result) *refusal {
	switch {
	case result.Verdict == auth.Unavailable:
		return x.failed(&keyMissing)
	case result.Verdict != auth.Admitted:
		return x.failed(&unauthorized)
	case x.route == nil:
		return nil
	case !x.route.takesFrom(x.source):
		return x.failed(&elsewhere)
	}
	if x.observer != nil && result.Key.Namespace == x.route.Namespace {
		x.observer.Admitted(x.route.Name, result.Key)
	}
	return nil
}

// failed counts a refusal of an unknown sender, unless its source has had too many: then nothing that can be guessed was tried.
func (x *exchange) failed(r *refusal) *refusal {
	if x.wait > 0 {
		return tooMany("TooManyFailures", x.wait)
	}
	x.failures.count(x.source, x.now())
	return r
}

// takesFrom reports whether a webhook takes requests from an address.
func (r *route) takesFrom(source netip.Addr) bool {
	return len(r.Sources) == 0 || within(source, r.Sources)
}
