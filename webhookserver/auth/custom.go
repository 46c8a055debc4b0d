package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"
)

// CustomScheme is a scheme that the owner of a webhook describes, for a sender that has no row in the table.
type CustomScheme struct {
	// Header holds the signature.
	Header string
	// Algorithm makes it; "" is HMACSHA256.
	Algorithm Algorithm
	// Encoding is how it is written; "" is Hex.
	Encoding Encoding
	// Prefix comes before it, such as "sha256=".
	Prefix string
	// Signed is what is signed: a text with {body} and, if they are signed too, {id} and {timestamp}; "" is {body}.
	Signed string
	// IDHeader holds {id}; TimestampHeader holds {timestamp}, in seconds since 1970. Each is set if Signed has its part.
	IDHeader, TimestampHeader string
}

// reservedHeaders mean something to HTTP or to this server, which would not see them, or see something else in them.
var reservedHeaders = [...]string{
	"Accept", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Forwarded", "Host", "Keep-Alive",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host",
	"X-Forwarded-Proto",
}

// commonHeaders are on many requests of whatever sender: clients, proxies and tracing add them. A signature is in none of them,
// or the body of every stranger would be read for it; an id may be.
var commonHeaders = [...]string{
	"Accept-Charset", "Accept-Encoding", "Accept-Language", "Cache-Control", "Content-Language", "Date", "From", "Max-Forwards",
	"Origin", "Pragma", "Priority", "St2-Trace-Tag", "Via", "Webhook-Request-Origin",
	// Tracing: W3C, Jaeger, Zipkin, Amazon, Google.
	"B3", "Baggage", "Traceparent", "Tracestate", "Uber-Trace-Id", "X-Amzn-Trace-Id", "X-B3-Flags", "X-B3-Parentspanid",
	"X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid", "X-Cloud-Trace-Context", "X-Correlation-Id", "X-Request-Id", "X-Request-Start",
	// Proxies: ingress-nginx, Envoy, Traefik, and those of Akamai, Amazon, Azure, Cloudflare and Fastly.
	"Cdn-Loop", "Cf-Connecting-Ip", "Cf-Ew-Via", "Cf-Ipcountry", "Cf-Ray", "Cf-Visitor", "Cf-Worker", "Fastly-Client-Ip", "Fastly-Ff",
	"Fastly-Ssl", "True-Client-Ip", "X-Amz-Cf-Id", "X-Arr-Log-Id", "X-Arr-Ssl", "X-Azure-Clientip", "X-Azure-Fdid", "X-Azure-Ref",
	"X-Azure-Socketip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Envoy-Attempt-Count", "X-Envoy-Expected-Rq-Timeout-Ms",
	"X-Envoy-External-Address", "X-Envoy-Internal", "X-Forwarded-By", "X-Forwarded-Path", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Scheme", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Original-Forwarded-For", "X-Original-Host", "X-Real-Ip",
	"X-Scheme", "X-Varnish",
}

// headerName returns the canonical form of a header's name, or what is wrong with it.
func headerName(name string) (string, error) {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case name == "":
		return "", errors.New("is missing; name the header")
	case !httpguts.ValidHeaderFieldName(name):
		return "", fmt.Errorf("%q is no name of a header; use letters, digits and dashes", name)
	case slices.Contains(credentialHeaders[:], canonical):
		return "", fmt.Errorf("%s may hold a credential, and is taken out of every request; name the sender's own header", canonical)
	case slices.Contains(reservedHeaders[:], canonical):
		return "", fmt.Errorf("%s has another meaning; name the sender's own header", canonical)
	}
	return canonical, nil
}

// checkSignatureHeader says what is wrong with having a signature in a header, in canonical form.
func checkSignatureHeader(name string) error {
	if slices.Contains(commonHeaders[:], name) {
		return fmt.Errorf("%s is on the requests of other senders too; name the sender's own header", name)
	}
	return nil
}

// adaptCustom makes the row that a custom scheme describes.
func adaptCustom(row *scheme, o *SignatureOptions) error {
	if o.Custom == nil {
		return errors.New("custom: is missing; describe the scheme, or choose another")
	}
	c := *o.Custom
	c.Algorithm = withDefault(c.Algorithm, HMACSHA256)
	c.Encoding = withDefault(c.Encoding, Hex)
	c.Signed = withDefault(c.Signed, "{"+bodyPart+"}")
	switch {
	case c.Algorithm.newHash() == nil:
		return fmt.Errorf("custom.algorithm: %q is none of %s, %s and %s", c.Algorithm, HMACSHA256, HMACSHA512, HMACSHA1)
	case c.Encoding != Hex && c.Encoding != Base64:
		return fmt.Errorf("custom.encoding: %q is neither %s nor %s", c.Encoding, Hex, Base64)
	}
	message, err := parseTemplate(c.Signed)
	if err != nil {
		return fmt.Errorf("custom.signed: %w", err)
	}
	at, err := c.place(message)
	if err != nil {
		return err
	}
	row.places, row.prefix, row.signed = []place{at}, c.Prefix, c.Signed
	row.algorithm, row.encoding = c.Algorithm, c.Encoding
	if at.timestamp != "" {
		row.tolerance = defaultTolerance
	}
	return nil
}

// place returns the scheme's headers. Each is there if and only if it is signed: what is not is the sender's to choose, or
// anybody's.
func (c *CustomScheme) place(message template) (place, error) {
	var at place
	for _, h := range [...]struct {
		field, name, part string
		header            *string
	}{
		{"custom.header", c.Header, "", &at.signature},
		{"custom.timestampHeader", c.TimestampHeader, timestampPart, &at.timestamp},
		{"custom.idHeader", c.IDHeader, idPart, &at.id},
	} {
		signed := h.part == "" || message.uses(h.part)
		switch {
		case !signed && h.name == "":
			continue
		case !signed:
			return place{}, fmt.Errorf("%s: custom.signed has no {%s}, so that anybody could change it; add it there, or remove this",
				h.field, h.part)
		}
		name, err := headerName(h.name)
		if err != nil {
			return place{}, fmt.Errorf("%s: %w", h.field, err)
		}
		if name == at.signature || name == at.timestamp {
			return place{}, fmt.Errorf("%s: %s is named twice; each header has one use", h.field, name)
		}
		*h.header = name
	}
	if err := checkSignatureHeader(at.signature); err != nil {
		return place{}, fmt.Errorf("custom.header: %w", err)
	}
	return at, nil
}

// verifyDescribed does what verifyMAC does, and signs the body whatever the headers hold: what has to be in them differs between
// webhooks whose signatures are in the same header, and would tell them apart.
func verifyDescribed(_ context.Context, s *Signature, r *Request, at *place) Proof {
	var c claim
	readable := s.read(&c, r.Header, at)
	proof := s.prove(&c, r.Now, s.message.fill(&c, r.Body))
	if !readable {
		return Proof{}
	}
	return proof
}

func withDefault[T ~string](value, byDefault T) T {
	if value == "" {
		return byDefault
	}
	return value
}
