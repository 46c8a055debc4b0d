package webhookserver

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// authenticate admits a request or answers it 401, in an order that depends on the request alone: what needs no body, then,
// only if the request carries a signature that some webhook would take, the body and the signatures. A webhook's own ways are
// tried beside decoys of all others that are in use, and a url that nobody owns has decoys of all, so that the time it takes
// does not tell which webhooks exist. Whatever comes after it sees no credential and no signature.
func (x *exchange) authenticate() *refusal {
	request := x.request()
	result := x.admit(request)
	if result.Verdict != auth.Admitted && x.r.Method != http.MethodGet && x.table.marked(x.r.Header) {
		if refused := x.readUnverified(); refused != nil {
			return refused
		}
		request.Body = x.body
		result = x.verify(request, result)
	}
	x.strip()
	return x.conclude(result)
}

// request takes the credentials, and returns what the ways to be admitted look at.
func (x *exchange) request() *auth.Request {
	now := x.now()
	credentials, target := auth.Take(x.r)
	if x.failures.exceeded(x.source, now) {
		credentials = withoutGuessable(credentials)
	}
	x.caller = x.table.keyring.Identify(credentials.Token, now)
	r := &auth.Request{
		Credentials: credentials, Caller: x.caller, Namespace: x.at.namespace, Header: x.r.Header, Target: target, Now: now,
	}
	if x.route != nil {
		r.Namespace, r.Webhook = x.route.Namespace, x.route.Name
	}
	return r
}

// admit asks what needs no body. Reading is for tokens of the webhook's namespace and of the system namespace, whoever may
// post to it; so is learning that nobody owns a url.
func (x *exchange) admit(r *auth.Request) auth.Result {
	var allowed bool
	switch {
	case x.at.collection:
		allowed = x.caller.MaySomewhere(auth.ScopeList)
	case x.r.Method == http.MethodGet:
		allowed = x.caller.May(auth.ScopeRead, r.Namespace)
	case x.route != nil:
		return auth.Admit(x.r.Context(), x.route.methods, r)
	default:
		auth.Admit(x.r.Context(), x.table.decoys.methods, r)
		allowed = x.caller.May(scopeOf(x.r.Method), r.Namespace)
	}
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

// verify asks the signatures whose header the request carries.
func (x *exchange) verify(r *auth.Request, best auth.Result) auth.Result {
	decoys := x.table.decoys.signatures
	if x.route != nil {
		decoys = x.route.decoys
		for _, signature := range x.route.Signatures {
			if !signature.Marks(r.Header) {
				continue
			}
			if proof := signature.Verify(x.r.Context(), r); proof.Verdict > best.Verdict {
				best, x.proof = proof.Result, proof
			}
		}
	}
	for _, decoy := range decoys {
		if decoy.Marks(r.Header) {
			decoy.Verify(x.r.Context(), r)
		}
	}
	return best
}

// secretHeaders hold signatures and secrets, whichever the webhook's way to be admitted is.
var secretHeaders = func() map[string]bool {
	names := map[string]bool{}
	for _, name := range auth.SecretHeaders() {
		names[name] = true
	}
	return names
}()

// strip removes signatures from the request.
func (x *exchange) strip() {
	for name := range x.r.Header {
		if secretHeaders[name] {
			delete(x.r.Header, name)
		}
	}
	if x.route == nil {
		return
	}
	for _, signature := range x.route.Signatures {
		for _, name := range signature.Headers() {
			delete(x.r.Header, name)
		}
	}
}

// conclude turns what the ways to be admitted made of the request into an answer.
func (x *exchange) conclude(result auth.Result) *refusal {
	switch {
	case result.Verdict == auth.Unavailable:
		return &keyMissing
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

// failed counts a 401, or refuses it where its source has had too many.
func (x *exchange) failed(r *refusal) *refusal {
	if wait := x.failures.count(x.source, x.now()); wait > 0 {
		return tooMany("TooManyFailures", wait)
	}
	return r
}

// takesFrom reports whether a webhook takes requests from an address.
func (r *route) takesFrom(source netip.Addr) bool {
	return len(r.Sources) == 0 || within(source, r.Sources)
}

// decoys are ways to be admitted that admit nobody.
type decoys struct {
	methods    []auth.Method
	signatures []*auth.Signature
}

// decoysOf returns a decoy for each kind of method and each scheme that hooks use.
func decoysOf(hooks []Hook) decoys {
	var d decoys
	for i := range hooks {
		for _, method := range hooks[i].Auth {
			if !slices.ContainsFunc(d.methods, func(m auth.Method) bool { return auth.SameKind(m, method) }) {
				d.methods = append(d.methods, auth.Decoy(method))
			}
		}
		for _, signature := range hooks[i].Signatures {
			if !slices.ContainsFunc(d.signatures, signature.SameKind) {
				d.signatures = append(d.signatures, signature.Decoy())
			}
		}
	}
	return d
}

// besides returns a hook's methods with the decoys of the kinds that it does not have.
func (d decoys) besides(h *Hook) (methods []auth.Method, signatures []*auth.Signature) {
	methods = slices.Clone(h.Auth)
	for _, decoy := range d.methods {
		if !slices.ContainsFunc(h.Auth, func(m auth.Method) bool { return auth.SameKind(m, decoy) }) {
			methods = append(methods, decoy)
		}
	}
	for _, decoy := range d.signatures {
		if !slices.ContainsFunc(h.Signatures, decoy.SameKind) {
			signatures = append(signatures, decoy)
		}
	}
	return methods, signatures
}

// marked reports whether a request carries a signature of a scheme that some webhook takes.
func (t *Table) marked(header http.Header) bool {
	return slices.ContainsFunc(t.decoys.signatures, func(s *auth.Signature) bool { return s.Marks(header) })
}
