package webhookserver_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
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

// everyURL is one of every kind of webhook of strangers, and of those that there are not.
var everyURL = []string{
	"/v1/webhooks/none", "/v1/webhooks/tokens", "/v1/webhooks/signed", "/v1/webhooks/small", "/v1/webhooks/suspended",
	"/v1/webhooks/elsewhere", "/v1/webhooks/sns", "/v1/webhooks/accounts", "/v1/webhooks/jwt", "/v1/webhooks/closed",
	"/v1/namespaces/team/webhooks/sns", "/v1/namespaces/team/webhooks/none", "/v1/namespaces/none/webhooks/git",
}

// strangers serves them. What their ways to be admitted ask for fails as told.
func strangers(t *testing.T, failure error) *site {
	t.Helper()
	asks := asked{failure}
	accounts, err := auth.NewKubernetes(asks, "")
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := auth.NewJWT(auth.JWTOptions{
		Issuer: "https://issuer.example", Audiences: []string{"hooks"}, Keys: []auth.IssuerKeys{{KeySet: asks}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ways := func(methods ...auth.Method) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Auth = methods }
	}
	return serve(t,
		hook("tokens"),
		hook("signed", signedBy(t, github(signingKey))),
		hook("small", signedBy(t, github(signingKey)), func(h *webhookserver.Hook) { h.MaxBodySize = 10 }),
		hook("suspended", func(h *webhookserver.Hook) { h.Suspended = true }),
		hook("elsewhere", func(h *webhookserver.Hook) { h.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }),
		hook("sns", signedBy(t, auth.SignatureOptions{Scheme: "AWSSNS", Topics: []string{"arn:aws:sns:eu-west-1:1:a"}, Certificates: asks})),
		hook("accounts", ways(accounts)),
		hook("jwt", ways(jwt)),
		hook("closed", ways()),
	)
}

// asked is whom ways to be admitted ask: it knows nothing, or fails.
type asked struct{ failure error }

func (a asked) MayPost(context.Context, netip.Addr, string, string, string, string) (bool, error) {
	return false, a.failure
}

func (a asked) Certificate(context.Context, netip.Addr, string) (*x509.Certificate, error) {
	return nil, errors.Join(errors.New("there is none"), a.failure)
}

func (a asked) Keys(context.Context) ([]jose.JSONWebKey, error)    { return nil, a.failure }
func (a asked) Renewed(context.Context) ([]jose.JSONWebKey, error) { return nil, a.failure }

// fromSNS is a message of Amazon SNS that names a certificate, as anybody can write one.
const fromSNS = `{"Type": "Notification", "Message": "m", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-west-1:2:evil",
	"Timestamp": "2026-03-14T15:09:26Z", "SignatureVersion": "2", "Signature": "AAAA",
	"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"}`

// bearer is the header with a token that nobody signed.
func bearer(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	token := encode([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + encode([]byte(claims)) + "." + encode(make([]byte, 256))
	return "Authorization: Bearer " + token
}

// issuedToken is the header with a token of the issuer that a webhook trusts, as anybody can write one.
func issuedToken() string {
	return bearer(fmt.Sprintf(`{"iss":"https://issuer.example","aud":"hooks","exp":%d}`, now.Unix()+60))
}

// expectEverywhere sends a request to everyURL and expects the same bytes.
func (s *site) expectEverywhere(q request, status int, body string, more http.Header) {
	s.t.Helper()
	q.anonymous = true
	for _, path := range everyURL {
		q.path = path
		got := s.send(q)
		if got.status != status || got.body != body {
			s.t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		got.header.Del("Date")
		got.header.Del("X-Request-Id")
		want := http.Header{
			"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))},
			"X-Content-Type-Options": {"nosniff"}, "Cache-Control": {"no-store"},
		}
		maps.Copy(want, more)
		if diff := cmp.Diff(want, got.header); diff != "" {
			s.t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestNobodyLearnsWhichWebhooksThereAre sends what is not admitted to webhooks that there are and are not, and expects the
// same bytes.
func TestNobodyLearnsWhichWebhooksThereAre(t *testing.T) {
	s := strangers(t, nil)
	large := `"` + strings.Repeat("x", 100) + `"`
	for name, q := range map[string]request{
		"no credential":          {},
		"no credential, a body":  {body: large},
		"another method":         {method: "PUT", body: large},
		"a bad token":            {headers: []string{"X-Auth-Token: a token that is none"}},
		"a bad login":            {headers: []string{"Authorization: Basic YTpi"}},
		"a token of nobody":      {headers: []string{bearer("{}")}},
		"a token of the issuer":  {headers: []string{issuedToken()}},
		"a bad signature":        {headers: []string{hubSignature("another key", large)}, body: large},
		"a broken signature":     {headers: []string{"X-Hub-Signature-256: sha256="}, body: large},
		"signed, another way":    {method: "DELETE", headers: []string{hubSignature("another key", large)}, body: large},
		"options":                {method: "OPTIONS", headers: []string{"WebHook-Request-Origin: evil.example"}},
		"not even JSON":          {headers: []string{hubSignature("another key", "{"), "Content-Type: foo/bar"}, body: "{"},
		"no message of SNS":      {headers: []string{"X-Amz-Sns-Message-Type: Notification"}, body: large},
		"many kinds of a secret": {headers: []string{hubSignature("another key", large), issuedToken()}, body: large},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			var more http.Header
			if q.body != "" && !strings.Contains(strings.Join(q.headers, ""), "X-Hub-Signature") && !strings.Contains(strings.Join(q.headers, ""), "X-Amz-Sns") {
				more = http.Header{"Connection": {"close"}} // the body is unread
			}
			s.expectEverywhere(q, http.StatusUnauthorized, unauthorized, more)
		})
	}
}

// TestNobodyLearnsOfAnOutageWhichWebhooksThereAre has strangers ask for what cannot be had.
func TestNobodyLearnsOfAnOutageWhichWebhooksThereAre(t *testing.T) {
	s := strangers(t, errors.New("away"))
	for name, q := range map[string]request{
		"a certificate of Amazon SNS": {headers: []string{"X-Amz-Sns-Message-Type: Notification"}, body: fromSNS},
		"the keys of an issuer":       {headers: []string{issuedToken()}},
		"whose a token is":            {headers: []string{bearer("{}")}},
		"whose it is, another way":    {method: "PUT", headers: []string{bearer("{}")}},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.expectEverywhere(q, http.StatusServiceUnavailable, `{"faultstring": "Authentication is not available."}`,
				http.Header{"Retry-After": {"5"}})
		})
	}
	if got := s.send(request{path: "/v1/webhooks/none", headers: []string{bearer("{}")}}); got.status != http.StatusNotFound {
		t.Errorf("who may know that nobody owns a url gets %d %s", got.status, got.body)
	}
	if got := s.send(request{path: "/v1/webhooks/tokens", headers: []string{bearer("{}")}}); got.status != http.StatusAccepted {
		t.Errorf("who is admitted gets %d %s", got.status, got.body)
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
