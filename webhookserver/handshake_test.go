package webhookserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
)

// confirmations is a Confirmer that keeps the urls.
type confirmations struct {
	urls []string
	err  error
}

func (c *confirmations) Confirm(_ context.Context, url string) error {
	c.urls = append(c.urls, url)
	return c.err
}

const (
	slackQuestion     = `{"type": "url_verification", "token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}`
	eventGridQuestion = `[{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6", "validationUrl": "https://evil.example"}}]`
	snsQuestion       = `{"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"}`
)

var eventGridHeader = []string{"Aeg-Event-Type: SubscriptionValidation"}

func TestHandshakesAreAnswered(t *testing.T) {
	confirmer := &confirmations{}
	s := start(t, func(o *webhookserver.Options) { o.Confirmer = confirmer })
	s.program(hook("all", func(h *webhookserver.Hook) {
		h.Handshakes = webhookserver.Handshakes{Slack: true, EventGrid: true, SNS: true}
	}))
	for name, c := range map[string]struct {
		body, contentType, want string
		headers                 []string
	}{
		"Slack":      {slackQuestion, "text/plain; charset=utf-8", "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", nil},
		"Event Grid": {eventGridQuestion, "application/json", `{"validationResponse": "512d38b6"}`, eventGridHeader},
		"Amazon SNS": {snsQuestion, "application/json", "{}", nil},
	} {
		got := s.send(request{path: "/v1/webhooks/all", body: c.body, headers: c.headers})
		if got.status != http.StatusOK || got.body != c.want || got.header.Get("Content-Type") != c.contentType {
			t.Errorf("%s: %d %s %q", name, got.status, got.header.Get("Content-Type"), got.body)
		}
		if len(s.publisher.take()) != 0 {
			t.Errorf("%s is a delivery", name)
		}
	}
	if diff := cmp.Diff([]string{"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"}, confirmer.urls); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}

func TestAHandshakeThatNobodyAskedForIsADelivery(t *testing.T) {
	s := serve(t, hook("git"))
	for _, body := range []string{slackQuestion, eventGridQuestion, snsQuestion} {
		got := s.send(request{path: "/v1/webhooks/git", body: body, headers: eventGridHeader})
		if got.status != http.StatusAccepted || len(s.publisher.take()) != 1 {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

func TestAHandshakeComesAfterAuthentication(t *testing.T) {
	s := serve(t, hook("all", func(h *webhookserver.Hook) {
		h.Handshakes = webhookserver.Handshakes{Slack: true, EventGrid: true, SNS: true}
	}))
	for _, body := range []string{slackQuestion, eventGridQuestion, snsQuestion} {
		if got := s.send(request{path: "/v1/webhooks/all", body: body, headers: eventGridHeader, anonymous: true}); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
}

func TestASubscriptionThatCannotBeConfirmedIsTriedAgain(t *testing.T) {
	s := start(t, func(o *webhookserver.Options) { o.Confirmer = &confirmations{err: errors.New("no answer")} })
	s.program(hook("sns", func(h *webhookserver.Hook) { h.Handshakes.SNS = true }))
	got := s.send(request{path: "/v1/webhooks/sns", body: snsQuestion})
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || strings.Contains(got.body, "answer") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestAnOriginIsPermittedToSendCloudEvents(t *testing.T) {
	origins := func(rate int, origins ...string) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Handshakes.Origins, h.Handshakes.RequestsPerMinute = origins, rate }
	}
	s := serve(t, hook("azure", origins(120, "eventgrid.azure.net")), hook("any", origins(0, "*")), hook("git"))
	for name, c := range map[string]struct {
		path, origin string
		status       int
		rate         string
	}{
		"an origin that may":     {"azure", "eventgrid.azure.net", 200, "120"},
		"any origin":             {"any", "somebody.example", 200, "*"},
		"an origin that may not": {"azure", "evil.example", 401, ""},
		"no origin":              {"any", "", 401, ""},
		"nobody asked for it":    {"git", "eventgrid.azure.net", 401, ""},
	} {
		got := s.send(request{method: "OPTIONS", path: "/v1/webhooks/" + c.path, anonymous: true, headers: []string{
			"WebHook-Request-Origin: " + c.origin, "WebHook-Request-Callback: https://evil.example", "WebHook-Request-Rate: 1000",
		}})
		if got.status != c.status || got.header.Get("WebHook-Allowed-Rate") != c.rate {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
		if c.status == 200 && (got.header.Get("WebHook-Allowed-Origin") != c.origin || got.header.Get("Allow") != "POST" || got.body != "") {
			t.Errorf("%s: %v %q", name, got.header, got.body)
		}
	}
}
