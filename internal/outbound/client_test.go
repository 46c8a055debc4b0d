package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnAnswerHasStatusHeaderAndBody(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.URL.RequestURI())
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(bytes.ToUpper(body))
	})
	request, err := http.NewRequest(http.MethodPost, server.URL+"/a?b=c", strings.NewReader("tea"))
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	answer, err := open(t).Do(t.Context(), request)
	if err != nil {
		t.Fatalf("calling: %v", err)
	}
	got := fmt.Sprintf("%d %s %s %t", answer.Status, answer.Header.Get("X-Seen"), answer.Body, answer.Truncated)
	if want := "418 POST /a?b=c TEA false"; got != want {
		t.Errorf("the answer is %q, want %q", got, want)
	}
}

func TestABodyIsCutAndItsConnectionClosed(t *testing.T) {
	gone := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(gone)
		for chunk := bytes.Repeat([]byte("a"), 4096); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	answer := mustGet(t, open(t), server.URL)
	if len(answer.Body) != maxBody || !answer.Truncated {
		t.Errorf("the body has %d bytes, truncated %t; want %d, true", len(answer.Body), answer.Truncated, maxBody)
	}
	await(t, gone, "the server to see that nobody reads on")
}

func TestTheLargestBodyIsWhole(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxBody)) })
	if answer := mustGet(t, open(t), server.URL); len(answer.Body) != maxBody || answer.Truncated {
		t.Errorf("the body has %d bytes, truncated %t; want %d, false", len(answer.Body), answer.Truncated, maxBody)
	}
}

func TestACompressedBodyStaysCompressed(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, _ = w.Write(make([]byte, 8<<20))
	_ = w.Close()
	asked := make(chan string, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	answer := mustGet(t, open(t), server.URL)
	if !bytes.Equal(answer.Body, bomb.Bytes()) {
		t.Errorf("the body has %d bytes, want the %d that were sent", len(answer.Body), bomb.Len())
	}
	if accepts := <-asked; accepts != "" {
		t.Errorf("the request asked for %q", accepts)
	}
}

func TestTheStatusCountsEvenIfTheBodyBreaksOff(t *testing.T) {
	target := converse(t, func(conn net.Conn, _ []byte) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
	})
	answer := mustGet(t, open(t), target)
	if answer.Status != http.StatusOK || string(answer.Body) != "half" || !answer.Truncated {
		t.Errorf("the answer is %d %q, truncated %t", answer.Status, answer.Body, answer.Truncated)
	}
}

func TestTheStatusCountsEvenIfTheBodyNeverEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	c := open(t)
	answer, err := c.Do(ctx, requestTo(t, server.URL))
	// The context may also end before the head has come.
	if err == nil && !answer.Truncated || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the answer is %d, truncated %t, with error %v", answer.Status, answer.Truncated, err)
	}
}

func TestAnAnswerThatSwitchesProtocolsEndsTheCall(t *testing.T) {
	target := converse(t, say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: trap\r\n\r\n"))
	answer := mustGet(t, open(t), target)
	if answer.Status != http.StatusSwitchingProtocols || len(answer.Body) != 0 {
		t.Errorf("the answer is %d %q", answer.Status, answer.Body)
	}
}

func TestATargetThatDoesNotAnswerIsGivenUpWithTheContext(t *testing.T) {
	tests := map[string]func(net.Conn, []byte){
		"it says nothing":        say(""),
		"it stops in its header": say("HTTP/1.1 200 OK\r\nX-Slow: "),
		"it says Continue":       say("HTTP/1.1 100 Continue\r\n\r\n"),
	}
	for name, conversation := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			answer, err := open(t).Do(ctx, requestTo(t, converse(t, conversation)))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the answer is %d, the error %v", answer.Status, err)
			}
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("a", 2*maxHeaderBytes))
	})
	if answer, err := get(t, open(t), server.URL); !errors.Is(err, errUnreadable) {
		t.Errorf("the answer is %d, the error %v", answer.Status, err)
	}
}

func TestCertificatesAndProtocolVersionsAreChecked(t *testing.T) {
	tests := map[string]struct {
		version uint16
		trusted bool
		want    bool
	}{
		"a trusted certificate over TLS 1.3":  {tls.VersionTLS13, true, true},
		"a trusted certificate over TLS 1.2":  {tls.VersionTLS12, true, true},
		"a trusted certificate over TLS 1.1":  {tls.VersionTLS11, true, false},
		"an unknown certificate over TLS 1.3": {tls.VersionTLS13, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: test.version}
			server.StartTLS()
			t.Cleanup(server.Close)
			c := open(t)
			if test.trusted {
				c.transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			}
			if _, err := get(t, c, server.URL); (err == nil) != test.want {
				t.Errorf("the error is %v, want an answer: %t", err, test.want)
			}
		})
	}
}

func TestAnErrorAboutACertificateDoesNotQuoteIt(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are wanted
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	tests := map[string]struct {
		host   string
		change func(*tls.Config)
		want   string
	}{
		"it is signed by itself": {"example.com", func(*tls.Config) {}, "it is signed by nobody who is trusted"},
		"it is for another host": {"elsewhere.example", func(c *tls.Config) { c.RootCAs = trusted }, "it is for another host"},
		"it has expired": {"example.com", func(c *tls.Config) {
			c.RootCAs, c.Time = trusted, func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
		}, "it has expired, or is not valid yet"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			names(t, c, "127.0.0.1")
			test.change(c.transport.TLSClientConfig)
			target := "https://" + test.host + ":" + portOf(t, server)
			_, err := get(t, c, target)
			want := "calling " + target + ": the target's certificate is not accepted: " + test.want
			if err == nil || err.Error() != want {
				t.Errorf("the error is %q, want %q", err, want)
			}
		})
	}
}

func TestAWholeAnswerLeavesItsConnectionToTheNextCall(t *testing.T) {
	server, connections := victim(t)
	c := open(t)
	mustGet(t, c, server.URL)
	mustGet(t, c, server.URL)
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections were made, want 1", n)
	}
	c.Close()
	mustGet(t, c, server.URL)
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections were made after Close, want 2", n)
	}
}

func TestATargetHasABoundedNumberOfCallsAndOthersTheirOwn(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	hung := serve(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	})
	healthy := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := clientOf(t, Options{Allow: loopback, PerTarget: 2})
	names(t, c, "127.0.0.1")

	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if _, err := c.Do(t.Context(), requestTo(t, hung.URL)); err != nil {
				t.Errorf("calling: %v", err)
			}
		})
		await(t, arrived, "a call to arrive")
	}
	if _, err := get(t, c, hung.URL+"/another"); !errors.Is(err, ErrBusy) {
		t.Errorf("the error of a third call is %v, want ErrBusy", err)
	}
	mustGet(t, c, healthy.URL)

	close(release)
	calls.Wait()
	go func() { <-arrived }()
	mustGet(t, c, hung.URL)
	if len(c.places.taken) != 0 {
		t.Errorf("targets are remembered without calls: %v", c.places.taken)
	}
}

func TestFailedCallsGiveTheirPlaceBack(t *testing.T) {
	c := clientOf(t, Options{PerTarget: 1})
	for range 3 {
		if _, err := get(t, c, "http://127.0.0.1:1"); errors.Is(err, ErrBusy) || err == nil {
			t.Errorf("the error is %v, want a denial", err)
		}
	}
	if len(c.places.taken) != 0 {
		t.Errorf("targets are remembered without calls: %v", c.places.taken)
	}
}

func TestATargetIsSchemeHostAndPort(t *testing.T) {
	tests := map[string]string{
		"http://example.org":           "http://example.org:80",
		"https://example.org/a?b=c#d":  "https://example.org:443",
		"HTTP://EXAMPLE.org.:80/":      "http://example.org:80",
		"http://example.org:":          "http://example.org:80",
		"http://example.org:8080/path": "http://example.org:8080",
		"http://[::1]/":                "http://[::1]:80",
		"http://10.0.0.1":              "http://10.0.0.1:80",
	}
	for text, want := range tests {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("parsing %s: %v", text, err)
		}
		if got, err := targetOf(u); got != want || err != nil {
			t.Errorf("the target of %s is %q, %v; want %q", text, got, err, want)
		}
	}
}

// body says whether it was closed.
type body struct {
	io.Reader
	closed atomic.Bool
}

func (b *body) Close() error {
	b.closed.Store(true)
	return nil
}

func TestURLsThatAreNotForCallingAreRefused(t *testing.T) {
	tests := map[string]string{
		"another scheme":      "ftp://example.org/",
		"a file":              "file:///etc/passwd",
		"a socket":            "unix:///run/x.sock",
		"no scheme":           "//example.org/",
		"no host":             "http:///path",
		"only a port":         "http://:8080/",
		"an opaque URL":       "http:example.org",
		"a user":              "http://user@127.0.0.1:1/",
		"a user and password": "http://user:secret@127.0.0.1:1/",
		"an empty user":       "http://@127.0.0.1:1/",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			b := &body{Reader: strings.NewReader("x")}
			request, err := http.NewRequest(http.MethodPost, text, b)
			if err != nil {
				t.Fatalf("making a request: %v", err)
			}
			_, err = open(t).Do(t.Context(), request)
			if !errors.Is(err, ErrURL) {
				t.Fatalf("the error is %v, want ErrURL", err)
			}
			if strings.Contains(err.Error(), "user:") || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error quotes the URL: %v", err)
			}
			if !b.closed.Load() {
				t.Error("the body is still open")
			}
		})
	}
}

func TestErrorsQuoteNeitherTheURLNorTheAnswer(t *testing.T) {
	const path = "/services/secret?token=secret#secret"
	silent := listen(t, "127.0.0.1:0")
	silent.Close()
	targets := map[string]string{
		"a closed port":                      "http://" + silent.Addr().String(),
		"a denied address":                   "http://169.254.169.254",
		"a target that echoes":               converse(t, func(conn net.Conn, head []byte) { _, _ = conn.Write(head) }),
		"a target that echoes in its status": converse(t, func(conn net.Conn, head []byte) { _, _ = conn.Write(append([]byte("HTTP/1.1 "), head...)) }),
		"a target that echoes in a header": converse(t, func(conn net.Conn, head []byte) {
			_, _ = conn.Write(append([]byte("HTTP/1.1 200 OK\r\nContent-Length: "), head...))
		}),
		"a target that hangs up":               converse(t, func(net.Conn, []byte) {}),
		"a target that hangs up in its header": converse(t, func(conn net.Conn, _ []byte) { _, _ = io.WriteString(conn, "HTTP/1.1 200 secret\r\nX: secret") }),
		"a target without TLS":                 strings.Replace(serve(t, nil).URL, "http:", "https:", 1),
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			_, err := get(t, open(t), target+path)
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error is %q", err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "calling "+target) {
				t.Errorf("the error does not name the target: %v", err)
			}
		})
	}
}
