package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// maxToken bounds a token, in bytes: as much as all headers of a request may take.
	maxToken = 16 << 10
	// maxClockSkew is five minutes, as for signatures with a time; a greater one only keeps ended tokens alive.
	maxClockSkew = 5 * time.Minute
)

// Condition is what the claims of a token must fulfil. It is safe for concurrent use.
type Condition interface {
	// Holds reports whether the claims, a JSON object, fulfil it. An error says that they do not have what it looks at. It
	// ends with ctx.
	Holds(ctx context.Context, claims []byte) (bool, error)
}

// IssuerKeys is a key set, and where it is from.
type IssuerKeys struct {
	// Key is the key of the Secret that holds the set; zero where no Secret does.
	Key
	KeySet
}

// JWTOptions say which tokens admit.
type JWTOptions struct {
	// Issuer is what the claim iss must be.
	Issuer string
	// Audiences are what the claim aud must have one of.
	Audiences []string
	// Keys are the sets of which one must have the key that signed; with none everybody is told to come again whose token
	// might admit.
	Keys []IssuerKeys
	// Conditions must all hold.
	Conditions []Condition
	// ClockSkew is by how much the issuer's clock may differ.
	ClockSkew time.Duration
}

// JWT admits JSON Web Tokens that an issuer signed. The zero JWT admits nobody, and costs as much.
type JWT struct{ o JWTOptions }

// NewJWT returns the way in for tokens that o describes.
func NewJWT(o JWTOptions) (*JWT, error) {
	switch {
	case o.Issuer == "":
		return nil, errors.New("jwt.issuer: it is empty; name what the claim iss of the tokens is")
	case len(o.Audiences) == 0 || slices.Contains(o.Audiences, ""):
		return nil, errors.New("jwt.audiences: there is none, or an empty one; name what the claim aud of the tokens has")
	case o.ClockSkew < 0 || o.ClockSkew > maxClockSkew:
		return nil, fmt.Errorf("jwt.clockSkew: %v is not between 0s and %v", o.ClockSkew, maxClockSkew)
	}
	return &JWT{o}, nil
}

// Admit implements Method. A token whose claims cannot admit is verified too, with a key that proves nothing, so that a
// forged one takes about the same time whatever it claims.
func (j *JWT) Admit(ctx context.Context, r *Request) Result {
	token := parseToken(r.Bearer)
	if token == nil {
		return Result{}
	}
	payload := token.UnsafePayloadWithoutVerification()
	if !j.expected(payload, r.Now) {
		verifyDecoy(token)
		return Result{}
	}
	key, verdict := j.signer(ctx, token)
	switch {
	case verdict != Admitted:
		return Result{Verdict: verdict}
	case !j.fulfilled(ctx, payload):
		return Result{}
	default:
		return Result{Verdict: Admitted, Key: key}
	}
}

// parseToken returns a signed token, nil if the text is none with a signature that counts. The signature is not verified.
func parseToken(text string) *jose.JSONWebSignature {
	if text == "" || len(text) > maxToken {
		return nil
	}
	token, err := jose.ParseSignedCompact(text, algorithms())
	if err != nil || len(token.Signatures) != 1 {
		return nil
	}
	return token
}

// expected reports whether the registered claims are as they must be. The JSON is that of go-jose, for which Iss is not iss
// and a claim that is there twice is an error.
func (j *JWT) expected(payload []byte, now time.Time) bool {
	var claims jwt.Claims
	if json.Unmarshal(payload, &claims) != nil || claims.Expiry == nil || claims.Issuer != j.o.Issuer {
		return false
	}
	if !slices.ContainsFunc(j.o.Audiences, claims.Audience.Contains) {
		return false
	}
	return claims.ValidateWithLeeway(jwt.Expected{Time: now}, j.o.ClockSkew) == nil
}

// signer returns which keys signed a token. Refused is that none did, Unavailable that one might have that cannot be had.
func (j *JWT) signer(ctx context.Context, token *jose.JSONWebSignature) (Key, Verdict) {
	verdict := Refused
	if len(j.o.Keys) == 0 {
		verdict = Unavailable
	}
	for _, set := range j.o.Keys {
		signed, err := signedBy(ctx, set, token)
		if err != nil {
			verdict = Unavailable
		}
		if signed {
			return set.Key, Admitted
		}
	}
	return Key{}, verdict
}

// signedBy reports whether a key of a set signed a token. The set is renewed if it does not have the key that the token
// names, or the token names none and each key failed.
func signedBy(ctx context.Context, set KeySet, token *jose.JSONWebSignature) (bool, error) {
	keys, err := set.Keys(ctx)
	signed, tried := verify(token, keys)
	if !tried {
		verifyDecoy(token)
	}
	if err != nil || signed || tried && token.Signatures[0].Protected.KeyID != "" {
		return signed, err
	}
	renewed, err := set.Renewed(ctx)
	if err != nil || same(keys, renewed) {
		return false, err
	}
	signed, _ = verify(token, renewed)
	return signed, nil
}

func same(a, b []jose.JSONWebKey) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// verify reports whether one of keys signed a token, and whether there is one that might have.
func verify(token *jose.JSONWebSignature, keys []jose.JSONWebKey) (signed, tried bool) {
	header := token.Signatures[0].Protected
	for i := range keys {
		key := &keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		if !slices.Contains(algorithmsOf(key), jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		tried = true
		if _, err := token.Verify(key.Key); err == nil {
			return true, true
		}
	}
	return false, tried
}

// fulfilled reports whether all conditions hold. One that cannot be evaluated does not: the token lacks the claim.
func (j *JWT) fulfilled(ctx context.Context, payload []byte) bool {
	for _, condition := range j.o.Conditions {
		if held, err := condition.Holds(ctx, payload); err != nil || !held {
			return false
		}
	}
	return true
}
