package webhookserver_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

func TestAPortInUseIsAClearError(t *testing.T) {
	s := serve(t)
	addr := s.server.Addr().String()
	_, err := webhookserver.Listen(addr, webhookserver.Options{})
	if err == nil || !strings.Contains(err.Error(), "listening for webhooks on "+addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v", err)
	}
}

func TestBeforeTheFirstTableEverythingIs503(t *testing.T) {
	s := start(t, nil)
	if s.server.Ready(nil) == nil {
		t.Error("ready without a table")
	}
	for _, path := range []string{"/v1/webhooks/git", "/v1/webhooks", "/nothing"} {
		got := s.send(request{method: "GET", path: path})
		if got.status != 503 || got.header.Get("Retry-After") == "" || got.fault(t) == "" {
			t.Errorf("%s: %d %v %s", path, got.status, got.header, got.body)
		}
	}
	s.program(hook("git"))
	if err := s.server.Ready(nil); err != nil {
		t.Errorf("not ready with a table: %v", err)
	}
	if got := s.send(request{path: "/v1/webhooks/git"}); got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestRequestsUnderWayGetTheirAnswer(t *testing.T) {
	publishing, store := make(chan struct{}), make(chan struct{})
	s := start(t, func(o *webhookserver.Options) {
		o.Publisher = &publisher{publish: func(ctx context.Context, _ delivery.Delivery) error {
			close(publishing)
			<-store
			return ctx.Err()
		}}
	})
	s.program(hook("git"))
	connection := s.dial()
	if _, err := io.WriteString(connection, "POST /v1/webhooks/git HTTP/1.1\r\nHost: x\r\nX-Auth-Token: "+systemToken+"\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-publishing
	s.stop()
	<-s.log.stopping
	if s.server.Ready(nil) == nil {
		t.Error("ready while stopping")
	}
	select {
	case err := <-s.stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	default:
	}
	close(store)
	if got := s.answer(connection); got.status != 202 || got.header.Get("Connection") != "close" {
		t.Errorf("got %d %v %s", got.status, got.header, got.body)
	}
	if err := <-s.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestTheServerServesForAWhileAfterItStoppedBeingReady(t *testing.T) {
	s := start(t, func(o *webhookserver.Options) { o.ShutdownDelay = 300 * time.Millisecond })
	s.program(hook("git"))
	s.stop()
	<-s.log.stopping
	if s.server.Ready(nil) == nil {
		t.Error("ready while stopping")
	}
	if got := s.send(request{path: "/v1/webhooks/git"}); got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if err := <-s.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if _, err := http.Get("http://" + s.server.Addr().String()); err == nil {
		t.Error("still serving")
	}
}

// TestRawRequests sends what no client library would.
func TestRawRequests(t *testing.T) {
	s := serve(t, hook("git"), hook("a/b"))
	const token = "X-Auth-Token: " + systemToken + "\r\n"
	for _, c := range []struct {
		name, head string // up to the headers
		want       int
	}{
		{"a claimed path", "POST /v1/webhooks/a/b HTTP/1.1", 202},
		{"the absolute form", "POST http://evil.example/v1/webhooks/git HTTP/1.1", 202},
		{"an encoded slash", "POST /v1/webhooks/a%2fb HTTP/1.1", 404},
		{"an encoded letter", "POST /v1/webhooks/%67it HTTP/1.1", 404},
		{"dots", "POST /v1/webhooks/x/../git HTTP/1.1", 404},
		{"a dot", "POST /v1/webhooks/./git HTTP/1.1", 404},
		{"encoded dots", "POST /v1/webhooks/x/%2e%2e/git HTTP/1.1", 404},
		{"doubled slashes", "POST /v1/webhooks//git HTTP/1.1", 404},
		{"doubled slashes at the end", "POST /v1/webhooks/git// HTTP/1.1", 404},
		{"doubled slashes in front", "POST //v1/webhooks/git HTTP/1.1", 404},
		{"a semicolon", "POST /v1/webhooks/git;x HTTP/1.1", 404},
		{"an encoded NUL", "POST /v1/webhooks/git%00 HTTP/1.1", 404},
		{"a backslash", "POST /v1/webhooks\\git HTTP/1.1", 404},
		{"bytes that are not ASCII", "POST /v1/webhooks/g\u00eft HTTP/1.1", 404},
		{"another case", "POST /v1/webhooks/GIT HTTP/1.1", 404},
		{"dots before the prefix", "POST /x/../v1/webhooks/git HTTP/1.1", 404},
		{"an asterisk", "OPTIONS * HTTP/1.1", 404},
		{"a tunnel", "CONNECT git:80 HTTP/1.1", 404},
		{"HTTP/1.0", "POST /v1/webhooks/git HTTP/1.0", 202},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0", 404},
	} {
		got := s.raw(c.head + "\r\nHost: x\r\n" + token + "Content-Length: 0\r\n\r\n")
		if got.status != c.want || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.want)
		}
	}
	connection := s.dial()
	if _, err := io.WriteString(connection, "POST /v1/webhooks/git HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 24<<10)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(connection).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 431 ") {
		t.Errorf("24 KiB of headers: %q %v", line, err)
	}
}

// TestNoSecondRequestHidesInTheFirst sends two requests on one connection; the second must not be answered where servers
// and proxies may disagree on where the first one ends.
func TestNoSecondRequestHidesInTheFirst(t *testing.T) {
	s := serve(t, hook("git"))
	const head = "POST /v1/webhooks/git HTTP/1.1\r\nHost: x\r\nX-Auth-Token: " + systemToken + "\r\n"
	const second = head + "Content-Length: 0\r\n\r\n"
	for _, c := range []struct {
		name, first string
		answers     int
	}{
		{"a length", head + "Content-Length: 2\r\n\r\n{}", 2},
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 1},
		{"chunked and a length", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1},
		{"a refused request whose body is unread", "POST /v1/webhooks/git HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 1},
		{"a refused request whose body is read", head + "Content-Length: 1\r\n\r\n{", 2},
		{"a list with a body", "GET" + strings.TrimPrefix(strings.Replace(head, "/git", "", 1), "POST") + "Content-Length: 2\r\n\r\n{}", 1},
	} {
		connection := s.dial()
		if _, err := io.WriteString(connection, c.first+second); err != nil {
			t.Fatal(err)
		}
		reader, answers := bufio.NewReader(connection), 0
		_ = connection.SetReadDeadline(time.Now().Add(5 * time.Second))
		for answers < 2 {
			answer, err := http.ReadResponse(reader, nil)
			if err != nil {
				break
			}
			readResponse(t, answer)
			answers++
		}
		if answers != c.answers {
			t.Errorf("%s: %d answers, want %d", c.name, answers, c.answers)
		}
	}
}

// TestNothingSecretIsLogged makes the server log everything it can, with every place of a credential filled.
func TestNothingSecretIsLogged(t *testing.T) {
	var stored atomic.Int32
	s := start(t, func(o *webhookserver.Options) {
		o.Publisher = &publisher{publish: func(context.Context, delivery.Delivery) error {
			if stored.Add(1) <= 2 {
				return errors.New("disk full")
			}
			panic("CANARY")
		}}
	})
	s.program(hook("git", func(h *webhookserver.Hook) { h.Auth = []auth.Method{auth.Anonymous{}} }))
	post := request{
		path:    "/v1/webhooks/git?x-auth-token=CANARY&st2-api-key=CANARY",
		headers: []string{"St2-Api-Key: CANARY", "Authorization: Bearer CANARY", "Cookie: CANARY", "X-Hub-Signature: CANARY"},
		body:    `{"CANARY": 1}`,
	}
	for range 3 {
		s.send(post)
	}
	s.raw("POST /v1/webhooks/git HTTP/1.1\r\nHost: x\r\nX-Auth-Token CANARY\r\n\r\n")
	s.stop()
	if err := <-s.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if text := s.log.String(); strings.Contains(text, "CANARY") || strings.Count(text, "disk full") != 1 || !strings.Contains(text, "panic") {
		t.Errorf("logged:\n%s", text)
	}
}
