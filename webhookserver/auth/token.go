package auth

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"
)

// Token is one valid token, by its SHA-256: the token itself is never kept.
type Token struct {
	// Digest is the token's SHA-256.
	Digest [sha256.Size]byte
	// Key says where the token is from.
	Key
	// Scopes are what it may be used for.
	Scopes []Scope
	// Expires is when it ends; zero: never.
	Expires time.Time
}

// Digest returns the SHA-256 by which a token is known.
func Digest(token []byte) [sha256.Size]byte { return sha256.Sum256(token) }

func (t *Token) valid(scope Scope, now time.Time) bool {
	return (t.Expires.IsZero() || now.Before(t.Expires)) && (scope == ScopeAny || slices.Contains(t.Scopes, scope))
}

// Tokens admits the tokens of some Secrets.
type Tokens struct {
	// Secrets are Secrets of the webhook's namespace; nil: every token Secret of that namespace and of the system namespace.
	Secrets map[string]bool
	// Unavailable says that the one Secret referred to is missing or empty: nobody is admitted, and whoever sends a token is
	// told to come again.
	Unavailable bool
}

// Admit implements Method: it admits a token with the scope to send.
func (t *Tokens) Admit(_ context.Context, r *Request) Result {
	c := &r.Caller
	switch {
	case t.Unavailable && c.sent:
		return Result{Verdict: Unavailable}
	case t.Unavailable:
		return Result{}
	}
	for i := range c.tokens {
		token := &c.tokens[i]
		if token.valid(ScopeSend, c.now) && t.counts(c, token, r.Namespace) {
			return Result{Verdict: Admitted, Key: token.Key}
		}
	}
	return Result{}
}

// counts reports whether a token is of a Secret that counts for a webhook of a namespace.
func (t *Tokens) counts(c *Caller, token *Token, namespace string) bool {
	if t.Secrets == nil {
		return token.Namespace == c.system || token.Namespace == namespace
	}
	return token.Namespace == namespace && t.Secrets[token.Secret]
}

// Keyring holds every valid token.
type Keyring struct {
	tokens map[[sha256.Size]byte][]Token
	system string
}

// NewKeyring makes a keyring. Tokens of the system namespace count in every namespace.
func NewKeyring(tokens []Token, systemNamespace string) *Keyring {
	k := &Keyring{tokens: make(map[[sha256.Size]byte][]Token, len(tokens)), system: systemNamespace}
	for _, token := range tokens {
		k.tokens[token.Digest] = append(k.tokens[token.Digest], token)
	}
	return k
}

// Identify finds whose tokens a credential is; several Secrets may hold the same one. "" is no credential.
//
// The lookup in a map takes a time that depends on the digest of what was sent, and that is safe: to learn a token from
// it byte by byte, a sender would have to choose digests, which is to invert SHA-256.
func (k *Keyring) Identify(credential string, now time.Time) Caller {
	c := Caller{system: k.system, now: now}
	if credential != "" {
		c.sent = true
		c.tokens = k.tokens[Digest([]byte(credential))]
	}
	return c
}

// Caller is who sent a request, as far as its credential tells.
type Caller struct {
	sent   bool // a credential, be it good or bad
	tokens []Token
	system string
	now    time.Time
}

// May says whether the caller has a token with a scope for a namespace: one of that namespace or of the system namespace.
func (c Caller) May(scope Scope, namespace string) bool {
	for i := range c.tokens {
		token := &c.tokens[i]
		if (token.Namespace == c.system || token.Namespace == namespace) && token.valid(scope, c.now) {
			return true
		}
	}
	return false
}

// MaySomewhere says whether the caller has a token with a scope, of whatever namespace.
func (c Caller) MaySomewhere(scope Scope) bool {
	return slices.ContainsFunc(c.tokens, func(t Token) bool { return t.valid(scope, c.now) })
}
