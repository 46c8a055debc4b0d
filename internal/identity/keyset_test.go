package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/go-jose/go-jose/v4"

	"github.com/hookstorm/hookstorm/internal/outbound"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

func TestKeysAreRotated(t *testing.T) {
	old, next := newSigner("old"), newSigner("next")
	i, f := newIssuer(t, old), newFixture(open(t))
	set := f.at(t, i.URL)
	expect := func(what string, s signer, want auth.Verdict) {
		t.Helper()
		if got := f.admit(t, set, s.token(f.now())); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expect("the only key", old, auth.Admitted)
	expect("a key to come", next, auth.Refused)
	i.publish(old, next)
	f.pass(askEvery)
	expect("the new key, at once", next, auth.Admitted)
	expect("the old key beside it", old, auth.Admitted)
	i.publish(next)
	f.pass(freshFor)
	eventually(t, "the withdrawn key counts no longer", func() bool {
		return f.admit(t, set, old.token(f.now())) == auth.Refused
	})
	expect("the new key then", next, auth.Admitted)
}

func TestAnIssuerThatIsAway(t *testing.T) {
	key, unknown := newSigner("key"), newSigner("unknown")
	i, f := newIssuer(t, key), newFixture(open(t))
	set := f.at(t, i.URL)
	expect := func(what string, s signer, want auth.Verdict) {
		t.Helper()
		if got := f.admit(t, set, s.token(f.now())); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	expectProblem := func(want string) {
		t.Helper()
		if got := fmt.Sprint(set.Problem()); !strings.Contains(got, want) {
			t.Errorf("the problem is %s, want %s", got, want)
		}
	}
	expect("a good token", key, auth.Admitted)
	i.fail(http.StatusInternalServerError)
	f.pass(freshFor)
	expect("a good token while the issuer is away", key, auth.Admitted)
	eventually(t, "it is logged that keys are kept", func() bool { return f.logged(`"kept"=true`) })
	expect("an unknown key then", unknown, auth.Unavailable)
	expectProblem("<nil>")
	f.pass(keptFor)
	expect("a good token a day later", key, auth.Unavailable)
	expectProblem("answered 500")
	eventually(t, "it is logged that there are none", func() bool { return f.logged(`"kept"=false`) })
	i.publish(key)
	expect("a good token in the moment in which nobody is asked", key, auth.Unavailable)
	f.pass(askEvery)
	expect("a good token when the issuer is back", key, auth.Admitted)
	expectProblem("<nil>")
	eventually(t, "it is logged that there are some", func() bool { return f.logged("can be had") })
	if lines := f.read(); len(lines) != 3 {
		t.Errorf("logged: %s", strings.Join(lines, "\n"))
	}
}

func TestWhoHoldsAKeySetHearsOfItsProblem(t *testing.T) {
	key := newSigner("key")
	i, f := newIssuer(t, key), newFixture(open(t))
	i.fail(http.StatusNotFound)
	set := f.at(t, i.URL)
	eventually(t, "the problem is told", func() bool { return f.changes.Load() == 1 })
	if err := set.Problem(); err == nil || !strings.Contains(err.Error(), "answered 404") {
		t.Errorf("the problem: %v", err)
	}
	i.publish(key)
	f.pass(askEvery)
	f.at(t, i.URL)
	eventually(t, "its end is told", func() bool { return f.changes.Load() == 2 })
	if err := set.Problem(); err != nil {
		t.Errorf("the problem is still %v", err)
	}
}

func TestAFloodOfUnknownKeysIsNoneOfQuestions(t *testing.T) {
	key := newSigner("key")
	i, f := newIssuer(t, key), newFixture(open(t))
	set := f.at(t, i.URL)
	if got := f.admit(t, set, key.token(f.now())); got != auth.Admitted {
		t.Fatalf("a good token: %v", got)
	}
	for range 3 {
		f.pass(askEvery)
		before := i.asked.Load()
		var flood sync.WaitGroup
		for n := range 200 {
			flood.Go(func() {
				if got := f.admit(t, set, signer{key.key, fmt.Sprint(n)}.token(f.now())); got != auth.Refused {
					t.Errorf("an unknown key: %v", got)
				}
			})
		}
		flood.Wait()
		if asked := i.asked.Load() - before; asked != 1 {
			t.Errorf("the issuer was asked %d times", asked)
		}
	}
}

func TestAnIssuerThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(clientFunc(func(ctx context.Context, _ *http.Request) (outbound.Answer, error) {
			<-ctx.Done()
			return outbound.Answer{}, context.Cause(ctx)
		}))
		set := f.at(t, "https://ci.example/keys")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := set.Keys(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("who can wait a second gets %v after %v", err, time.Since(begun))
		}
		if _, err := set.Keys(t.Context()); err == nil || time.Since(begun) != fetchTimeout {
			t.Errorf("who can wait longer gets %v after %v", err, time.Since(begun))
		}
		if _, err := set.Renewed(t.Context()); err == nil || time.Since(begun) != fetchTimeout {
			t.Errorf("who comes then gets %v after %v", err, time.Since(begun))
		}
	})
}

// clientFunc is a Client with the behaviour of a test.
type clientFunc func(ctx context.Context, request *http.Request) (outbound.Answer, error)

func (c clientFunc) Do(ctx context.Context, request *http.Request) (outbound.Answer, error) {
	return c(ctx, request)
}

func TestAnswersThatAreNoKeys(t *testing.T) {
	i := newIssuer(t)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"not found", http.NotFound, "answered 404"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) }, "answered 302, a redirect"},
		{"a text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, "no JSON Web Key Set"},
		{"no keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }, "no public key"},
		{"too much", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(append(keySet(newSigner("key")), strings.Repeat(" ", 64<<10)...))
		}, "longer than 65536 bytes"},
		{"an answer that ends early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":`))
		}, "cut short"},
	} {
		i.respond(c.answer)
		f := newFixture(open(t))
		_, err := f.at(t, i.URL).Keys(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hello") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestTheGuardHoldsForIssuers(t *testing.T) {
	i := newIssuer(t, newSigner("key"))
	client := outbound.New(outbound.Options{})
	t.Cleanup(client.Close)
	_, err := newFixture(client).at(t, i.URL).Keys(t.Context())
	if _, denied := errors.AsType[*outbound.DeniedError](err); !denied || i.asked.Load() > 0 {
		t.Errorf("%v", err)
	}
}

func TestKeysAreDiscovered(t *testing.T) {
	key := newSigner("key")
	provider := &oidctest.Server{
		PublicKeys: []oidctest.PublicKey{{PublicKey: key.key.Public(), KeyID: key.id, Algorithm: "ES256"}},
		Algorithms: []string{"ES256"},
	}
	server := serve(t, provider)
	provider.SetIssuer(server.URL)
	f := newFixture(open(t))
	set, err := f.Of(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.admit(t, set, key.token(f.now())); got != auth.Admitted {
		t.Errorf("a token of the provider: %v, %v", got, set.Problem())
	}
}

func TestDiscoveryThatLeadsNowhere(t *testing.T) {
	i := newIssuer(t)
	for _, c := range []struct{ name, document, want string }{
		{"another issuer", `{"issuer":"https://other.example","jwks_uri":"https://other.example/keys"}`, "another issuer"},
		{"keys over http", `{"issuer":"` + i.URL + `","jwks_uri":"http://ci.example/keys"}`, "jwks_uri: it is no url"},
		{"no keys", `{"issuer":"` + i.URL + `"}`, "jwks_uri: it is no url"},
		{"no JSON", "<html>", "no JSON object"},
	} {
		i.respond(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.document)) })
		set, err := newFixture(open(t)).Of(i.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = set.Keys(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestWhereNoKeysAre(t *testing.T) {
	f := newFixture(open(t))
	for _, c := range []struct{ issuer, url, want string }{
		{"https://ci.example", "http://ci.example/keys", "jwt.jwksURL: "},
		{"https://ci.example", "ci.example/keys", "jwt.jwksURL: "},
		{"https://ci.example", "https://me:secret@ci.example/keys", "jwt.jwksURL: "},
		{"https://ci.example", "https://ci.example/%zz", "jwt.jwksURL: "},
		{"http://ci.example", "", "jwt.issuer: "},
		{"ci", "", "jwt.issuer: "},
	} {
		_, err := f.Of(c.issuer, c.url)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s %s: %v, want %q", c.issuer, c.url, err, c.want)
		}
	}
}

func TestKeySetsAreSharedAndDropped(t *testing.T) {
	i, f := newIssuer(t, newSigner("key")), newFixture(open(t))
	first, second, other := f.at(t, i.URL), f.at(t, i.URL), f.at(t, i.URL+"/other")
	if first != second || first == other {
		t.Error("a place has two sets, or two places have one")
	}
	for _, set := range []*KeySet{first, other} {
		if _, err := set.Keys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked := i.asked.Load(); asked != 2 {
		t.Errorf("the issuer was asked %d times", asked)
	}
	runtime.KeepAlive(other)
	eventually(t, "the set that nobody holds is dropped", func() bool {
		runtime.GC()
		f.KeySets.mu.Lock()
		defer f.KeySets.mu.Unlock()
		return len(f.sets) == 1
	})
	if f.at(t, i.URL) != first {
		t.Error("the set that somebody holds is dropped")
	}
	runtime.KeepAlive(second)
}

func TestAPanicWhileKeysAreReadIsAnError(t *testing.T) {
	var j journal
	i := newIssuer(t, newSigner("key"))
	sets := NewKeySets(KeySetsOptions{
		Client: open(t), Parse: func([]byte) ([]jose.JSONWebKey, error) { panic("a secret") },
		Changed: func() {}, Logger: j.logger(), Now: time.Now,
	})
	set, err := sets.Of("", i.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Keys(t.Context()); !errors.Is(err, errPanic) || !errors.Is(set.Problem(), errPanic) {
		t.Errorf("%v; the problem: %v", err, set.Problem())
	}
	if !j.logged("keyset_test.go") || j.logged("a secret") {
		t.Errorf("logged: %v", j.read())
	}
}
