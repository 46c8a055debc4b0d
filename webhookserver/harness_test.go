package webhookserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	system      = "hookstorm-system"
	systemToken = "matoken"
	teamToken   = "team-token"
	teamSender  = "team-sender" // scope send only
	otherToken  = "other-token"
)

// now is the time on the clock of every test server.
var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// publisher is a Publisher with the behaviour of a test; without one it keeps what it gets.
type publisher struct {
	publish func(ctx context.Context, d delivery.Delivery) error

	mu   sync.Mutex
	kept []delivery.Delivery
	once map[string]string // the delivery of an id
}

func (p *publisher) Publish(ctx context.Context, d delivery.Delivery) error {
	d.Payload = bytes.Clone(d.Payload)
	if p.publish != nil {
		return p.publish(ctx, d)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, d)
	return nil
}

// PublishOnce keeps what it gets first under an id.
func (p *publisher) PublishOnce(ctx context.Context, id string, d delivery.Delivery) (string, bool, error) {
	p.mu.Lock()
	first, duplicate := p.once[id]
	if !duplicate {
		if p.once == nil {
			p.once = map[string]string{}
		}
		first, p.once[id] = d.ID, d.ID
	}
	p.mu.Unlock()
	if duplicate {
		return first, true, nil
	}
	return first, false, p.Publish(ctx, d)
}

// take returns what was published since the last call.
func (p *publisher) take() []delivery.Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.kept
	p.kept = nil
	return kept
}

// rejections is an Observer that keeps what it hears.
type rejections struct {
	mu   sync.Mutex
	list []string
	used []string // the keys that admitted
}

func (r *rejections) Admitted(webhook string, key auth.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = append(r.used, webhook+" "+key.Secret+"/"+key.Name)
}

func (r *rejections) Rejected(namespace, webhook, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if webhook != "" {
		r.list = append(r.list, namespace+"/"+webhook+" "+reason)
	}
}

// site is a running server with its surroundings.
type site struct {
	t         *testing.T
	server    *webhookserver.Server
	routes    *webhookserver.Routes
	publisher *publisher
	rejected  *rejections
	log       *record
	stop      func()     // tells the server to stop
	stopped   chan error // what Start returned
}

// record keeps what the server logs, at every level.
type record struct {
	mu       sync.Mutex
	text     strings.Builder
	stopping chan struct{} // closed once the server says that it is no longer ready
}

func (r *record) write(prefix, args string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.WriteString(prefix + args + "\n")
	if strings.Contains(args, "no longer ready") {
		close(r.stopping)
	}
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// start runs a server for a test; change may alter its options.
func start(t *testing.T, change func(*webhookserver.Options)) *site {
	t.Helper()
	s := &site{t: t, routes: &webhookserver.Routes{}, publisher: &publisher{}, rejected: &rejections{},
		log: &record{stopping: make(chan struct{})}, stopped: make(chan error, 1)}
	options := webhookserver.Options{
		Routes: s.routes, Publisher: s.publisher, Observer: s.rejected, Now: func() time.Time { return now },
		Log: funcr.New(s.log.write, funcr.Options{Verbosity: 9}),
	}
	if change != nil {
		change(&options)
	}
	var err error
	if s.server, err = webhookserver.Listen("127.0.0.1:0", options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stopped <- s.server.Start(ctx)
		close(s.stopped)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

// serve runs a server with these webhooks and the usual tokens.
func serve(t *testing.T, hooks ...webhookserver.Hook) *site {
	t.Helper()
	s := start(t, nil)
	s.program(hooks...)
	return s
}

func (s *site) program(hooks ...webhookserver.Hook) {
	table, _ := webhookserver.Build(webhookserver.Input{Hooks: hooks, Tokens: tokens(), SystemNamespace: system, RuleVersion: 42})
	s.routes.Publish(table)
}

func tokens() []auth.Token {
	all := []auth.Scope{auth.ScopeSend, auth.ScopeList, auth.ScopeRead, auth.ScopeReplay}
	send := []auth.Scope{auth.ScopeSend}
	return []auth.Token{
		{Digest: auth.Digest([]byte(systemToken)), Key: auth.Key{Namespace: system, Secret: "all"}, Scopes: all},
		{Digest: auth.Digest([]byte(teamToken)), Key: auth.Key{Namespace: "team", Secret: "all"}, Scopes: all},
		{Digest: auth.Digest([]byte(teamSender)), Key: auth.Key{Namespace: "team", Secret: "senders"}, Scopes: send},
		{Digest: auth.Digest([]byte(otherToken)), Key: auth.Key{Namespace: "other", Secret: "all"}, Scopes: all},
		{Digest: auth.Digest([]byte("ended")), Key: auth.Key{Namespace: system, Secret: "old"}, Scopes: all, Expires: now},
		{Digest: auth.Digest([]byte("ending")), Key: auth.Key{Namespace: system, Secret: "old"}, Scopes: all, Expires: now.Add(time.Second)},
	}
}

// hook is a custom webhook of namespace team with the default authentication.
func hook(url string, change ...func(*webhookserver.Hook)) webhookserver.Hook {
	h := webhookserver.Hook{
		Key:  webhookserver.Key{Namespace: "team", URL: url},
		Name: strings.ReplaceAll(url, "/", "-"), UID: "uid-" + url,
		Auth:        []auth.Method{&auth.Tokens{}},
		MaxBodySize: 1 << 20,
		Since:       now,
	}
	for _, c := range change {
		c(&h)
	}
	return h
}

// generic is StackStorm's webhook st2.
func generic(change ...func(*webhookserver.Hook)) webhookserver.Hook {
	return hook("st2", append([]func(*webhookserver.Hook){func(h *webhookserver.Hook) {
		h.Namespace, h.Generic = system, true
	}}, change...)...)
}

// request is what a test sends; headers are "Name: value". Without a method it is a POST, and without "anonymous" it has
// the system token.
type request struct {
	method    string
	path      string
	headers   []string
	body      string
	anonymous bool
}

// response is what it got.
type response struct {
	status int
	header http.Header
	body   string
}

// fault returns the text of an error.
func (r response) fault(t *testing.T) string {
	t.Helper()
	var body struct {
		Faultstring *string `json:"faultstring"`
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || body.Faultstring == nil {
		t.Fatalf("no faultstring in %q", r.body)
	}
	return *body.Faultstring
}

func (s *site) send(q request) response {
	s.t.Helper()
	method := q.method
	if method == "" {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, "http://"+s.server.Addr().String()+q.path, strings.NewReader(q.body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, header := range q.headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Add(name, value)
	}
	if !q.anonymous {
		r.Header.Set("X-Auth-Token", systemToken)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	// Not a Client, which would follow a redirect.
	answer, err := transport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return readResponse(s.t, answer)
}

func readResponse(t *testing.T, answer *http.Response) response {
	t.Helper()
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Close {
		// The client library takes the header out.
		answer.Header.Set("Connection", "close")
	}
	return response{status: answer.StatusCode, header: answer.Header, body: string(body)}
}

// raw writes bytes to the server as they are, and reads one answer.
func (s *site) raw(text string) response {
	s.t.Helper()
	connection := s.dial()
	if _, err := io.WriteString(connection, text); err != nil {
		s.t.Fatal(err)
	}
	return s.answer(connection)
}

func (s *site) dial() net.Conn {
	s.t.Helper()
	connection, err := net.Dial("tcp", s.server.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func (s *site) answer(connection net.Conn) response {
	s.t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return readResponse(s.t, answer)
}
