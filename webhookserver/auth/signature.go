package auth

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// MinSigningKey is how many bytes a signing key has at least. Whoever sees one signed request can try keys against it for as
// long as they like, which a shorter key would not outlast.
const MinSigningKey = 16

// MaxSigningKeys is how many keys a webhook has at most for one scheme, in all of its Secrets: every key is tried, and for a
// url that nobody owns as many are.
const MaxSigningKeys = 8

// SignatureOptions say how the requests to a webhook are signed.
type SignatureOptions struct {
	// Scheme is one of Schemes.
	Scheme string
	// Keys are the keys, any of which may have signed. Those that CheckKey finds fault with are left out; if none is left
	// nobody is admitted, and whoever sends a signature is told to come again. AWSSNS has no keys.
	Keys []SigningKey
	// Tolerance is how far a signed time may be from now, before or after; 0 is the scheme's own: 1h for AWSSNS, else 5m.
	Tolerance time.Duration
	// Header and TimestampHeader are Grafana's headers, which can be chosen there. An empty Header is Grafana's own; an
	// empty TimestampHeader means that no time is signed.
	Header, TimestampHeader string
	// PublicURL is what Twilio has in front of a request's path: scheme, host and, behind a proxy that cuts it off, a path.
	PublicURL string
	// Custom is the scheme if Scheme is Custom.
	Custom *CustomScheme
	// Topics are the ARNs of the topics that may post if Scheme is AWSSNS, and Certificates where its certificates are from.
	Topics       []string
	Certificates Certificates
}

// SigningKey is one key of a Secret with its value, which must not be changed.
type SigningKey struct {
	Key
	Value []byte
}

// Signature verifies the requests that a provider signs. It is immutable and safe for concurrent use.
type Signature struct {
	scheme
	message      template
	size         int // of a signature, in bytes
	tolerance    time.Duration
	keys         []secretKey
	topics       []string
	certificates Certificates
}

// secretKey is a key as the scheme's algorithm takes it.
type secretKey struct {
	Key
	secret []byte
	macs   *sync.Pool // of hash.Hash, keyed: to key one takes a third of the time of signing 1 KiB
}

// NewSignature makes a Signature. An error begins with the field that is wrong, as it is called in a Webhook.
func NewSignature(o SignatureOptions) (*Signature, error) {
	row, err := rowOf(&o)
	if err != nil {
		return nil, err
	}
	s := &Signature{scheme: row, tolerance: row.tolerance, topics: slices.Clone(o.Topics), certificates: o.Certificates}
	if o.Tolerance != 0 {
		s.tolerance = o.Tolerance
	}
	if s.message, err = parseTemplate(row.signed); err != nil {
		return nil, fmt.Errorf("scheme: reading what %s signs: %w", o.Scheme, err)
	}
	if newHash := row.algorithm.newHash(); newHash != nil {
		s.size = newHash().Size()
	}
	for _, key := range o.Keys {
		if secret, err := row.secret(key.Value); err == nil {
			s.keys = append(s.keys, s.newKey(key.Key, secret))
		}
	}
	return s, nil
}

func (s *scheme) newKey(key Key, secret []byte) secretKey {
	newHash := s.algorithm.newHash()
	return secretKey{Key: key, secret: secret, macs: &sync.Pool{New: func() any { return hmac.New(newHash, secret) }}}
}

// CheckKey says what is wrong with a key for a scheme, or nil. The error does not tell the key.
func CheckKey(scheme string, value []byte) error {
	row, found := findScheme(scheme)
	if !found {
		return unknownScheme(scheme)
	}
	_, err := row.secret(value)
	return err
}

// secret makes of a value what the scheme's algorithm takes. "kubectl create secret --from-file" keeps the newline at the
// end of a file, and no provider makes a key that ends with one.
func (s *scheme) secret(value []byte) ([]byte, error) {
	if line, found := bytes.CutSuffix(value, []byte("\n")); found {
		value = bytes.TrimSuffix(line, []byte("\r"))
	}
	secret := value
	if s.decodeKey != nil {
		var err error
		if secret, err = s.decodeKey(value); err != nil {
			return nil, err
		}
	}
	switch {
	case len(value) == 0:
		return nil, errors.New("is empty")
	case len(value) < MinSigningKey || len(secret) < MinSigningKey:
		return nil, fmt.Errorf("is shorter than the %d bytes that a signing key needs", MinSigningKey)
	}
	return secret, nil
}

// Scheme returns the name of the scheme.
func (s *Signature) Scheme() string { return s.name }

// Keys returns how many keys may have signed.
func (s *Signature) Keys() int { return len(s.keys) }

// Headers returns the headers that hold signatures or secrets, in canonical form: they have no place in a payload.
func (s *Signature) Headers() []string { return s.secretHeaders() }

// Verify says whether one of the keys signed a request, whose body has been read. All keys are tried against all signatures,
// and a time that is out of tolerance counts only at the end: how long it takes tells nothing of keys and settings. The result
// is Unavailable only if the request carries a signature of the scheme.
func (s *Signature) Verify(ctx context.Context, r *Request) Proof {
	at := s.placeIn(r.Header)
	switch {
	case at == nil:
		return Proof{}
	case len(s.keys) == 0 && !s.keyless:
		return Proof{Result: Result{Verdict: Unavailable}}
	case s.verify != nil:
		return s.verify(ctx, s, r, at)
	default:
		return verifyMAC(s, r, at)
	}
}

// Proof is what a Signature makes of a request. It refers to the request's body.
type Proof struct {
	Result
	scheme string
	signed [][]byte // in pieces
}

// Scheme returns the name of the scheme that admits; "" where none does.
func (p Proof) Scheme() string { return p.scheme }

// Signed returns a digest of what was signed, and of the scheme, for a request that is admitted. A request that is sent again
// has the same, whatever its unsigned headers are, and whichever key signs it. What GitLab's token goes with is not signed;
// there it is the body's.
func (p Proof) Signed() [sha256.Size]byte {
	h := sha256.New()
	_, _ = io.WriteString(h, p.scheme) // a hash takes everything
	h.Write([]byte{0})
	for _, piece := range p.signed {
		h.Write(piece)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Schemes returns the names of all schemes.
func Schemes() []string {
	names := make([]string, 0, len(schemes))
	for i := range schemes {
		names = append(names, schemes[i].name)
	}
	return names
}

// otherSignatureHeaders are those of providers that have no row of their own.
var otherSignatureHeaders = [...]string{"X-Forgejo-Signature", "X-Gitea-Signature", "X-Gogs-Signature"}

// IsSecretHeader reports whether a header, in canonical form, holds a credential, or a signature or secret of a provider that
// is known here. Those that the owner of a webhook chose are its Signature's Headers.
func IsSecretHeader(name string) bool { return secretHeaders[name] }

// secretHeaders are asked for with every header of every request.
var secretHeaders = func() map[string]bool {
	names := slices.Concat(credentialHeaders[:], otherSignatureHeaders[:])
	for i := range schemes {
		names = append(names, schemes[i].secretHeaders()...)
	}
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	return known
}()

// providerPlace returns where a known provider has its signature in a header; nil if none does.
func providerPlace(header string) *place {
	for i := range schemes {
		for j := range schemes[i].places {
			if at := &schemes[i].places[j]; at.signature == header {
				return at
			}
		}
	}
	return nil
}

func unknownScheme(name string) error {
	return fmt.Errorf("scheme: %q is none of %s", name, strings.Join(Schemes(), ", "))
}
