package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// webhooks are the methods of some webhooks, by what they are; nobody's url has none.
type webhooks map[string][]Method

func (w webhooks) decoys() *Decoys {
	d := NewDecoys()
	for _, methods := range w {
		d.Add(methods, nil)
	}
	return d
}

// expect sends one request to each of the webhooks, and to nobody's url, and expects that all of them answer alike and ask for
// the same, as asked tells and forgets.
func (w webhooks) expect(t *testing.T, name string, r Request, verdict Verdict, asked func() []string, want ...string) {
	t.Helper()
	d := w.decoys()
	w["nobody's url"] = nil
	for webhook, own := range w {
		sent := r
		if got := d.Admit(t.Context(), own, &sent); got != (Result{Verdict: verdict}) {
			t.Errorf("%s, to %s: %v, want %v", name, webhook, got, verdict)
		}
		got := asked()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, to %s, is asked for (-want +got):\n%s", name, webhook, diff)
		}
	}
}

// askedSet is a KeySet that notes what it is asked.
type askedSet struct {
	KeySet
	name string
	note func(string)
}

func (s *askedSet) Keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	s.note(s.name)
	return s.KeySet.Keys(ctx)
}

func (s *askedSet) Renewed(ctx context.Context) ([]jose.JSONWebKey, error) {
	s.note(s.name + " again")
	return s.KeySet.Renewed(ctx)
}

// notes keeps what was asked for.
type notes []string

func (n *notes) note(text string) { *n = append(*n, text) }

func (n *notes) take() []string {
	taken := *n
	*n = nil
	return taken
}

func TestATokenIsVerifiedAlikeForEveryURL(t *testing.T) {
	known, foreign := newIssuer(t), newIssuer(t)
	foreign.id = "k2"
	parsed, err := ParseKeys(keys(t, known))
	if err != nil {
		t.Fatal(err)
	}
	var asked notes
	set := func(name string, keys KeySet) IssuerKeys {
		return IssuerKeys{KeySet: &askedSet{keys, name, asked.note}}
	}
	there := set("there", StaticKeys(parsed))
	away := set("away", issuerSet{failure: errors.New("away"), renewFailed: errors.New("away")})
	secret := IssuerKeys{Key: jwks, KeySet: StaticKeys(parsed)}
	method := func(issuer, audience string, sets ...IssuerKeys) Method {
		j, err := NewJWT(JWTOptions{Issuer: issuer, Audiences: []string{audience}, Keys: sets})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	w := webhooks{
		"one that trusts the issuer":             {method("here", "a", there)},
		"one with another audience":              {method("here", "b", there)},
		"one that trusts it twice":               {method("here", "a", there), method("here", "b", there)},
		"one that has a key set of it":           {method("here", "a", secret)},
		"one that trusts another issuer":         {method("far", "a", away)},
		"one that trusts both":                   {method("far", "a", away), method("here", "a", there)},
		"one that knows accounts of the cluster": {&Tokens{}},
	}
	send := func(by issuer, change map[string]any) Request {
		return Request{Credentials: Credentials{Bearer: by.sign(t, change)}, Now: now}
	}
	expired := map[string]any{"iss": "here", "aud": "a", "exp": now.Unix() - 3600}
	w.expect(t, "a forgery", send(issuer{foreign.key, "k1", foreign.algorithm}, map[string]any{"iss": "here", "aud": "a"}),
		Refused, asked.take, "there")
	w.expect(t, "an unknown key", send(foreign, map[string]any{"iss": "here", "aud": "a"}), Refused, asked.take, "there", "there again")
	w.expect(t, "an unknown key for another audience", send(foreign, map[string]any{"iss": "here", "aud": []string{"x", "b"}}),
		Refused, asked.take, "there", "there again")
	w.expect(t, "a token that has ended", send(known, expired), Refused, asked.take, "there")
	w.expect(t, "a token of an issuer that is away", send(known, map[string]any{"iss": "far", "aud": "a"}), Unavailable, asked.take, "away")
	w.expect(t, "a token of nobody's issuer", send(known, map[string]any{"iss": "x", "aud": "a"}), Refused, asked.take)
	w.expect(t, "no token", Request{Now: now}, Refused, asked.take)
}

func TestATokenIsVerifiedOnceWithEachKeySet(t *testing.T) {
	i := newIssuer(t)
	method := newJWT(t, nil, i)
	r := &Request{Credentials: Credentials{Bearer: i.sign(t, map[string]any{"sub": "me"})}, Now: now}
	d := webhooks{"one": {method}}.decoys()
	d.Admit(t.Context(), []Method{method, method}, r)
	if got := len(r.signedToken().tried); got != 1 {
		t.Errorf("it was verified %d times", got)
	}
	for n := range maxAlike + 2 {
		d.Add([]Method{method}, nil) // no further set
		set := method.o.Keys[0]
		set.Name = strconv.Itoa(n)
		other := newJWT(t, func(o *JWTOptions) { o.Keys = []IssuerKeys{set} }, i)
		d.Add([]Method{other}, nil)
	}
	unknown := &Request{Credentials: Credentials{Bearer: newIssuer(t).sign(t, nil)}, Now: now}
	d.Admit(t.Context(), nil, unknown)
	if got := len(unknown.signedToken().tried); got != maxAlike {
		t.Errorf("where tenants have many key sets of an issuer, it was verified %d times, want %d", got, maxAlike)
	}
}

func TestTheClusterIsAskedAlikeForEveryURL(t *testing.T) {
	var asked notes
	var failure error
	review := reviewer(func(_, audience, namespace, webhook string) (bool, error) {
		if webhook == "git" {
			webhook = "~git" // its own name stands for what a decoy asks for
		}
		asked.note(audience + " " + namespace + "/" + webhook)
		return false, failure
	})
	method := func(audience string) Method {
		k, err := NewKubernetes(review, audience)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	w := webhooks{
		"one for the default":       {method("")},
		"one for an audience":       {method("hooks")},
		"one that knows no account": {&Tokens{}},
		"one for both":              {method("hooks"), method("")},
	}
	send := func(audiences ...string) Request {
		token := newIssuer(t).sign(t, map[string]any{"aud": audiences})
		return Request{Credentials: Credentials{Bearer: token}, Namespace: "team", Webhook: "git", URL: "git", Now: now}
	}
	both := []string{"hooks team/~git", "hookstorm team/~git"}
	opaque := Request{Credentials: Credentials{Bearer: "opaque"}, Namespace: "team", Webhook: "git", URL: "git", Now: now}
	w.expect(t, "a token for two", send("hookstorm", "x", "hooks", "hooks"), Refused, asked.take, both...)
	w.expect(t, "no token of the cluster", opaque, Refused, asked.take)
	failure = errors.New("busy")
	w.expect(t, "a token while the cluster is busy", send("hooks", "hookstorm"), Unavailable, asked.take, both...)
}

func TestATokenForNobodyIsReviewedOnce(t *testing.T) {
	var asked notes
	var methods []Method
	for _, audience := range []string{"hooks", "others"} {
		k, err := NewKubernetes(reviewer(func(string, string, string, string) (bool, error) { asked.note("a review"); return false, nil }), audience)
		if err != nil {
			t.Fatal(err)
		}
		methods = append(methods, k)
	}
	w := webhooks{"one": methods[:1], "another": methods[1:], "one that knows no account": {&Tokens{}}}
	token := newIssuer(t).sign(t, map[string]any{"aud": "x"})
	w.expect(t, "a token for nobody here", Request{Credentials: Credentials{Bearer: token}, Now: now}, Refused, asked.take, "a review")
}

func TestADecoyAsksForRightsThatNobodyHas(t *testing.T) {
	var asked notes
	k, err := NewKubernetes(reviewer(func(_, audience, namespace, webhook string) (bool, error) {
		asked.note(audience + " " + namespace + "/" + webhook)
		return true, nil
	}), "hooks")
	if err != nil {
		t.Fatal(err)
	}
	d := webhooks{"one": {k}}.decoys()
	for _, url := range []string{"git", "a/b", strings.Repeat("x", 1000)} {
		r := &Request{Credentials: Credentials{Bearer: newIssuer(t).sign(t, nil)}, Namespace: "team", Webhook: "tokens", URL: url, Now: now}
		if got := d.Admit(t.Context(), []Method{&Tokens{}}, r); got != (Result{}) {
			t.Errorf("%s: %v", url, got)
		}
		if r.Webhook != "tokens" {
			t.Errorf("the request is changed: it is for %q", r.Webhook)
		}
	}
	want := []string{"hooks team/~git", "hooks team/~a/b", "hooks team/~" + strings.Repeat("x", 252)}
	if diff := cmp.Diff(want, asked.take()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestWhichAuthoritiesADecoyTries(t *testing.T) {
	var none *holder
	root, other := none.issue(t, authority("root")), none.issue(t, authority("other"))
	intermediate := root.issue(t, authority("intermediate"))
	trust := func(holders ...*holder) *ClientCertificate {
		var trusted []Authority
		for _, h := range holders {
			trusted = append(trusted, authorities(t, "ca.crt", h.pem())...)
		}
		method, err := NewClientCertificate(trusted, nil)
		if err != nil {
			t.Fatal(err)
		}
		return method
	}
	d := webhooks{"one": {trust(root)}, "a second": {trust(root, other)}, "one whose Secret is missing": {trust()}}.decoys()
	leaf := intermediate.issue(t, client(nil))
	for _, c := range []struct {
		name   string
		shown  []*x509.Certificate
		tried  *ClientCertificate
		want   []string
		decoys int // to verify takes some time even if no authority is named
	}{
		{"the one that is named", []*x509.Certificate{leaf.Certificate, intermediate.Certificate}, trust(), []string{"root"}, 1},
		{"that beside another of the webhook's own", []*x509.Certificate{leaf.Certificate, intermediate.Certificate}, trust(other), []string{"root"}, 1},
		{"none that its own tried", []*x509.Certificate{leaf.Certificate, intermediate.Certificate}, trust(root), nil, 0},
		{"none that nobody names", []*x509.Certificate{leaf.Certificate}, trust(), nil, 1},
		{"each once", []*x509.Certificate{other.Certificate, other.Certificate, root.Certificate}, trust(), []string{"other", "root"}, 1},
	} {
		var got []string
		for _, a := range d.named(c.shown, c.tried.authorities) {
			got = append(got, a.certificate.Subject.CommonName)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		r := &Request{Credentials: Credentials{Certificates: c.shown}, Now: now}
		if got := d.Admit(t.Context(), nil, r); got != (Result{}) {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := len(d.certificates([]Method{c.tried}, r)); got != c.decoys {
			t.Errorf("%s: %d decoys verify the certificates, want %d", c.name, got, c.decoys)
		}
	}
}

func TestALoginIsHashedForEveryURL(t *testing.T) {
	own := &Basic{Logins: []Login{login(t, "a", "ann", "apple"), login(t, "b", "bob", "berry")}}
	d := webhooks{"one": {own}}.decoys()
	for name, methods := range map[string][]Method{"the webhook": {own}, "another": {&Tokens{}}, "nobody's": nil} {
		r := &Request{Credentials: Credentials{Basic: true, Username: "ann", Password: "berry"}, Now: now}
		if got := d.Admit(t.Context(), methods, r); got != (Result{}) || r.digest == nil {
			t.Errorf("%s: %v, hashed: %v", name, got, r.digest != nil)
		}
	}
}

func TestDecoysOfNothingDoNothing(t *testing.T) {
	d := NewDecoys()
	r := &Request{Credentials: Credentials{Basic: true, Bearer: newIssuer(t).sign(t, nil)}, Now: now}
	if got := d.Admit(t.Context(), nil, r); got != (Result{}) || r.parsed || r.digest != nil {
		t.Errorf("%v, the token was parsed: %v, the login hashed: %v", got, r.parsed, r.digest != nil)
	}
	if got := d.Admit(t.Context(), []Method{Anonymous{}}, r); got.Verdict != Admitted {
		t.Errorf("a method that admits: %v", got)
	}
}
