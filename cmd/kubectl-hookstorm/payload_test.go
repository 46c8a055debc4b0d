package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const token = "token"

// accepted is a Publisher that passes on what was accepted.
type accepted chan delivery.Delivery

func (a accepted) Publish(_ context.Context, d delivery.Delivery) error {
	d.Payload = bytes.Clone(d.Payload)
	a <- d
	return nil
}

func (a accepted) PublishOnce(ctx context.Context, _ string, d delivery.Delivery) (string, bool, error) {
	return d.ID, false, a.Publish(ctx, d)
}

type nobody struct{}

func (nobody) Rejected(_, _, _ string)   {}
func (nobody) Admitted(string, auth.Key) {}

// serve runs HookStorm's server with a webhook sample, and returns its address.
func serve(t *testing.T, publisher webhookserver.Publisher) string {
	t.Helper()
	routes := &webhookserver.Routes{}
	table, _ := webhookserver.Build(webhookserver.Input{
		Hooks: []webhookserver.Hook{{
			Key: webhookserver.Key{Namespace: "ci", URL: "sample"}, Name: "sample", Since: time.Now(),
			Auth: []auth.Method{&auth.Tokens{}},
		}},
		Tokens: []auth.Token{{
			Digest: auth.Digest([]byte(token)), Key: auth.Key{Namespace: "ci", Secret: "s"}, Scopes: []auth.Scope{auth.ScopeSend},
		}},
	})
	routes.Publish(table)
	server, err := webhookserver.Listen("127.0.0.1:0", webhookserver.Options{
		Routes: routes, Publisher: publisher, Observer: nobody{}, Log: logr.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return server.Addr().String()
}

func TestAPayloadIsWhatTheServerMakesOfTheRequest(t *testing.T) {
	deliveries := make(accepted, 1)
	address := serve(t, deliveries)
	secret := make([]string, len(withheld))
	for i, name := range withheld {
		secret[i] = name + ": x"
	}
	tests := map[string]struct {
		body    string
		headers []string
	}{
		"an object":               {`{"b": 1.0, "a": [12345678901234567890]}`, nil},
		"a list":                  {`[1, 2]`, []string{"Content-Type: application/json; charset=utf-8"}},
		"nothing":                 {"", nil},
		"headers":                 {"{}", []string{"x-github-event: push", "ETag: 5", "x-foo2bar: baz", "A: 1", "a: 2", "x_y: 3"}},
		"values of headers":       {"{}", []string{"X-Empty:", "X-Colon: a: b", "X-Quoted: \"\\ <&>"}},
		"secrets":                 {"{}", secret},
		"a form":                  {"a=1&b=x+y&a=2&blank=&%C3%A9=%26", []string{"Content-Type: application/x-www-form-urlencoded"}},
		"a form without contents": {"", []string{"content-type: application/x-www-form-urlencoded"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Host: hooks.example.com", "X-Request-ID: r1"}, test.headers...)
			got, err := newWebhookPayload([]byte(test.body), headers)
			if err != nil {
				t.Fatal(err)
			}
			post(t, "http://"+address+"/v1/webhooks/sample", test.body, headers)
			want := <-deliveries
			if diff := cmp.Diff(decoded(t, want.Payload), decoded(t, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func post(t *testing.T, url, body string, headers []string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	request.Host = request.Header.Get("Host")
	request.Header.Set("X-Auth-Token", token)
	// What the client would add by itself.
	request.Header["User-Agent"] = nil
	response, err := (&http.Transport{DisableCompression: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("status %s", response.Status)
	}
}

func decoded(t *testing.T, document []byte) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(document)))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	return value
}

func TestBodiesThatTheServerRefuses(t *testing.T) {
	tests := map[string]struct{ body, contentType, want string }{
		"no JSON":              {"{", "", "--body: not a JSON document"},
		"a number":             {"5", "", "--body: the server takes objects and lists only"},
		"another content type": {"<a/>", "text/xml", "--body: the content type text/xml cannot be tested; write the whole payload and name it with --payload"},
		"no content type":      {"{}", "/", "--body: the header Content-Type: mime: no media type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newWebhookPayload([]byte(test.body), []string{"Content-Type: " + test.contentType})
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}
