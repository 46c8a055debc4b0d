package webhookserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// pacedServer answers with how many bytes of a body came, and why no more did.
func pacedServer(t *testing.T, p pace, then func(*http.Request) error) net.Addr {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(p.reader(w, r.Body))
		if err == nil && then != nil {
			err = then(r)
		}
		reason := "all"
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			reason = "too slow"
		case err != nil:
			reason = err.Error()
		}
		_, _ = fmt.Fprintf(w, "%d %s", len(body), reason)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr()
}

// post sends a head and then the parts of a body, each a while after the one before. It returns what the server says.
func post(t *testing.T, address net.Addr, head string, part string, parts int, every time.Duration) string {
	t.Helper()
	connection, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+head+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range parts {
			select {
			case <-answered:
				return
			case <-tick.C:
			}
			if _, err := io.WriteString(connection, part); err != nil {
				return
			}
		}
	}()
	_ = connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
	close(answered)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestABodyHasToKeepComing(t *testing.T) {
	const window = 400 * time.Millisecond
	steady := pace{window: window, size: 10, whole: time.Minute}
	for _, c := range []struct {
		name       string
		pace       pace
		head, part string
		parts      int
		every      time.Duration
		want       string
	}{
		{"fast enough, for longer than a window", steady, "Content-Length: 120", "12345", 24, window / 20, "120 all"},
		{"fast enough in chunks", steady, "Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n", 1, window / 20, "5 all"},
		{"nothing comes", steady, "Content-Length: 120", "", 0, time.Second, "0 too slow"},
		{"it stops", steady, "Content-Length: 120", "12345", 5, window / 20, " too slow"},
		{"it dribbles", steady, "Content-Length: 120", "1", 120, window / 4, " too slow"},
		{"chunks dribble", steady, "Transfer-Encoding: chunked", "1\r\n1\r\n", 120, window / 4, " too slow"},
		{"it keeps coming for too long", pace{window: window, size: 1, whole: window}, "Content-Length: 1200", "1", 1200, window / 20, "too slow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// How much comes of what is too slow is a matter of luck.
			if got := post(t, pacedServer(t, c.pace, nil), c.head, c.part, c.parts, c.every); !strings.HasSuffix(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestTheWorkAfterABodyHasItsTime waits, after the body, for longer than a window.
func TestTheWorkAfterABodyHasItsTime(t *testing.T) {
	const window = 50 * time.Millisecond
	for name, head := range map[string]string{"a length": "Content-Length: 2\r\n\r\n{}", "chunked": "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0"} {
		address := pacedServer(t, pace{window: window, size: 1, whole: window}, func(r *http.Request) error {
			select {
			case <-r.Context().Done():
				return r.Context().Err()
			case <-time.After(3 * window):
				return nil
			}
		})
		if got := post(t, address, head, "", 0, time.Second); got != "2 all" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWhoDoesNotSendItsBodyIsLetGo sends a head without its body to a server that does not read it.
func TestWhoDoesNotSendItsBodyIsLetGo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		linger(w)
	}))
	t.Cleanup(server.Close)
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = connection.SetReadDeadline(time.Now().Add(10 * lingerTimeout))
	answer, err := io.ReadAll(connection)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("got %q, then %v", answer, err)
	}
}
