package webhookserver_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const signingKey = "0123456789abcdef0123456789abcdef"

// signedBy makes a webhook one whose requests are signed as GitHub does, and nothing else.
func signedBy(t *testing.T, o auth.SignatureOptions) func(*webhookserver.Hook) {
	t.Helper()
	signature, err := auth.NewSignature(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(h *webhookserver.Hook) { h.Auth, h.Signatures = nil, []*auth.Signature{signature} }
}

func github(keys ...string) auth.SignatureOptions {
	o := auth.SignatureOptions{Scheme: "GitHub"}
	for i, key := range keys {
		name := auth.Key{Namespace: "team", Secret: "gh", Name: string(rune('a' + i))}
		o.Keys = append(o.Keys, auth.SigningKey{Key: name, Value: []byte(key)})
	}
	return o
}

// hubSignature is the header that signs a body as GitHub does.
func hubSignature(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "X-Hub-Signature-256: sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestASignatureAdmitsAndIsTakenOut(t *testing.T) {
	s := serve(t, hook("git", signedBy(t, github("another key, not this one", signingKey))))
	body := `{"a": 1}`
	got := s.send(request{
		path: "/v1/webhooks/git", anonymous: true, body: body,
		headers: []string{hubSignature(signingKey, body), "X-Slack-Signature: v0=CANARY", "X-Gitlab-Token: CANARY", "X-GitHub-Event: push"},
	})
	if got.status != http.StatusAccepted {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	payload := string(s.publisher.take()[0].Payload)
	if lower := strings.ToLower(payload); strings.Contains(lower, "signature") || strings.Contains(lower, "canary") || !strings.Contains(lower, `"x-github-event":"push"`) {
		t.Errorf("the payload is %s", payload)
	}
	if diff := cmp.Diff([]string{"git gh/b"}, s.rejected.used); diff != "" {
		t.Errorf("keys that admitted (-want +got):\n%s", diff)
	}
}

// TestNobodyLearnsWhichWebhooksThereAre sends what is not admitted to webhooks that there are and are not, and expects the
// same bytes.
func TestNobodyLearnsWhichWebhooksThereAre(t *testing.T) {
	s := serve(t,
		hook("tokens"),
		hook("signed", signedBy(t, github(signingKey))),
		hook("small", signedBy(t, github(signingKey)), func(h *webhookserver.Hook) { h.MaxBodySize = 10 }),
		hook("suspended", func(h *webhookserver.Hook) { h.Suspended = true }),
		hook("elsewhere", func(h *webhookserver.Hook) { h.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }),
	)
	large := `"` + strings.Repeat("x", 100) + `"`
	for name, q := range map[string]request{
		"no credential":         {},
		"no credential, a body": {body: large},
		"another method":        {method: "PUT", body: large},
		"a bad token":           {headers: []string{"X-Auth-Token: a token that is none"}},
		"a bad signature":       {headers: []string{hubSignature("another key", large)}, body: large},
		"a broken signature":    {headers: []string{"X-Hub-Signature-256: sha256="}, body: large},
		"signed, another way":   {method: "DELETE", headers: []string{hubSignature("another key", large)}, body: large},
		"options":               {method: "OPTIONS", headers: []string{"WebHook-Request-Origin: evil.example"}},
		"not even JSON":         {headers: []string{hubSignature("another key", "{"), "Content-Type: foo/bar"}, body: "{"},
	} {
		t.Run(name, func(t *testing.T) {
			q.anonymous = true
			for _, path := range []string{"/v1/webhooks/none", "/v1/webhooks/tokens", "/v1/webhooks/signed", "/v1/webhooks/small",
				"/v1/webhooks/suspended", "/v1/webhooks/elsewhere", "/v1/namespaces/team/webhooks/none", "/v1/namespaces/none/webhooks/git"} {
				q.path = path
				got := s.send(q)
				if got.status != http.StatusUnauthorized || got.body != unauthorized {
					t.Errorf("%s: %d %s", path, got.status, got.body)
				}
				got.header.Del("Date")
				got.header.Del("X-Request-Id")
				want := http.Header{
					"Content-Type": {"application/json"}, "Content-Length": got.header["Content-Length"],
					"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
				}
				if q.body != "" && !strings.Contains(strings.Join(q.headers, ""), "Signature") {
					want.Set("Connection", "close") // the body is unread
				}
				if diff := cmp.Diff(want, got.header); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}

func TestAnUnknownSenderMayNotSendMoreThanAnyWebhookTakes(t *testing.T) {
	s := serve(t, hook("git", signedBy(t, github(signingKey))))
	body := strings.Repeat("x", 1<<20+1)
	for _, path := range []string{"/v1/webhooks/git", "/v1/webhooks/none"} {
		got := s.send(request{path: path, anonymous: true, body: body, headers: []string{hubSignature(signingKey, body)}})
		if got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

func TestTheWebhooksOwnLimitCountsOnceItsSenderIsKnown(t *testing.T) {
	s := serve(t, hook("large"), hook("small", signedBy(t, github(signingKey)), func(h *webhookserver.Hook) { h.MaxBodySize = 10 }))
	body := `{"a": "0123456789"}`
	got := s.send(request{path: "/v1/webhooks/small", anonymous: true, body: body, headers: []string{hubSignature(signingKey, body)}})
	if got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "at most 10 bytes") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAMissingSigningKeyIsToldToWhoSigns(t *testing.T) {
	s := serve(t, hook("git", signedBy(t, github())))
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"who signs":     {[]string{hubSignature(signingKey, "{}")}, http.StatusServiceUnavailable},
		"who does not":  {nil, http.StatusUnauthorized},
		"another token": {[]string{"X-Auth-Token: " + systemToken}, http.StatusUnauthorized},
	} {
		if got := s.send(request{path: "/v1/webhooks/git", anonymous: true, body: "{}", headers: c.headers}); got.status != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestOnlyItsSourcesMayPost(t *testing.T) {
	s := start(t, func(o *webhookserver.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	s.program(hook("git", func(h *webhookserver.Hook) { h.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }))
	for forwarded, want := range map[string]int{
		"192.0.2.7":               http.StatusAccepted,
		"198.51.100.9, 192.0.2.7": http.StatusAccepted,
		"192.0.2.7, 198.51.100.9": http.StatusUnauthorized,
		"198.51.100.9":            http.StatusUnauthorized,
	} {
		got := s.send(request{path: "/v1/webhooks/git", headers: []string{"X-Forwarded-For: " + forwarded}})
		if got.status != want {
			t.Errorf("%s: %d %s", forwarded, got.status, got.body)
		}
	}
	if last := s.publisher.take(); len(last) != 2 || last[0].Sender != "192.0.2.7" {
		t.Errorf("accepted: %v", last)
	}
	if want := "team/git SourceNotAllowed"; s.rejected.list[0] != want {
		t.Errorf("the observer heard %v", s.rejected.list)
	}
}

func TestARateIsKept(t *testing.T) {
	s := serve(t, hook("git", func(h *webhookserver.Hook) { h.Rate = webhookserver.Rate{PerSecond: 1, Burst: 2} }), hook("other"))
	for i, want := range []int{202, 202, 429, 429} {
		got := s.send(request{path: "/v1/webhooks/git"})
		if got.status != want || (got.header.Get("Retry-After") == "1") != (want == 429) {
			t.Errorf("request %d: %d, Retry-After %q", i, got.status, got.header.Get("Retry-After"))
		}
	}
	if got := s.send(request{path: "/v1/webhooks/other"}); got.status != 202 {
		t.Errorf("another webhook: %d", got.status)
	}
}
