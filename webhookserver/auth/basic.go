package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Login is a username and a password that admit, by their SHA-256: neither is kept.
type Login struct {
	// Key is where the password is from.
	Key
	loginDigest
}

// NewLogin returns the login of a Secret, where key is that of the password. The username may be empty, as some senders
// have a password only; the password may not.
func NewLogin(key Key, username, password []byte) (Login, error) {
	if len(password) == 0 {
		return Login{}, fmt.Errorf("basic.secretRef: key %q of Secret %q is missing or empty; put the password there", key.Name, key.Secret)
	}
	return Login{Key: key, loginDigest: loginDigest{sha256.Sum256(username), sha256.Sum256(password)}}, nil
}

// loginDigest is a username and a password by their SHA-256.
type loginDigest struct{ username, password [sha256.Size]byte }

// login returns the digests of the login that a request shows. To hash what is sent takes some time, and is done once; to
// compare the digests takes nanoseconds for each login, which no network shows.
func (r *Request) login() *loginDigest {
	if r.digest == nil {
		r.digest = &loginDigest{sha256.Sum256([]byte(r.Username)), sha256.Sum256([]byte(r.Password))}
	}
	return r.digest
}

// Basic admits usernames with their passwords.
type Basic struct {
	// Logins admit.
	Logins []Login
	// Unavailable says that a Secret referred to is missing or has no password: who sends a login that is none of Logins is
	// told to come again.
	Unavailable bool
}

// Admit implements Method. It takes the same time whichever login is sent, be it one that admits or not.
func (b *Basic) Admit(_ context.Context, r *Request) Result {
	if !r.Basic {
		return Result{}
	}
	sent, found := r.login(), -1
	for i := range b.Logins {
		login := &b.Logins[i]
		same := subtle.ConstantTimeCompare(sent.username[:], login.username[:]) &
			subtle.ConstantTimeCompare(sent.password[:], login.password[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	switch {
	case found >= 0:
		return Result{Verdict: Admitted, Key: b.Logins[found].Key}
	case b.Unavailable:
		return Result{Verdict: Unavailable}
	default:
		return Result{}
	}
}
