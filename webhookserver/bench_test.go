package webhookserver

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

type storeNothing struct{ Publisher }

func (storeNothing) Publish(context.Context, delivery.Delivery) error { return nil }

// discard is a ResponseWriter that keeps only the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// benchmarkHandler serves one custom and one generic webhook of namespace team, beside a thousand others.
func benchmarkHandler() *handler {
	methods := []auth.Method{&auth.Tokens{}}
	hooks := []Hook{
		{Key: Key{Namespace: "team", URL: "git"}, Name: "git", Auth: methods},
		{Key: Key{Namespace: "team", URL: "st2"}, Name: "st2", Auth: methods, Generic: true},
	}
	for i := range 1000 {
		hooks = append(hooks, Hook{Key: Key{Namespace: "team", URL: "git/" + strings.Repeat("x", i%190) + string(rune('a'+i/190))}})
	}
	table, _ := Build(Input{Hooks: hooks, SystemNamespace: "system", Tokens: []auth.Token{
		{Digest: auth.Digest([]byte("secret")), Key: auth.Key{Namespace: "team", Secret: "s"}, Scopes: []auth.Scope{auth.ScopeSend}},
	}})
	routes := &Routes{}
	routes.Publish(table)
	return newHandler(Options{Routes: routes, Publisher: storeNothing{}, Log: logr.Discard()})
}

// BenchmarkAccept is what a delivery costs from the parsed head to the answer, without the network and the queue.
func BenchmarkAccept(b *testing.B) {
	object := `{"action": "closed", "number": 9007199254740993, "title": "` + strings.Repeat("x", 940) + `"}`
	for _, c := range []struct{ name, path, contentType, body string }{
		{"custom JSON", "/v1/webhooks/git", "application/json", object},
		{"custom form", "/v1/webhooks/git", "application/x-www-form-urlencoded", "a=b&payload=" + strings.Repeat("x", 1000)},
		{"generic JSON", "/v1/webhooks/st2", "application/json", `{"trigger": "a.b", "payload": ` + object + `}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := benchmarkHandler()
			sent, token := []byte(c.body), []string{"secret"}
			body := bytes.NewReader(sent)
			r, err := http.NewRequest(http.MethodPost, c.path, io.NopCloser(body))
			if err != nil {
				b.Fatal(err)
			}
			r.ContentLength, r.Host, r.RemoteAddr = int64(len(c.body)), "hooks.example", "192.0.2.1:4711"
			for name, value := range map[string]string{
				"Content-Type": c.contentType, "User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*",
				"X-Github-Event": "pull_request", "X-Github-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
			} {
				r.Header.Set(name, value)
			}
			w := &discard{header: http.Header{}}
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(sent)
				r.Header["X-Auth-Token"] = token
				clear(w.header)
				h.ServeHTTP(w, r)
				if w.status != http.StatusAccepted {
					b.Fatal(w.status)
				}
			}
		})
	}
}
