package auth

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"
)

// Request is what the ways to be admitted look at. It and what it holds must not be changed or kept. It is of one goroutine:
// what several ways look at is worked out once, so that it takes the same time for one as for many.
type Request struct {
	Credentials
	// Caller is whose tokens Credentials.Token is.
	Caller Caller
	// Namespace and Webhook are the webhook that is posted to; Webhook is its name.
	Namespace, Webhook string
	// URL is the url of a webhook that is asked for, as the sender wrote it; there need be none.
	URL string
	// Source is the sender's address; not valid where it is not known, or is that of many senders.
	Source netip.Addr
	// Header are the headers, those with signatures among them.
	Header http.Header
	// Body is the body as it was received; nil until it was read, which only signatures need.
	Body []byte
	// Target is the path and the query as they were sent.
	Target string
	// Now is the time.
	Now time.Time

	// What is worked out, from when it is first asked for.
	parsed bool
	signed *bearerToken // nil: Bearer is no signed token
	digest *loginDigest
	form   *twilioForm
}

// Credentials are what a request shows of its sender, apart from signatures.
type Credentials struct {
	// Token is the token or API key that decides; "" is none. A bearer token is one.
	Token string
	// Bearer is the token of Authorization: Bearer; "" is none.
	Bearer string
	// Username and Password are those of Authorization: Basic, if Basic is true.
	Username, Password string
	Basic              bool
	// Certificates are what the client showed in the TLS handshake, its own first, not verified.
	Certificates []*x509.Certificate
}

// Method is one way to be admitted that needs no body. It is immutable and safe for concurrent use.
type Method interface {
	// Admit says what the method makes of a request. One that asks somebody else ends with ctx.
	Admit(ctx context.Context, r *Request) Result
}

// Result is what a way to be admitted makes of a request.
type Result struct {
	// Verdict is Unavailable only for a request that carries what the method looks at.
	Verdict Verdict
	// Key is the key that admitted; the zero Key where it is none of a Secret.
	Key Key
}

// Key names a key of a Secret, never its value.
type Key struct {
	// Namespace and Secret are the Secret's; Name is the key in its data.
	Namespace, Secret, Name string
}
