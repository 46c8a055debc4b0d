// Package auth says who may do what at the webhook server: which credential a request carries, whose tokens it is, and
// whether one of a webhook's methods admits it. It reads no Secret: the controllers resolve them before. Its values are
// immutable and safe for concurrent use.
package auth

// Scope is what a token may be used for.
type Scope string

// The scopes that a token Secret may grant.
const (
	// ScopeSend is posting to a webhook.
	ScopeSend Scope = "send"
	// ScopeList is listing webhooks.
	ScopeList Scope = "list"
	// ScopeRead is reading one webhook.
	ScopeRead Scope = "read"
	// ScopeReplay is replaying a trigger instance.
	ScopeReplay Scope = "replay"

	// ScopeAny is what every token has: it asks only whose token it is.
	ScopeAny Scope = ""
)

// Method is one way to be admitted to a webhook: an entry of spec.auth, resolved. Exactly one member is set; one without
// members admits nobody.
type Method struct {
	// Tokens admits whoever sends one of these tokens.
	Tokens *Tokens
	// Anonymous admits everybody.
	Anonymous bool
}

// Verdict is what the methods of a webhook make of a request. A greater verdict wins over a smaller one.
type Verdict int

const (
	// Refused says that nothing admits the request.
	Refused Verdict = iota
	// Unavailable says that nothing admits it, and that a key that might have is missing; it is worth trying again.
	Unavailable
	// Admitted says that a method admits it.
	Admitted
)

// Admit asks every method of a webhook of a namespace. A token that admits must also have the scope.
func (c Caller) Admit(methods []Method, namespace string, scope Scope) Verdict {
	verdict := Refused
	for i := range methods {
		switch m := &methods[i]; {
		case m.Anonymous:
			return Admitted
		case m.Tokens != nil:
			verdict = max(verdict, m.Tokens.admit(c, namespace, scope))
		}
	}
	return verdict
}
