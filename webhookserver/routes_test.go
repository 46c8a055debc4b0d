package webhookserver_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// claim is a webhook "git" of a namespace, as old as its minutes before now.
func claim(namespace string, minutes int, change ...func(*webhookserver.Hook)) webhookserver.Hook {
	return hook("git", append([]func(*webhookserver.Hook){func(h *webhookserver.Hook) {
		h.Namespace, h.Since = namespace, now.Add(-time.Duration(minutes)*time.Minute)
	}}, change...)...)
}

func lost(h *webhookserver.Hook) { h.ShortURLLost = true }

func TestWhoGetsAShortURL(t *testing.T) {
	assigned := func(owner string) webhookserver.Outcome { return webhookserver.Outcome{ShortURL: true, Owner: owner} }
	conflicted := func(owner string) webhookserver.Outcome { return webhookserver.Outcome{Owner: owner} }
	notAllowed := func(owner string) webhookserver.Outcome { return webhookserver.Outcome{NotAllowed: true, Owner: owner} }
	for _, c := range []struct {
		name    string
		hooks   []webhookserver.Hook
		allowed []string
		want    map[string]webhookserver.Outcome // by namespace
	}{
		{"a claim alone has it", []webhookserver.Hook{claim("a", 1)}, nil,
			map[string]webhookserver.Outcome{"a": assigned("a")}},
		{"the oldest claim has it", []webhookserver.Hook{claim("a", 1), claim("b", 3), claim("c", 2)}, nil,
			map[string]webhookserver.Outcome{"a": conflicted("b"), "b": assigned("b"), "c": conflicted("b")}},
		{"of equally old claims the first namespace has it", []webhookserver.Hook{claim("b", 1), claim("a", 1)}, nil,
			map[string]webhookserver.Outcome{"a": assigned("a"), "b": conflicted("a")}},
		{"a claim that lost it takes no part, old as it is", []webhookserver.Hook{claim("a", 9, lost), claim("b", 1)}, nil,
			map[string]webhookserver.Outcome{"a": conflicted("b"), "b": assigned("b")}},
		{"a freed url does not pass to a claim that lost it", []webhookserver.Hook{claim("a", 9, lost)}, nil,
			map[string]webhookserver.Outcome{"a": conflicted("")}},
		{"a namespace that may not own one leaves it to the next", []webhookserver.Hook{claim("a", 9), claim("b", 1)}, []string{"b"},
			map[string]webhookserver.Outcome{"a": notAllowed("b"), "b": assigned("b")}},
		{"an empty list lets nobody own one", []webhookserver.Hook{claim("a", 9)}, []string{},
			map[string]webhookserver.Outcome{"a": notAllowed("")}},
		{"a suspended webhook keeps it", []webhookserver.Hook{claim("a", 9, func(h *webhookserver.Hook) { h.Suspended = true }), claim("b", 1)}, nil,
			map[string]webhookserver.Outcome{"a": assigned("a"), "b": conflicted("a")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := map[webhookserver.Key]webhookserver.Outcome{}
			for namespace, outcome := range c.want {
				want[webhookserver.Key{Namespace: namespace, URL: "git"}] = outcome
			}
			_, got := webhookserver.Build(webhookserver.Input{Hooks: c.hooks, ShortURLNamespaces: c.allowed})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheOrderOfTheInputDoesNotMatter(t *testing.T) {
	hooks := []webhookserver.Hook{
		claim("a", 1), claim("b", 3), claim("c", 3), claim("d", 9, lost),
		hook("other"), hook("other", func(h *webhookserver.Hook) { h.Namespace = "a" }),
		hook("twice", func(h *webhookserver.Hook) { h.UID = "1" }), hook("twice", func(h *webhookserver.Hook) { h.UID = "2" }),
	}
	in := webhookserver.Input{Hooks: hooks, Tokens: tokens(), SystemNamespace: system, ShortURLNamespaces: []string{"b", "c", "d", "team"}}
	s := start(t, nil)
	table, want := webhookserver.Build(in)
	s.routes.Publish(table)
	wantList := s.send(request{method: "GET", path: "/v1/webhooks"}).body
	for range 50 {
		rand.Shuffle(len(hooks), func(i, j int) { hooks[i], hooks[j] = hooks[j], hooks[i] })
		table, got := webhookserver.Build(in)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("outcomes (-first +shuffled):\n%s", diff)
		}
		s.routes.Publish(table)
		if diff := cmp.Diff(wantList, s.send(request{method: "GET", path: "/v1/webhooks"}).body); diff != "" {
			t.Fatalf("list (-first +shuffled):\n%s", diff)
		}
	}
}

func TestALoserIsServedOnItsNamespacedPath(t *testing.T) {
	s := serve(t, claim("team", 1), claim("other", 2))
	for path, want := range map[string]string{
		"/v1/webhooks/git":                   "other",
		"/v1/namespaces/other/webhooks/git":  "other",
		"/v1/namespaces/team/webhooks/git":   "team",
		"/v1/namespaces/team/webhooks/git/":  "team",
		"/api/v1/webhooks/git?x=y":           "other",
		"/webhooks/git":                      "other",
		"/v1/namespaces/other/webhooks/git/": "other",
	} {
		if got := s.send(request{path: path}); got.status != 202 {
			t.Errorf("POST %s: %d %s", path, got.status, got.body)
		}
		if d := s.publisher.take(); len(d) != 1 || d[0].Namespace != want {
			t.Errorf("POST %s: delivered %+v, want one to %s", path, d, want)
		}
	}
}

// signedInEveryWay returns n webhooks that describe as many schemes as one may, each with a header of its own.
func signedInEveryWay(t testing.TB, n int) []webhookserver.Hook {
	t.Helper()
	const most = 16
	hooks := make([]webhookserver.Hook, n)
	for i := range hooks {
		hooks[i] = hook(fmt.Sprintf("hook-%d", i))
		for j := range most {
			signature, err := auth.NewSignature(auth.SignatureOptions{
				Scheme: "Custom", Custom: &auth.CustomScheme{Header: fmt.Sprintf("X-Signature-%d-%d", i, j)},
				Keys: []auth.SigningKey{{Value: []byte(signingKey)}},
			})
			if err != nil {
				t.Fatal(err)
			}
			hooks[i].Signatures = append(hooks[i].Signatures, signature)
		}
	}
	return hooks
}

func TestATableGrowsWithItsWebhooksAndNotFaster(t *testing.T) {
	allocated := func(n int) uint64 {
		in := webhookserver.Input{Hooks: signedInEveryWay(t, n), SystemNamespace: system}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		webhookserver.Build(in)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1) // what is allocated once
	few, many := allocated(100), allocated(800)
	if many > 12*few {
		t.Errorf("100 webhooks take %d bytes, and 800 take %d", few, many)
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{250, 500, 1000, 2000} {
		b.Run(fmt.Sprintf("%d webhooks", n), func(b *testing.B) {
			in := webhookserver.Input{Hooks: signedInEveryWay(b, n), SystemNamespace: system}
			b.ReportAllocs()
			for b.Loop() {
				webhookserver.Build(in)
			}
		})
	}
}
