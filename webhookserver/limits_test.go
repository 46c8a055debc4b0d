package webhookserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// longToken is a token that nobody finds by trying.
const longToken = "a token of more than 16 bytes"

// slowing runs a server on which a source fails ten times, and then once a second, with webhooks that ask for what is away.
func slowing(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, routes: &webhookserver.Routes{}}
	s.run(webhookserver.Options{
		Routes: s.routes, Publisher: &publisher{}, Now: func() time.Time { return now },
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}, func(server *webhookserver.Server) { server.LimitFailures(webhookserver.Rate{PerSecond: 1, Burst: 10}) })
	away := asked{errors.New("away")}
	accounts, err := auth.NewKubernetes(away, "")
	if err != nil {
		t.Fatal(err)
	}
	or := func(methods ...auth.Method) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Auth = append(h.Auth, methods...) }
	}
	given := append(tokens(), auth.Token{
		Digest: auth.Digest([]byte(longToken)), Key: auth.Key{Namespace: "team", Secret: "long"}, Scopes: []auth.Scope{auth.ScopeSend},
	})
	table, _ := webhookserver.Build(webhookserver.Input{Tokens: given, SystemNamespace: system, Hooks: []webhookserver.Hook{
		hook("git"), hook("open", or(auth.Anonymous{})), hook("accounts", or(accounts)), hook("login", or(&auth.Basic{Unavailable: true})),
		hook("signed", signedBy(t, github(signingKey))),
		hook("sns", signedBy(t, auth.SignatureOptions{Scheme: auth.SchemeAWSSNS, Topics: []string{"arn:aws:sns:eu-west-1:1:a"}, Certificates: away})),
	}})
	s.routes.Publish(table)
	return s
}

// guess sends a request of an address with a token.
func (s *site) guess(q request, from, token string) response {
	s.t.Helper()
	q.anonymous, q.headers = true, append([]string{"X-Forwarded-For: " + from, "X-Auth-Token: " + token}, q.headers...)
	return s.send(q)
}

// TestASourceThatGuessesIsSlowedDown lets sources fail until they have to wait, whatever they send beside their guesses so that the
// answer is another.
func TestASourceThatGuessesIsSlowedDown(t *testing.T) {
	s := slowing(t)
	const git = "/v1/webhooks/git"
	large := strings.Repeat("x", 1<<20+1)
	for i, c := range []struct {
		name   string
		beside request
		want   int
	}{
		{"nothing", request{path: git}, 401},
		{"a url that nobody owns", request{path: "/v1/webhooks/none"}, 401},
		{"another method", request{path: git, method: "PUT"}, 401},
		{"a message of Amazon SNS, which is away", request{path: git, headers: []string{"X-Amz-Sns-Message-Type: Notification"}, body: fromSNS}, 503},
		{"a token of the cluster, which is away", request{path: git, headers: []string{bearer("{}")}}, 503},
		{"a login whose Secret is missing", request{path: "/v1/webhooks/login", headers: []string{"Authorization: Basic YTpi"}}, 503},
		{"a signature of too large a body", request{path: git, method: "PUT", headers: []string{hubSignature(signingKey, "")}, body: large}, 413},
	} {
		got, from := map[int]int{}, "192.0.2."+strconv.Itoa(i)
		for guess := range 15 {
			got[s.guess(c.beside, from, "guess"+strconv.Itoa(guess)).status]++
		}
		if diff := cmp.Diff(map[int]int{c.want: 10, 429: 5}, got); diff != "" {
			t.Errorf("guesses beside %s (-want +got):\n%s", c.name, diff)
		}
		if right := s.guess(c.beside, from, systemToken).status; right != 429 {
			t.Errorf("the right token beside %s: %d", c.name, right)
		}
	}
}

func TestWhoIsSlowedDown(t *testing.T) {
	s := slowing(t)
	for range 15 {
		s.guess(request{path: "/v1/webhooks/none"}, "192.0.2.1", "guess")
	}
	for _, c := range []struct {
		name, path, from, token string
		want                    int
	}{
		{"the right token, which may have been guessed", "/v1/webhooks/git", "192.0.2.1", systemToken, 429},
		{"the right token, which nobody guesses", "/v1/webhooks/git", "192.0.2.1", longToken, 202},
		{"a wrong one that is as long", "/v1/webhooks/git", "192.0.2.1", longToken + "!", 429},
		{"no token, where there is no need of one", "/v1/webhooks/open", "192.0.2.1", "", 202},
		{"no token, where there is", "/v1/webhooks/git", "192.0.2.1", "", 429},
		{"another source", "/v1/webhooks/git", "192.0.2.2", systemToken, 202},
		{"who pretends to be another source", "/v1/webhooks/git", "192.0.2.2, 192.0.2.1", systemToken, 429},
		{"the proxy itself", "/v1/webhooks/git", "", systemToken, 202},
		{"outside of the prefixes it is as for everybody", "/nothing", "192.0.2.1", systemToken, 404},
	} {
		answer := s.guess(request{path: c.path}, c.from, c.token)
		if answer.status != c.want || (answer.header.Get("Retry-After") == "1") != (c.want == 429) {
			t.Errorf("%s: %d with Retry-After %q, want %d", c.name, answer.status, answer.header.Get("Retry-After"), c.want)
		}
	}
}

// TestAWebhookHasItsRate sends more than a webhook takes, and to another.
func TestAWebhookHasItsRate(t *testing.T) {
	s := serve(t, hook("git", func(h *webhookserver.Hook) { h.Rate = webhookserver.Rate{PerSecond: 1, Burst: 3} }), hook("other"))
	var got []string
	for range 5 {
		answer := s.send(request{path: "/v1/webhooks/git"})
		got = append(got, fmt.Sprint(answer.status, answer.header.Get("Retry-After")))
	}
	s.program(hook("git", func(h *webhookserver.Hook) { h.Rate = webhookserver.Rate{PerSecond: 1, Burst: 4} }), hook("other"))
	for _, q := range []request{{path: "/v1/webhooks/git"}, {path: "/v1/webhooks/git", anonymous: true}, {path: "/v1/webhooks/other"}} {
		got = append(got, strconv.Itoa(s.send(q).status))
	}
	if diff := cmp.Diff([]string{"202", "202", "202", "4291", "4291", "429", "401", "202"}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if stored := len(s.publisher.take()); stored != 4 {
		t.Errorf("%d deliveries, want 4", stored)
	}
}

// TestOnlySomeSourcesMayPost posts to a webhook with sourceRanges, with a valid token each time.
func TestOnlySomeSourcesMayPost(t *testing.T) {
	s := start(t, func(o *webhookserver.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	s.program(hook("git", func(h *webhookserver.Hook) {
		h.Sources = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120")}
	}))
	for _, c := range []struct {
		name, from string
		want       int
	}{
		{"from there", "192.0.2.7", 202},
		{"from the other network", "198.51.100.7", 202},
		{"from there, as if passed on from elsewhere", "203.0.113.9, 192.0.2.8", 202},
		{"from elsewhere", "203.0.113.9", 401},
		{"from elsewhere, as if passed on from there", "192.0.2.7, 203.0.113.9", 401},
		{"from who does not say", "unknown", 401},
		{"from the proxy itself", "", 401},
	} {
		answer := s.send(request{path: "/v1/webhooks/git", headers: []string{"X-Forwarded-For: " + c.from}})
		if answer.status != c.want || c.want == 401 && answer.body != unauthorized {
			t.Errorf("%s: %d %s, want %d", c.name, answer.status, answer.body, c.want)
		}
	}
	senders := []string{}
	for _, d := range s.publisher.take() {
		senders = append(senders, d.Sender)
	}
	if diff := cmp.Diff([]string{"192.0.2.7", "198.51.100.7", "192.0.2.8"}, senders); diff != "" {
		t.Errorf("senders (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(slices.Repeat([]string{"team/git SourceNotAllowed"}, 4), s.rejected.list); diff != "" {
		t.Errorf("the observer heard (-want +got):\n%s", diff)
	}
}

// postWhenAsked posts a body only when the server asks for it, and returns the status; 0 where there is no answer.
func (s *site) postWhenAsked(path, body string) int {
	connection, err := net.Dial("tcp", s.server.Addr().String())
	if err != nil {
		return 0
	}
	defer func() { _ = connection.Close() }()
	head := "POST " + path + " HTTP/1.1\r\n" + asUsual + "Expect: 100-continue\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if _, err := io.WriteString(connection, head); err != nil {
		return 0
	}
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	if err == nil && answer.StatusCode == http.StatusContinue {
		if _, err := io.WriteString(connection, body); err != nil {
			return 0
		}
		answer, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		return 0
	}
	return answer.StatusCode
}

// TestOneTenantLeavesOthersTheirShare keeps every delivery of one namespace waiting while others post.
func TestOneTenantLeavesOthersTheirShare(t *testing.T) {
	release, waiting := make(chan struct{}), make(chan struct{}, 1000)
	s := start(t, func(o *webhookserver.Options) {
		o.Publisher = &publisher{publish: func(_ context.Context, d delivery.Delivery) error {
			if d.Namespace == "team" {
				waiting <- struct{}{}
				<-release
			}
			return nil
		}}
	})
	other := func(h *webhookserver.Hook) { h.Namespace = "other" }
	s.program(hook("noisy"), hook("too"), hook("quiet", other))
	body := "{}" + strings.Repeat(" ", 1<<20-2)
	answers, got := make(chan int, 40), map[int]int{}
	for i := range 40 {
		path := []string{"/v1/webhooks/noisy", "/v1/webhooks/too"}[i%2]
		go func() { answers <- s.postWhenAsked(path, body) }()
		select {
		case <-waiting:
		case status := <-answers:
			got[status]++
		}
	}
	if status := s.send(request{path: "/v1/webhooks/quiet", body: body}).status; status != 202 {
		t.Errorf("another tenant: %d", status)
	}
	close(release)
	for range 40 - got[http.StatusServiceUnavailable] {
		got[<-answers]++
	}
	// A share is 24 MiB, and a body that grows to 1 MiB takes half of that beside it for a moment.
	if diff := cmp.Diff(map[int]int{503: 17, 202: 23}, got); diff != "" {
		t.Errorf("the noisy tenant (-want +got):\n%s", diff)
	}
}

// TestWhoSendsNoBodyKeepsNobodyOut has strangers say that they send the largest bodies, and send none, at as many urls as they
// like.
func TestWhoSendsNoBodyKeepsNobodyOut(t *testing.T) {
	s := serve(t, hook("git", signedBy(t, github(signingKey))), hook("large", func(h *webhookserver.Hook) { h.MaxBodySize = 7 << 20 }))
	for i := range 100 {
		connection, length := s.dial(), "Content-Length: "+strconv.Itoa(7<<20)
		if i%2 == 0 {
			length = "Transfer-Encoding: chunked"
		}
		head := "POST /v1/webhooks/none" + strconv.Itoa(i) + " HTTP/1.1\r\nHost: x\r\n" + length +
			"\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\nExpect: 100-continue\r\n\r\n"
		if _, err := io.WriteString(connection, head); err != nil {
			t.Fatal(err)
		}
		if status := s.answer(connection).status; status != http.StatusContinue {
			t.Fatalf("stranger %d: %d", i, status)
		}
	}
	body := `{"title": "x"}`
	honest := s.send(request{path: "/v1/webhooks/git", anonymous: true, body: body, headers: []string{hubSignature(signingKey, body)}})
	if honest.status != http.StatusAccepted {
		t.Errorf("a signed request meanwhile: %d %s", honest.status, honest.body)
	}
}
