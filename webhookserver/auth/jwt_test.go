package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// issuer signs tokens with one key.
type issuer struct {
	key       crypto.Signer
	id        string
	algorithm jose.SignatureAlgorithm
}

// rsaKey is made once, since that takes long.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, minModulus)
	if err != nil {
		panic(err)
	}
	return key
})

func ecdsaKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIssuer(t testing.TB) issuer {
	t.Helper()
	return issuer{key: ecdsaKey(t, elliptic.P256()), id: "k1", algorithm: jose.ES256}
}

// keys is the key set of issuers.
func keys(t testing.TB, issuers ...issuer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, i := range issuers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: i.key.Public(), KeyID: i.id, Algorithm: string(i.algorithm), Use: "sig"})
	}
	document, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// claims are those of a token that admits.
func claims(change map[string]any) map[string]any {
	made := map[string]any{
		"iss": "https://issuer.example", "aud": "hooks", "sub": "ci",
		"exp": now.Add(time.Hour).Unix(), "nbf": now.Add(-time.Minute).Unix(), "iat": now.Add(-time.Minute).Unix(),
	}
	maps.Copy(made, change)
	maps.DeleteFunc(made, func(_ string, value any) bool { return value == nil })
	return made
}

// sign signs claims that admit, with a change; nil removes one.
func (i issuer) sign(t testing.TB, change map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims(change))
	if err != nil {
		t.Fatal(err)
	}
	return i.signPayload(t, payload, nil)
}

func (i issuer) signPayload(t testing.TB, payload []byte, header map[jose.HeaderKey]any) string {
	t.Helper()
	return signWith(t, i.algorithm, i.key, i.id, payload, header)
}

func signWith(t testing.TB, algorithm jose.SignatureAlgorithm, key any, id string, payload []byte, header map[jose.HeaderKey]any) string {
	t.Helper()
	options := &jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{}}
	if id != "" {
		options.ExtraHeaders["kid"] = id
	}
	maps.Copy(options.ExtraHeaders, header)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unsigned puts a token together from its parts.
func unsigned(header, payload, signature string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + encode([]byte(signature))
}

var jwks = Key{Namespace: "team", Secret: "issuer", Name: "jwks.json"}

// newJWT makes a method that trusts the keys of issuers.
func newJWT(t testing.TB, change func(*JWTOptions), issuers ...issuer) *JWT {
	t.Helper()
	parsed, err := ParseKeys(keys(t, issuers...))
	if err != nil {
		t.Fatal(err)
	}
	set := IssuerKeys{Key: jwks, KeySet: StaticKeys(parsed)}
	o := JWTOptions{
		Issuer: "https://issuer.example", Audiences: []string{"other", "hooks"}, Keys: []IssuerKeys{set}, ClockSkew: time.Minute,
	}
	if change != nil {
		change(&o)
	}
	j, err := NewJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// admit is what a method makes of a bearer token.
func admit(t testing.TB, method Method, bearer string) Result {
	t.Helper()
	return method.Admit(t.Context(), &Request{Credentials: Credentials{Bearer: bearer}, Now: now})
}

func TestWhichClaimsAdmit(t *testing.T) {
	i := newIssuer(t)
	method := newJWT(t, nil, i)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, c := range []struct {
		name   string
		change map[string]any
		want   Verdict
	}{
		{"all as they must be", nil, Admitted},
		{"another issuer", map[string]any{"iss": "https://issuer.example/"}, Refused},
		{"no issuer", map[string]any{"iss": nil}, Refused},
		{"one audience of several", map[string]any{"aud": []string{"x", "other"}}, Admitted},
		{"another audience", map[string]any{"aud": "hook"}, Refused},
		{"no audience", map[string]any{"aud": nil}, Refused},
		{"an empty list of audiences", map[string]any{"aud": []string{}}, Refused},
		{"an audience that is no string", map[string]any{"aud": 7}, Refused},
		{"no end", map[string]any{"exp": nil}, Refused},
		{"an end that is no number", map[string]any{"exp": "tomorrow"}, Refused},
		{"an end out of all bounds", map[string]any{"exp": json.Number("1e300")}, Refused},
		{"an end within the skew", map[string]any{"exp": at(-59 * time.Second)}, Admitted},
		{"an end before it", map[string]any{"exp": at(-61 * time.Second)}, Refused},
		{"a beginning within the skew", map[string]any{"nbf": at(59 * time.Second)}, Admitted},
		{"a beginning after it", map[string]any{"nbf": at(61 * time.Second)}, Refused},
		{"a beginning out of all bounds", map[string]any{"nbf": json.Number("9223372036854775807")}, Refused},
		{"no beginning", map[string]any{"nbf": nil, "iat": nil}, Admitted},
		{"made within the skew", map[string]any{"iat": at(59 * time.Second)}, Admitted},
		{"made after it", map[string]any{"iat": at(61 * time.Second)}, Refused},
		{"an issuer whose name has another case", map[string]any{"iss": nil, "Iss": "https://issuer.example"}, Refused},
		{"another end whose name has another case", map[string]any{"exp": at(-time.Hour), "EXP": at(time.Hour)}, Refused},
	} {
		want := Result{Verdict: c.want}
		if c.want == Admitted {
			want.Key = jwks
		}
		if diff := cmp.Diff(want, admit(t, method, i.sign(t, c.change))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestPayloadsThatAreNoClaims(t *testing.T) {
	i := newIssuer(t)
	method := newJWT(t, nil, i)
	good, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.Replace(string(good), "{", `{"iss":"https://evil.example",`, 1)
	for name, payload := range map[string]string{
		"empty": "", "null": "null", "a list": "[]", "a text": "claims", "cut short": string(good[:len(good)-1]),
		"two of them": string(good) + string(good), "a claim that is there twice": twice,
	} {
		if got := admit(t, method, i.signPayload(t, []byte(payload), nil)); got.Verdict != Refused {
			t.Errorf("%s: %v", name, got.Verdict)
		}
	}
}

func TestWhichSignaturesAdmit(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byRSA := func(id string, algorithm jose.SignatureAlgorithm) issuer { return issuer{rsaKey(), id, algorithm} }
	p384, p521 := ecdsaKey(t, elliptic.P384()), ecdsaKey(t, elliptic.P521())
	i := newIssuer(t)
	method := newJWT(t, nil, i, byRSA("rsa", ""), issuer{ed, "ed", ""}, issuer{p384, "p384", ""}, issuer{p521, "p521", ""})
	for _, signer := range []issuer{
		i, byRSA("rsa", jose.RS256), byRSA("rsa", jose.RS384), byRSA("rsa", jose.RS512), byRSA("rsa", jose.PS256),
		byRSA("rsa", jose.PS384), byRSA("rsa", jose.PS512), {p384, "p384", jose.ES384}, {p521, "p521", jose.ES512},
		{ed, "ed", jose.EdDSA}, byRSA("", jose.RS256),
	} {
		if got := admit(t, method, signer.sign(t, nil)); got.Verdict != Admitted {
			t.Errorf("%s with key %q: %v", signer.algorithm, signer.id, got.Verdict)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	i, evil := newIssuer(t), newIssuer(t)
	method := newJWT(t, nil, i, issuer{rsaKey(), "rsa", ""}, issuer{rsaKey(), "rs256", jose.RS256})
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	good := i.sign(t, nil)
	parts := strings.Split(good, ".")
	public := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: public})
	jwk := jose.JSONWebKey{Key: evil.key.Public(), KeyID: "k1"}
	hmac := func(key []byte) string { return signWith(t, jose.HS256, key, "rsa", payload, nil) }
	for name, token := range map[string]string{
		"nothing":                             "",
		"a text":                              "token",
		"no algorithm":                        unsigned(`{"alg":"none"}`, string(payload), ""),
		"no algorithm, in another case":       unsigned(`{"alg":"nOnE","kid":"k1"}`, string(payload), ""),
		"no header for it":                    unsigned(`{}`, string(payload), ""),
		"HMAC with the public key":            hmac(public),
		"HMAC with the public key in PEM":     hmac(block),
		"the key of another":                  evil.sign(t, nil),
		"the key of another, without its id":  issuer{evil.key, "", jose.ES256}.sign(t, nil),
		"a key that is unknown":               issuer{evil.key, "k2", jose.ES256}.sign(t, nil),
		"a key that the token brings":         evil.signPayload(t, payload, map[jose.HeaderKey]any{"jwk": jwk}),
		"an algorithm that is not the key's":  issuer{rsaKey(), "rs256", jose.PS256}.sign(t, nil),
		"another key than it names":           issuer{i.key, "rsa", jose.ES256}.sign(t, nil),
		"no signature":                        parts[0] + "." + parts[1] + ".",
		"a signature that is cut short":       good[:len(good)-2],
		"another payload":                     parts[0] + "." + strings.Split(i.sign(t, map[string]any{"sub": "me"}), ".")[1] + "." + parts[2],
		"four parts":                          good + ".",
		"what only some would understand":     i.signPayload(t, payload, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}),
		"an ECDSA signature of zeros":         unsigned(`{"alg":"ES256","kid":"k1"}`, string(payload), string(make([]byte, 64))),
		"a signature in JSON":                 `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"more than a token may be":            i.sign(t, map[string]any{"x": strings.Repeat("x", maxToken)}),
		"a signature of another algorithm":    unsigned(`{"alg":"RS256","kid":"k1"}`, string(payload), strings.Repeat("s", 256)),
		"a signature that is checked with it": unsigned(`{"alg":"EdDSA","kid":"k1"}`, string(payload), strings.Repeat("s", 64)),
	} {
		if got := admit(t, method, token); got != (Result{}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNoTokenOfADecoyKeyAdmits(t *testing.T) {
	i := newIssuer(t)
	// Whoever knows the curve has the private key of its base point: the number one.
	one, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	if !one.PublicKey.Equal(decoyKey(jose.ES256)) {
		t.Fatal("the decoy is another key")
	}
	forger := issuer{one, "k2", jose.ES256}
	for _, change := range []map[string]any{nil, {"iss": "x"}} {
		if got := admit(t, newJWT(t, nil, i), forger.sign(t, change)); got != (Result{}) {
			t.Errorf("%v: %v", change, got)
		}
		if got := admit(t, &JWT{}, forger.sign(t, change)); got != (Result{}) {
			t.Errorf("%v, where nobody is admitted: %v", change, got)
		}
	}
}

func TestADecoyIsVerified(t *testing.T) {
	for _, algorithm := range algorithms() {
		if len(fittingTo(decoyKey(algorithm))) == 0 {
			t.Errorf("the decoy for %s is no key that could count", algorithm)
		}
	}
}

// issuerSet is a KeySet with the behaviour of a test.
type issuerSet struct {
	known, renewed       []jose.JSONWebKey
	failure, renewFailed error
}

func (s issuerSet) Keys(context.Context) ([]jose.JSONWebKey, error) { return s.known, s.failure }

func (s issuerSet) Renewed(context.Context) ([]jose.JSONWebKey, error) {
	return s.renewed, s.renewFailed
}

func TestKeysThatChangeOrCannotBeHad(t *testing.T) {
	old, fresh := newIssuer(t), newIssuer(t)
	fresh.id = "k2"
	parse := func(issuers ...issuer) []jose.JSONWebKey {
		parsed, err := ParseKeys(keys(t, issuers...))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	away := errors.New("the issuer is away")
	before, both := parse(old), parse(old, fresh)
	rotated := issuerSet{known: before, renewed: both}
	stuck := issuerSet{known: before, renewFailed: away}
	gone := issuerSet{failure: away}
	nameless := issuer{fresh.key, "", fresh.algorithm}
	expired := map[string]any{"exp": now.Add(-time.Hour).Unix()}
	for _, c := range []struct {
		name  string
		sets  []KeySet
		token string
		want  Verdict
	}{
		{"a new key", []KeySet{rotated}, fresh.sign(t, nil), Admitted},
		{"a new key that the token does not name", []KeySet{rotated}, nameless.sign(t, nil), Admitted},
		{"a new key while the issuer is away", []KeySet{stuck}, fresh.sign(t, nil), Unavailable},
		{"a known key while the issuer is away", []KeySet{stuck}, old.sign(t, nil), Admitted},
		{"a forgery with a known key then", []KeySet{stuck}, issuer{fresh.key, "k1", jose.ES256}.sign(t, nil), Refused},
		{"any token of an issuer whose keys nobody has", []KeySet{gone}, old.sign(t, nil), Unavailable},
		{"a token that has ended then", []KeySet{gone}, old.sign(t, expired), Refused},
		{"no token then", []KeySet{gone}, "", Refused},
		{"a key of another set", []KeySet{gone, StaticKeys(before)}, old.sign(t, nil), Admitted},
		{"a key of no set that is there", []KeySet{StaticKeys(before), gone}, fresh.sign(t, nil), Unavailable},
		{"a token where the Secret is missing", nil, old.sign(t, nil), Unavailable},
		{"one for somebody else where it is missing", nil, old.sign(t, map[string]any{"aud": "x"}), Refused},
	} {
		method := newJWT(t, func(o *JWTOptions) {
			o.Keys = nil
			for _, set := range c.sets {
				o.Keys = append(o.Keys, IssuerKeys{KeySet: set})
			}
		}, old)
		if got := admit(t, method, c.token); got != (Result{Verdict: c.want}) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// condition is a Condition with the behaviour of a test.
type condition func(claims []byte) (bool, error)

func (c condition) Holds(_ context.Context, claims []byte) (bool, error) { return c(claims) }

func TestConditionsOnClaims(t *testing.T) {
	i := newIssuer(t)
	holds := condition(func(claims []byte) (bool, error) { return bytes.Contains(claims, []byte(`"sub":"ci"`)), nil })
	fails := condition(func([]byte) (bool, error) { return true, errors.New("no such claim") })
	asked := false
	watches := condition(func([]byte) (bool, error) { asked = true; return true, nil })
	for _, c := range []struct {
		name       string
		conditions []Condition
		token      string
		want       Verdict
	}{
		{"all hold", []Condition{holds, holds}, i.sign(t, nil), Admitted},
		{"one does not hold", []Condition{holds, holds}, i.sign(t, map[string]any{"sub": "me"}), Refused},
		{"one cannot be evaluated", []Condition{holds, fails}, i.sign(t, nil), Refused},
		{"a forged token is not looked at", []Condition{watches}, newIssuer(t).sign(t, nil), Refused},
	} {
		method := newJWT(t, func(o *JWTOptions) { o.Conditions = c.conditions }, i)
		if got := admit(t, method, c.token); got.Verdict != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Verdict, c.want)
		}
	}
	if asked {
		t.Error("a condition saw claims that nobody had signed")
	}
}

func TestWhatIsWrongWithAJWTIsSaid(t *testing.T) {
	valid := JWTOptions{Issuer: "https://issuer.example", Audiences: []string{"hooks"}, ClockSkew: maxClockSkew}
	if _, err := NewJWT(valid); err != nil {
		t.Fatal(err)
	}
	for prefix, change := range map[string]func(*JWTOptions){
		"jwt.issuer: ":            func(o *JWTOptions) { o.Issuer = "" },
		"jwt.audiences: ":         func(o *JWTOptions) { o.Audiences = nil },
		"jwt.audiences: there":    func(o *JWTOptions) { o.Audiences = []string{"hooks", ""} },
		"jwt.clockSkew: ":         func(o *JWTOptions) { o.ClockSkew = maxClockSkew + 1 },
		"jwt.clockSkew: -1ns is ": func(o *JWTOptions) { o.ClockSkew = -1 },
	} {
		o := valid
		change(&o)
		if _, err := NewJWT(o); err == nil || !strings.HasPrefix(err.Error(), prefix) {
			t.Errorf("%v, want %q", err, prefix)
		}
	}
}

// FuzzJWT looks for a text that is admitted without the payload that was signed, or that panics.
func FuzzJWT(f *testing.F) {
	i := newIssuer(f)
	method := newJWT(f, nil, i, issuer{rsaKey(), "rsa", ""})
	payload, err := json.Marshal(claims(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(i.signPayload(f, payload, nil))
	f.Add(issuer{rsaKey(), "", jose.PS256}.signPayload(f, payload, nil))
	f.Add(unsigned(`{"alg":"none"}`, string(payload), ""))
	f.Add(unsigned(`{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}`, string(payload), strings.Repeat("s", 64)))
	f.Fuzz(func(t *testing.T, text string) {
		if admit(t, method, text).Verdict != Admitted {
			return
		}
		if token := parseToken(text); !bytes.Equal(token.UnsafePayloadWithoutVerification(), payload) {
			t.Errorf("%q is admitted", text)
		}
	})
}
