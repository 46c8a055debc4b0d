// Package auth says who may do what at the webhook server: which credential a request carries, whose tokens it is, and
// whether one of a webhook's methods admits it. It reads no Secret: the controllers resolve them before. Methods and
// Signatures are immutable and safe for concurrent use; a Request belongs to one goroutine.
package auth

import "context"

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

// Verdict is what a method, or all of a webhook's, make of a request. A greater verdict wins over a smaller one.
type Verdict int

const (
	// Refused says that nothing admits the request.
	Refused Verdict = iota
	// Unavailable says that nothing admits it, and that a key that might have is missing; it is worth trying again.
	Unavailable
	// Admitted says that a method admits it.
	Admitted
)

// Anonymous admits everybody.
type Anonymous struct{}

// Admit implements Method.
func (Anonymous) Admit(context.Context, *Request) Result { return Result{Verdict: Admitted} }

// Admit asks methods in turn, until one admits; of those that do not the greatest verdict counts.
func Admit(ctx context.Context, methods []Method, r *Request) Result {
	var best Result
	for _, method := range methods {
		if result := method.Admit(ctx, r); result.Verdict > best.Verdict {
			best = result
		}
		if best.Verdict == Admitted {
			break
		}
	}
	return best
}
