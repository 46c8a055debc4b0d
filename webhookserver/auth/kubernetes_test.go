package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// reviewer is a Reviewer with the behaviour of a test.
type reviewer func(token, audience, namespace, webhook string) (bool, error)

func (r reviewer) MayPost(_ context.Context, _ netip.Addr, token, audience, namespace, webhook string) (bool, error) {
	return r(token, audience, namespace, webhook)
}

func TestWhomTheClusterAdmits(t *testing.T) {
	signed := newIssuer(t).sign(t, nil)
	answers := func(may bool, err error) reviewer {
		return func(string, string, string, string) (bool, error) { return may, err }
	}
	for _, c := range []struct {
		name   string
		bearer string
		answer reviewer
		want   Verdict
	}{
		{"who may", signed, answers(true, nil), Admitted},
		{"who may not", signed, answers(false, nil), Refused},
		{"anybody while the cluster does not answer", signed, answers(false, errors.New("timeout")), Unavailable},
		{"no token then", "", answers(false, errors.New("timeout")), Refused},
		{"what is no signed token", "opaque", answers(true, nil), Refused},
		{"a token signed with what both know", signWith(t, jose.HS256, []byte(strings.Repeat("k", 32)), "", []byte("{}"), nil), answers(true, nil), Refused},
		{"a token that is too long", signed + strings.Repeat("A", maxToken), answers(true, nil), Refused},
	} {
		k, err := NewKubernetes(c.answer, "")
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Credentials: Credentials{Bearer: c.bearer}, Namespace: "team", Webhook: "git", Now: now}
		if got := k.Admit(t.Context(), r); got != (Result{Verdict: c.want}) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if !r.parsed {
			t.Errorf("%s: the token is not kept parsed for the other methods", c.name)
		}
	}
}

func TestWhatTheClusterIsAsked(t *testing.T) {
	signed := newIssuer(t).sign(t, nil)
	var asked []string
	ask := reviewer(func(token, audience, namespace, webhook string) (bool, error) {
		if token != signed {
			t.Error("it is asked about another token")
		}
		asked = append(asked, audience+" "+namespace+"/"+webhook)
		return true, nil
	})
	for _, audience := range []string{"", "hooks"} {
		k, err := NewKubernetes(ask, audience)
		if err != nil {
			t.Fatal(err)
		}
		for _, webhook := range []string{"git", ""} {
			k.Admit(t.Context(), &Request{Credentials: Credentials{Bearer: signed}, Namespace: "team", Webhook: webhook})
		}
		k.Admit(t.Context(), &Request{Credentials: Credentials{Bearer: "opaque"}, Namespace: "team", Webhook: "git"})
	}
	const want = "hookstorm team/git, hookstorm team/, hooks team/git, hooks team/"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// asks notes for whom others are asked.
type asks []netip.Addr

func (a *asks) MayPost(_ context.Context, source netip.Addr, _, _, _, _ string) (bool, error) {
	*a = append(*a, source)
	return true, nil
}

func (a *asks) Certificate(_ context.Context, source netip.Addr, _ string) (*x509.Certificate, error) {
	*a = append(*a, source)
	return amazonCertificate(), nil
}

func TestForWhomOthersAreAsked(t *testing.T) {
	var a asks
	k, err := NewKubernetes(&a, "")
	if err != nil {
		t.Fatal(err)
	}
	first, second := netip.MustParseAddr("192.0.2.1"), netip.Addr{} // which many have
	for _, source := range []netip.Addr{first, second} {
		k.Admit(t.Context(), &Request{Credentials: Credentials{Bearer: newIssuer(t).sign(t, nil)}, Source: source})
		r := sendSNS(nil, message{key: signingKey, timestamp: "2023-11-14T22:13:20Z"})
		r.Source = source
		expectVerdict(t, "a message", newSNS(t, &a), r, Admitted)
	}
	if want := (asks{first, first, second, second}); !slices.Equal(want, a) {
		t.Errorf("asked for %v, want %v", a, want)
	}
}
