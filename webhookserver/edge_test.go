package webhookserver_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver"
)

const (
	postGit = "POST /v1/webhooks/git HTTP/1.1\r\n"
	asUsual = "Host: x\r\nX-Auth-Token: " + systemToken + "\r\n"
	chunked = "Transfer-Encoding: chunked\r\n"
)

// run runs a server that is changed before it starts.
func (s *site) run(o webhookserver.Options, change func(*webhookserver.Server)) {
	s.t.Helper()
	var err error
	if s.server, err = webhookserver.Listen("127.0.0.1:0", o); err != nil {
		s.t.Fatal(err)
	}
	change(s.server)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.server.Start(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("stopped with %v", err)
		}
	})
}

// impatient runs a server with the webhook git that loses its patience soon.
func impatient(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, routes: &webhookserver.Routes{}}
	s.run(webhookserver.Options{Routes: s.routes, Publisher: &publisher{}}, func(server *webhookserver.Server) {
		// An answer has longer than the body before it, or who sends slowly would not be told.
		server.Hurry(hurry, hurry, 1<<10, 3*hurry, hurry)
	})
	s.program(hook("git"))
	return s
}

// hurry is the patience of an impatient server: more than an honest sender on this machine needs, and short for a test.
const hurry = 700 * time.Millisecond

// statuses sends bytes, then the end of all bytes, and returns the statuses of the answers until the server ends too.
func (s *site) statuses(text string) []int {
	s.t.Helper()
	connection := s.dial()
	// The server may have answered and left before it has everything.
	_, _ = io.WriteString(connection, text)
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	reader := bufio.NewReader(connection)
	statuses := []int{}
	for {
		answer, err := http.ReadResponse(reader, nil)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.t.Errorf("the connection is still open after %v", statuses)
		}
		if err != nil {
			return statuses
		}
		statuses = append(statuses, answer.StatusCode)
		if location := answer.Header.Get("Location"); location != "" || answer.StatusCode/100 == 3 {
			s.t.Errorf("redirected to %q", location)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return statuses
		}
	}
}

// TestNoRequestHidesInAnother sends what servers have disagreed about, then a second request. A second answer is fine only
// where there is no doubt about where the first request ends.
func TestNoRequestHidesInAnother(t *testing.T) {
	s := serve(t, hook("git"))
	const second = postGit + asUsual + "Content-Length: 0\r\n\r\n"
	for _, c := range []struct {
		name, first string
		want        []int
	}{
		{"a length", "Content-Length: 2\r\n\r\n{}", []int{202, 202}},
		{"no body", "\r\n", []int{202, 202}},
		{"chunked", chunked + "\r\n2\r\n{}\r\n0\r\n\r\n", []int{202}},
		{"chunked in capitals", "Transfer-Encoding: CHUNKED\r\n\r\n2\r\n{}\r\n0\r\n\r\n", []int{202}},
		{"a length and chunked", "Content-Length: 4\r\n" + chunked + "\r\n0\r\n\r\n", []int{202}},
		{"chunked and a length", chunked + "Content-Length: 4\r\n\r\n0\r\n\r\n", []int{202}},
		{"two lengths that differ", "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", []int{400}},
		{"two lengths in one header that differ", "Content-Length: 2, 3\r\n\r\n{}", []int{400}},
		{"the same length twice", "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", []int{202, 202}},
		{"the same length twice in one header", "Content-Length: 2, 2\r\n\r\n{}", []int{400}},
		{"a length with a sign", "Content-Length: +2\r\n\r\n{}", []int{400}},
		{"a length below zero", "Content-Length: -2\r\n\r\n{}", []int{400}},
		{"a length in hexadecimal", "Content-Length: 0x2\r\n\r\n{}", []int{400}},
		{"a length with an underscore", "Content-Length: 1_0\r\n\r\n{}", []int{400}},
		{"a length that is no number", "Content-Length: two\r\n\r\n{}", []int{400}},
		{"an empty length", "Content-Length:\r\n\r\n{}", []int{400}},
		{"a length that no number holds", "Content-Length: 99999999999999999999\r\n\r\n{}", []int{400}},
		{"a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", []int{400}},
		{"a space before the colon of a length", "Content-Length : 2\r\n\r\n{}", []int{400}},
		{"an unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", []int{501}},
		{"a coding before chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", []int{501}},
		{"chunked twice", chunked + chunked + "\r\n0\r\n\r\n", []int{501}},
		{"no coding", "Transfer-Encoding: identity\r\n\r\n", []int{501}},
		{"an empty coding", "Transfer-Encoding:\r\n\r\n", []int{501}},
		{"a coding in a second line", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", []int{202}},
		{"a length in a second line", "X-A: b\r\n Content-Length: 40\r\n\r\n", []int{202, 202}},
		{"a line feed alone after a chunk's size", chunked + "\r\n2\n{}\r\n0\r\n\r\n", []int{400}},
		{"a line feed alone in an extension", chunked + "\r\n2;\n{}\r\n0\r\n\r\n", []int{400}},
		{"a line feed alone after a chunk", chunked + "\r\n2\r\n{}\n0\r\n\r\n", []int{400}},
		{"a chunk without an end", chunked + "\r\n2\r\n{}XX0\r\n\r\n", []int{400}},
		{"a chunk's size that no number holds", chunked + "\r\n10000000000000002\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"a chunk's size with a sign", chunked + "\r\n+2\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"a chunk's size with a prefix", chunked + "\r\n0x2\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"no size of a chunk", chunked + "\r\n\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"extensions beyond measure", chunked + "\r\n2;" + strings.Repeat("x", 8<<10) + "\r\n{}\r\n0\r\n\r\n", []int{400}},
		{"a trailer", chunked + "\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n", []int{202}},
		{"chunked in HTTP/1.0", "HTTP/1.0", []int{202}},
		{"more than its length", "Content-Length: 2\r\n\r\n{}{}", []int{202, 400}},
		{"another length for proxies", "Content-Length: 0\r\nX-Content-Length: 90\r\n\r\n", []int{202, 202}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			text := postGit + asUsual + c.first + second
			if c.first == "HTTP/1.0" {
				text = strings.Replace(postGit, "1.1", "1.0", 1) + asUsual + chunked + "\r\n0\r\n\r\n" + second
			}
			got := s.statuses(text)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			stored := 0
			for _, status := range got {
				if status == 202 {
					stored++
				}
			}
			if deliveries := s.publisher.take(); len(deliveries) != stored {
				t.Errorf("%d deliveries for %v", len(deliveries), got)
			}
		})
	}
}

// TestRequestsThatAreNone sends what is no request, or one that no webhook takes.
func TestRequestsThatAreNone(t *testing.T) {
	s := serve(t, hook("git"))
	for _, c := range []struct {
		name, text string
		want       []int
	}{
		{"no host", postGit + "X-Auth-Token: " + systemToken + "\r\n\r\n", []int{400}},
		{"two hosts", postGit + asUsual + "Host: y\r\n\r\n", []int{400}},
		{"a host that is none", postGit + strings.Replace(asUsual, "Host: x", "Host: x y", 1) + "\r\n", []int{400}},
		{"a header without a colon", postGit + asUsual + "X-A\r\n\r\n", []int{400}},
		{"a header without a name", postGit + asUsual + ": x\r\n\r\n", []int{400}},
		{"a name with a space", postGit + asUsual + "X A: b\r\n\r\n", []int{400}},
		{"a NUL in a header", postGit + asUsual + "X-A: b\x00\r\n\r\n", []int{400}},
		{"a carriage return in a header", postGit + asUsual + "X-A: b\rX-B: c\r\n\r\n", []int{400}},
		{"a head that starts with a space", postGit + " X-A: b\r\n" + asUsual + "\r\n", []int{400}},
		{"a space in the path", "POST /v1/webhooks/git x HTTP/1.1\r\n" + asUsual + "\r\n", []int{400}},
		{"a bad escape in the path", "POST /v1/webhooks/%zz HTTP/1.1\r\n" + asUsual + "\r\n", []int{400}},
		{"a control character in the path", "POST /v1/webhooks/g\x01t HTTP/1.1\r\n" + asUsual + "\r\n", []int{400}},
		{"a path without a slash", "POST v1/webhooks/git HTTP/1.1\r\n" + asUsual + "\r\n", []int{400}},
		{"overlong UTF-8", "POST /v1/webhooks/..%c0%afgit HTTP/1.1\r\n" + asUsual + "\r\n", []int{404}},
		{"the path of another scheme", "POST file:///v1/webhooks/git HTTP/1.1\r\n" + asUsual + "\r\n", []int{404}},
		{"a fragment", "POST /v1/webhooks/git%23 HTTP/1.1\r\n" + asUsual + "\r\n", []int{404}},
		{"a method in small letters", strings.Replace(postGit, "POST", "post", 1) + asUsual + "\r\n", []int{405}},
		{"a method that echoes", strings.Replace(postGit, "POST", "TRACE", 1) + asUsual + "\r\n", []int{405}},
		{"no method", strings.TrimPrefix(postGit, "POST") + asUsual + "\r\n", []int{400}},
		{"HTTP/0.9", "POST /v1/webhooks/git\r\n\r\n", []int{400}},
		{"HTTP/1.9", strings.Replace(postGit, "1.1", "1.9", 1) + asUsual + "\r\n", []int{202}},
		{"HTTP/3", strings.Replace(postGit, "1.1", "3.0", 1) + asUsual + "\r\n", []int{505}},
		{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{404}},
		{"an upgrade to HTTP/2", postGit + asUsual + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", []int{202}},
		{"an upgrade to a websocket", postGit + asUsual + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{202}},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		{"an expectation that is none", postGit + asUsual + "Expect: cookies\r\n\r\n", []int{417}},
		{"a request from a page of another site", postGit + "Host: x\r\nOrigin: https://evil.example\r\n\r\n", []int{401}},
		{"a token in a trailer", postGit + "Host: x\r\n" + chunked + "\r\n0\r\nX-Auth-Token: " + systemToken + "\r\n\r\n", []int{401}},
		{"as many headers as may be", postGit + asUsual + strings.Repeat("A: b\r\n", 98) + "\r\n", []int{202}},
		{"more", postGit + asUsual + strings.Repeat("A: b\r\n", 101) + "\r\n", []int{431}},
		{"ten thousand", postGit + asUsual + strings.Repeat("A: b\r\n", 10_000) + "\r\n", []int{431}},
		{"a large header", postGit + asUsual + "A: " + strings.Repeat("b", 24<<10) + "\r\n\r\n", []int{431}},
		{"a large path", "POST /v1/webhooks/" + strings.Repeat("x", 24<<10) + " HTTP/1.1\r\n" + asUsual + "\r\n", []int{431}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			if diff := cmp.Diff(c.want, s.statuses(c.text)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			for _, d := range s.publisher.take() {
				if d.URL != "git" {
					t.Errorf("a delivery to %q", d.URL)
				}
			}
		})
	}
}

// compressed returns very little for very many bytes.
func compressed(t *testing.T, size int) string {
	t.Helper()
	var text bytes.Buffer
	w := gzip.NewWriter(&text)
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestBodyBombs sends bodies that are, or say that they are, larger than anybody has memory for.
func TestBodyBombs(t *testing.T) {
	s := serve(t, hook("git"))
	mega := strings.Repeat("10000\r\n"+strings.Repeat(" ", 64<<10)+"\r\n", 16)
	bomb := compressed(t, 16<<20)
	length := func(n int) string { return "Content-Length: " + strconv.Itoa(n) + "\r\n" }
	for _, c := range []struct {
		name, text string
		want       []int
	}{
		{"as large as may be", asUsual + length(1<<20) + "\r\n{}" + strings.Repeat(" ", 1<<20-2), []int{202}},
		{"one byte more", asUsual + length(1<<20+1) + "\r\n{}" + strings.Repeat(" ", 1<<20-1), []int{413}},
		{"as large as may be, in chunks", asUsual + chunked + "\r\n" + strings.Replace(mega, "  ", "{}", 1) + "0\r\n\r\n", []int{202}},
		{"one byte more, in chunks", asUsual + chunked + "\r\n" + strings.Replace(mega, "  ", "{}", 1) + "1\r\n \r\n0\r\n\r\n", []int{413}},
		{"chunks without an end", asUsual + chunked + "\r\n" + strings.Repeat(mega, 4), []int{413}},
		{"exabytes", asUsual + "Content-Length: 9000000000000000000\r\n\r\n{", []int{413}},
		{"exabytes of a stranger", "Host: x\r\nContent-Length: 9000000000000000000\r\n\r\n{", []int{401}},
		{"exabytes that wait to be asked for", asUsual + "Content-Length: 9000000000000000000\r\nExpect: 100-continue\r\n\r\n", []int{413}},
		{"a body that a stranger waits to be asked for", "Host: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", []int{401}},
		{"less than said", asUsual + length(100) + "\r\n{}", []int{400}},
		{"chunks that end early", asUsual + chunked + "\r\n64\r\n{}", []int{400}},
		{"compressed", asUsual + "Content-Encoding: gzip\r\n" + length(len(bomb)) + "\r\n" + bomb, []int{400}},
		{"compressed twice", asUsual + "Content-Encoding: gzip, gzip\r\n" + length(len(bomb)) + "\r\n" + bomb, []int{400}},
		{"compressed without saying so", asUsual + length(len(bomb)) + "\r\n" + bomb, []int{400}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			if diff := cmp.Diff(c.want, s.statuses(postGit+c.text)); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSlowSenders are let go, each at its time; what they are sent first is the answer, if there is one.
func TestSlowSenders(t *testing.T) {
	s := impatient(t)
	for _, c := range []struct {
		name        string
		text, again string // again is sent as long as the connection lives
		want        string // of the first line
	}{
		{"nothing at all", "", "", ""},
		{"a head without an end", postGit + "Host: x\r\n", "", ""},
		{"a head that dribbles", postGit + "Host: x\r\n", "A: b\r\n", ""},
		{"a body that does not come", postGit + asUsual + "Content-Length: 9\r\n\r\n", "", "HTTP/1.1 408 Request Timeout"},
		{"a body that stops", postGit + asUsual + "Content-Length: 9\r\n\r\n{", "", "HTTP/1.1 408 Request Timeout"},
		{"a body that dribbles", postGit + asUsual + "Content-Length: 900000\r\n\r\n{", " ", "HTTP/1.1 408 Request Timeout"},
		{"chunks that dribble", postGit + asUsual + chunked + "\r\n", "1\r\n \r\n", "HTTP/1.1 408 Request Timeout"},
		{"a stranger's body that does not come", postGit + "Host: x\r\nContent-Length: 9\r\n\r\n", "", "HTTP/1.1 401 Unauthorized"},
		{"nothing after a request", postGit + asUsual + "Content-Length: 2\r\n\r\n{}", "", "HTTP/1.1 202 Accepted"},
		{"a second head without an end", postGit + asUsual + "Content-Length: 2\r\n\r\n{}" + postGit, "", "HTTP/1.1 202 Accepted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			connection, err := net.Dial("tcp", s.server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			if _, err := io.WriteString(connection, c.text); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			defer close(ended)
			go dribble(connection, c.again, ended)
			_ = connection.SetReadDeadline(time.Now().Add(20 * hurry))
			text, err := io.ReadAll(connection)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still open")
			}
			if first, _, _ := strings.Cut(string(text), "\r\n"); first != c.want {
				t.Errorf("got %q, want %q", first, c.want)
			}
		})
	}
}

// dribble writes a few bytes every now and then.
func dribble(to io.Writer, text string, until <-chan struct{}) {
	tick := time.NewTicker(hurry / 10)
	defer tick.Stop()
	for text != "" {
		select {
		case <-until:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(to, text); err != nil {
			return
		}
	}
}

// TestWhoDoesNotReadItsAnswersIsLetGo sends requests whose answers fill every buffer between the two.
func TestWhoDoesNotReadItsAnswersIsLetGo(t *testing.T) {
	s := impatient(t)
	connection := s.dial()
	body := `{"` + strings.Repeat("x", 60<<10) + `": 1}`
	text := postGit + asUsual + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	_ = connection.SetWriteDeadline(time.Now().Add(20 * time.Second))
	for range 10_000 {
		_, err := io.WriteString(connection, text)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection is still open")
		}
		if err != nil {
			return
		}
	}
	t.Error("everything was taken")
}

// TestTLSConnectionsAreTreatedAlike posts over TLS, and then does not shake hands.
func TestTLSConnectionsAreTreatedAlike(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	certified.Close()
	s := &site{t: t, routes: &webhookserver.Routes{}}
	options := webhookserver.Options{
		Routes: s.routes, Publisher: &publisher{}, TLS: &tls.Config{Certificates: certified.TLS.Certificates},
	}
	s.run(options, func(server *webhookserver.Server) { server.Hurry(hurry, hurry, 1<<10, 3*hurry, hurry) })
	s.program(hook("git"))
	plain := s.dial()
	secured := tls.Client(s.dial(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if _, err := io.WriteString(secured, postGit+asUsual+"Content-Length: 2\r\n\r\n{}"); err != nil {
		t.Fatal(err)
	}
	if got := s.answer(secured); got.status != 202 {
		t.Errorf("over TLS: %d %s", got.status, got.body)
	}
	for name, connection := range map[string]net.Conn{"a handshake that does not come": plain, "nothing after a request": secured} {
		_ = connection.SetReadDeadline(time.Now().Add(20 * hurry))
		if _, err := io.Copy(io.Discard, connection); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still open", name)
		}
	}
}
