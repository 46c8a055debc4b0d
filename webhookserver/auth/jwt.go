package auth

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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

// JWT admits JSON Web Tokens that an issuer signed. The zero JWT admits nobody.
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

// Admit implements Method. A token whose claims cannot admit is not verified; that is left to Decoys, since its issuer may be
// one that another webhook trusts.
func (j *JWT) Admit(ctx context.Context, r *Request) Result {
	token := r.signedToken()
	if token == nil || !j.expected(&token.claims, r.Now) {
		return Result{}
	}
	key, verdict := j.signer(ctx, token)
	switch {
	case verdict != Admitted:
		return Result{Verdict: verdict}
	case !j.fulfilled(ctx, token.payload):
		return Result{}
	default:
		return Result{Verdict: Admitted, Key: key}
	}
}

// bearerToken is a signed token, with what its signature was found to be. It is of one request.
type bearerToken struct {
	*jose.JSONWebSignature
	payload []byte     // not verified
	claims  jwt.Claims // of the payload; none where it has no claims that can be read
	tried   []trial
}

// trial is what a key set makes of a token.
type trial struct {
	set    *IssuerKeys
	signed bool
	err    error
}

// signedToken returns the bearer token if it is a signed one, else nil.
func (r *Request) signedToken() *bearerToken {
	if !r.parsed {
		r.parsed, r.signed = true, newBearerToken(r.Bearer)
	}
	return r.signed
}

// newBearerToken reads the claims as go-jose does, for which Iss is not iss and a claim that is there twice is an error.
func newBearerToken(text string) *bearerToken {
	token := parseToken(text)
	if token == nil {
		return nil
	}
	b := &bearerToken{JSONWebSignature: token, payload: token.UnsafePayloadWithoutVerification()}
	if json.Unmarshal(b.payload, &b.claims) != nil {
		b.claims = jwt.Claims{}
	}
	return b
}

// signedBy reports whether a key of a set signed the token. A set is asked once.
func (b *bearerToken) signedBy(ctx context.Context, set *IssuerKeys) (bool, error) {
	i := slices.IndexFunc(b.tried, func(t trial) bool { return t.set.same(set) })
	if i < 0 {
		signed, err := signedBy(ctx, set, b.JSONWebSignature)
		i, b.tried = len(b.tried), append(b.tried, trial{set, signed, err})
	}
	return b.tried[i].signed, b.tried[i].err
}

// same reports whether two sets are one, by where they are from: in one route table, a key of a Secret has one value.
func (k *IssuerKeys) same(other *IssuerKeys) bool {
	if k.Key != (Key{}) || other.Key != (Key{}) {
		return k.Key == other.Key
	}
	return reflect.ValueOf(k.KeySet).Comparable() && k.KeySet == other.KeySet
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

// expected reports whether the registered claims are as they must be.
func (j *JWT) expected(claims *jwt.Claims, now time.Time) bool {
	if claims.Expiry == nil || claims.Issuer != j.o.Issuer {
		return false
	}
	if !slices.ContainsFunc(j.o.Audiences, claims.Audience.Contains) {
		return false
	}
	return claims.ValidateWithLeeway(jwt.Expected{Time: now}, j.o.ClockSkew) == nil
}

// signer returns which keys signed a token. Refused is that none did, Unavailable that one might have that cannot be had.
func (j *JWT) signer(ctx context.Context, token *bearerToken) (Key, Verdict) {
	verdict := Refused
	if len(j.o.Keys) == 0 {
		verdict = Unavailable
	}
	for i := range j.o.Keys {
		set := &j.o.Keys[i]
		signed, err := token.signedBy(ctx, set)
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
	if err != nil || unchanged(keys, renewed) {
		return false, err
	}
	signed, _ = verify(token, renewed)
	return signed, nil
}

func unchanged(a, b []jose.JSONWebKey) bool {
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
