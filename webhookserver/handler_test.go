package webhookserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const unauthorized = `{"faultstring": "Unauthorized - One of Token or API key required."}`

func TestADeliveryIsAccepted(t *testing.T) {
	s := serve(t, hook("git/push"))
	got := s.send(request{path: "/v1/webhooks/git/push", headers: []string{"X-Request-ID: mine"}, body: ` {"n": 12345678901234567890.10} `})
	if got.status != http.StatusAccepted || got.body != `{"n": 12345678901234567890.10}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Request-Id": "mine",
	} {
		if value := got.header.Get(name); value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}
	deliveries := s.publisher.take()
	if len(deliveries) != 1 {
		t.Fatalf("published %d deliveries", len(deliveries))
	}
	d := deliveries[0]
	if !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{26}$`).MatchString(d.ID) || got.header.Get("X-Delivery-Id") != d.ID {
		t.Errorf("delivery id %q, header %q", d.ID, got.header.Get("X-Delivery-Id"))
	}
	if !regexp.MustCompile(`^webhook-git/push-[0-9a-f]{32}$`).MatchString(d.TraceTag) {
		t.Errorf("trace tag %q", d.TraceTag)
	}
	want := delivery.Delivery{
		ID: d.ID, TraceTag: d.TraceTag, Payload: d.Payload,
		Namespace: "team", Webhook: "git-push", URL: "git/push", Trigger: "core.st2.webhook",
		Parameters: map[string]string{"url": "git/push"}, Sender: "127.0.0.1", Received: now, RuleVersion: 42,
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("delivery (-want +got):\n%s", diff)
	}
	if !strings.HasSuffix(string(d.Payload), `,"body":{"n": 12345678901234567890.10}}`) {
		t.Errorf("the body changed: %s", d.Payload)
	}
}

func TestEveryIDIsGreaterThanTheOneBefore(t *testing.T) {
	s := serve(t, hook("git"))
	last := ""
	for range 100 {
		id := s.send(request{path: "/v1/webhooks/git"}).header.Get("X-Delivery-Id")
		if id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
}

// refuser is a server on which each check of the order can fail.
func refuser(t *testing.T) *site {
	object, err := webhookserver.CompileSchema([]byte(`{"type": "object"}`))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, func(o *webhookserver.Options) {
		o.Publisher = &publisher{publish: func(_ context.Context, d delivery.Delivery) error {
			if d.Webhook == "vast" {
				return fmt.Errorf("publishing: %w", delivery.ErrTooLarge)
			}
			return errors.New("disk full")
		}}
	})
	once := func(h *webhookserver.Hook) { h.Rate = webhookserver.Rate{PerSecond: 1, Burst: 1} }
	s.program(
		hook("full"), hook("vast"),
		hook("small", func(h *webhookserver.Hook) { h.MaxBodySize = 10 }),
		hook("suspended", once, func(h *webhookserver.Hook) { h.Suspended, h.Schema = true, object }),
		hook("busy", once, func(h *webhookserver.Hook) { h.Schema = object }),
		hook("strict", func(h *webhookserver.Hook) { h.Schema = object }),
		hook("keyless", func(h *webhookserver.Hook) {
			h.Auth = []auth.Method{&auth.Tokens{Secrets: map[string]bool{}, Unavailable: true}}
		}),
	)
	for _, path := range []string{"/v1/webhooks/suspended", "/v1/webhooks/busy"} {
		s.send(request{path: path}) // the one delivery that they take
	}
	return s
}

// TestTheOrderOfChecks gives each request every fault that is checked later than the one it is answered for.
func TestTheOrderOfChecks(t *testing.T) {
	s := refuser(t)
	large := strings.Repeat("x", 2<<20)
	foo := []string{"Content-Type: foo/invalid"}
	for _, c := range []struct {
		name     string
		request  request
		status   int
		text     string // a part of it
		rejected string
	}{
		{"outside of the prefixes comes before authentication", request{method: "PUT", path: "/nothing", anonymous: true}, 404, "The resource could not be found.", ""},
		{"a post to the collection comes before authentication", request{path: "/v1/webhooks", anonymous: true}, 404, "The resource could not be found.", ""},
		{"authentication comes before the method", request{method: "PUT", path: "/v1/webhooks/small", anonymous: true, body: large, headers: foo}, 401, "Unauthorized", "team/small Unauthorized"},
		{"authentication comes before whether the webhook exists", request{path: "/v1/webhooks/none", anonymous: true, body: large, headers: foo}, 401, "Unauthorized", ""},
		{"authentication comes before suspension", request{path: "/v1/webhooks/suspended", anonymous: true}, 401, "Unauthorized", "team/suspended Unauthorized"},
		{"a missing key is told to whoever sends a token", request{method: "PUT", path: "/v1/webhooks/keyless"}, 503, "Authentication is not available.", "team/keyless KeyMissing"},
		{"a missing key is told to nobody else", request{path: "/v1/webhooks/keyless", anonymous: true}, 401, "Unauthorized", "team/keyless Unauthorized"},
		{"the method comes before the body", request{method: "PUT", path: "/v1/webhooks/small", body: large, headers: foo}, 405, "not allowed", "team/small MethodNotAllowed"},
		{"the size comes before the type", request{path: "/v1/webhooks/small", body: large, headers: foo}, 413, "at most 10 bytes", "team/small BodyTooLarge"},
		{"of an unknown webhook the largest size is checked", request{path: "/v1/webhooks/none", body: large, headers: foo}, 413, "at most 1048576 bytes", ""},
		{"the type comes before whether the webhook exists", request{path: "/v1/webhooks/none", body: "{", headers: foo}, 400, `Unsupported Content-Type: "foo/invalid"`, ""},
		{"parsing comes before whether the webhook exists", request{path: "/v1/webhooks/none", body: "{"}, 400, "Failed to parse request body: ", ""},
		{"parsing comes before suspension", request{path: "/v1/webhooks/suspended", body: "{"}, 400, "Failed to parse request body: ", "team/suspended InvalidBody"},
		{"then an unknown webhook is told", request{path: "/v1/webhooks/none/x", body: "{}"}, 404, "Webhook none/x not registered with st2", ""},
		{"suspension comes before the rate and the schema", request{path: "/v1/webhooks/suspended", body: "[]"}, 503, "Webhook is suspended.", "team/suspended Suspended"},
		{"the rate comes before the schema", request{path: "/v1/webhooks/busy", body: "[]"}, 429, "Too many requests.", "team/busy RateLimited"},
		{"the schema comes before storing", request{path: "/v1/webhooks/strict", body: "[]"}, 400, "[] is not of type 'object'", "team/strict SchemaViolation"},
		{"what can never be stored is not asked for again", request{path: "/v1/webhooks/vast", body: "[]"}, 413, "too large to be stored", "team/vast BodyTooLarge"},
		{"storing comes last", request{path: "/v1/webhooks/full", body: "[]"}, 503, "Delivery could not be stored.", "team/full NotStored"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.rejected.list = nil
			got := s.send(c.request)
			if got.status != c.status || !strings.Contains(got.fault(t), c.text) {
				t.Errorf("got %d %s, want %d %q", got.status, got.body, c.status, c.text)
			}
			if (got.header.Get("Retry-After") != "") != (got.status == 503 || got.status == 429) {
				t.Errorf("Retry-After: %q", got.header.Get("Retry-After"))
			}
			if (got.header.Get("Allow") == "GET, POST") != (got.status == 405) {
				t.Errorf("Allow: %q", got.header.Get("Allow"))
			}
			if got.header.Get("Location") != "" || got.header.Get("Set-Cookie") != "" {
				t.Errorf("headers: %v", got.header)
			}
			if diff := cmp.Diff(c.rejected, strings.Join(s.rejected.list, ",")); diff != "" {
				t.Errorf("the observer heard (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThe401TellsNothing(t *testing.T) {
	s := serve(t, hook("git"), hook("suspended", func(h *webhookserver.Hook) { h.Suspended = true }), generic())
	requests := []request{
		{path: "/v1/webhooks/git"},
		{path: "/v1/webhooks/none"},
		{path: "/v1/webhooks/suspended"},
		{path: "/v1/webhooks/st2"},
		{path: "/v1/namespaces/team/webhooks/git"},
		{path: "/v1/namespaces/none/webhooks/git"},
		{path: "/v1/webhooks/a/../git"},
		{path: "/v1/webhooks/git", headers: []string{"X-Auth-Token: nope"}},
		{path: "/v1/webhooks/none", headers: []string{"X-Auth-Token: nope"}},
		{path: "/v1/webhooks/git", headers: []string{"X-Auth-Token: " + otherToken}},
		{path: "/v1/webhooks/git", headers: []string{"X-Auth-Token: ended"}},
		{path: "/v1/webhooks/git?x-auth-token=nope"},
		{path: "/v1/webhooks/git", headers: []string{"Authorization: Basic bWF0b2tlbjo="}},
		{path: "/v1/webhooks/git", headers: []string{"Content-Type: foo/bar"}},
		{method: "GET", path: "/v1/webhooks/git"},
		{method: "GET", path: "/v1/webhooks/none"},
		{method: "GET", path: "/v1/webhooks"},
		{method: "PUT", path: "/v1/webhooks/git"},
		{method: "DELETE", path: "/v1/webhooks/none"},
		{method: "OPTIONS", path: "/v1/webhooks/git", headers: []string{"Origin: https://example.com"}},
	}
	for _, body := range []string{"", "{"} {
		var want string
		for _, c := range requests {
			c.anonymous, c.body = true, body
			name := fmt.Sprintf("%s %s %v %q", c.method, c.path, c.headers, body)
			got := s.send(c)
			if got.status != 401 || got.body != unauthorized {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
			for _, varies := range []string{"Date", "X-Request-Id"} {
				got.header.Del(varies)
			}
			if all := fmt.Sprint(got.header); want == "" {
				want = all
			} else if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("%s (-first +this):\n%s", name, diff)
			}
		}
	}
}

func TestWhichCredentialCounts(t *testing.T) {
	named := func(names ...string) func(*webhookserver.Hook) {
		secrets := map[string]bool{}
		for _, name := range names {
			secrets[name] = true
		}
		return func(h *webhookserver.Hook) { h.Auth = []auth.Method{&auth.Tokens{Secrets: secrets}} }
	}
	s := serve(t, hook("team"), hook("named", named("senders")), hook("closed", func(h *webhookserver.Hook) { h.Auth = nil }),
		hook("nothing", named()),
		hook("open", func(h *webhookserver.Hook) { h.Auth = []auth.Method{auth.Anonymous{}} }))
	for _, c := range []struct {
		name, method, path, token string
		want                      int
	}{
		{"a token of the namespace", "POST", "/v1/webhooks/team", teamToken, 202},
		{"a system token", "POST", "/v1/webhooks/team", systemToken, 202},
		{"a token that only sends", "POST", "/v1/webhooks/team", teamSender, 202},
		{"a token of another namespace", "POST", "/v1/webhooks/team", otherToken, 401},
		{"a token that has ended", "POST", "/v1/webhooks/team", "ended", 401},
		{"a token that will end", "POST", "/v1/webhooks/team", "ending", 202},
		{"a token of the named Secret", "POST", "/v1/webhooks/named", teamSender, 202},
		{"a token of another Secret", "POST", "/v1/webhooks/named", teamToken, 401},
		{"a system token where a Secret is named", "POST", "/v1/webhooks/named", systemToken, 401},
		{"no method of authentication", "POST", "/v1/webhooks/closed", systemToken, 401},
		{"a method that no Secret is named for", "POST", "/v1/webhooks/nothing", systemToken, 401},
		{"anonymous", "POST", "/v1/webhooks/open", "", 202},
		{"a bad token where anybody may", "POST", "/v1/webhooks/open", "nope", 202},
		{"an unknown webhook, system token", "POST", "/v1/webhooks/none", systemToken, 404},
		{"an unknown webhook, tenant's token", "POST", "/v1/webhooks/none", teamToken, 401},
		{"an unknown webhook of the namespace", "POST", "/v1/namespaces/team/webhooks/none", teamToken, 404},
		{"an unknown webhook of another namespace", "POST", "/v1/namespaces/other/webhooks/none", teamToken, 401},
		{"reading one", "GET", "/v1/webhooks/team", teamToken, 200},
		{"reading one without the scope", "GET", "/v1/webhooks/team", teamSender, 401},
		{"reading one of another namespace", "GET", "/v1/webhooks/team", otherToken, 401},
		{"reading one that names a Secret", "GET", "/v1/webhooks/named", systemToken, 200},
		{"reading one that anybody may post to", "GET", "/v1/webhooks/open", "", 401},
		{"listing without the scope", "GET", "/v1/webhooks", teamSender, 401},
		{"another method with any token", "DELETE", "/v1/webhooks/team", teamSender, 405},
	} {
		got := s.send(request{method: c.method, path: c.path, headers: []string{"X-Auth-Token: " + c.token}, anonymous: true})
		if got.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.want)
		}
	}
}

func TestAPublisherThatPanicsIsAnInternalError(t *testing.T) {
	var published atomic.Int32
	s := start(t, func(o *webhookserver.Options) {
		o.Publisher = &publisher{publish: func(context.Context, delivery.Delivery) error {
			if published.Add(1) == 1 {
				panic("with a secret")
			}
			return nil
		}}
	})
	s.program(hook("git"))
	got := s.send(request{path: "/v1/webhooks/git"})
	if got.status != 500 || got.body != `{"faultstring": "Internal Server Error"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.send(request{path: "/v1/webhooks/git"}); got.status != 202 {
		t.Errorf("the next request: %d %s", got.status, got.body)
	}
}

func TestARequestIDIsRepeatedOnlyIfItIsHarmless(t *testing.T) {
	s := serve(t, hook("git"))
	for sent, repeated := range map[string]bool{
		"req-1": true, "": false, strings.Repeat("x", 129): false, "two words": false, "b\u00e4d": false,
	} {
		got := s.send(request{path: "/v1/webhooks/git", headers: []string{"X-Request-ID: " + sent}}).header.Get("X-Request-Id")
		if (got == sent) != repeated || got == "" {
			t.Errorf("%q was answered with %q", sent, got)
		}
	}
}
