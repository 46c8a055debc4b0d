package webhookserver

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"
)

// keeping is a connection that is kept after its request.
type keeping struct {
	net.Conn
	answers *bufio.Reader
}

func dialKeeping(t *testing.T, server *httptest.Server) keeping {
	t.Helper()
	connection, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server.TLS != nil {
		connection = tls.Client(connection, &tls.Config{InsecureSkipVerify: true})
	}
	t.Cleanup(func() { _ = connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	return keeping{connection, bufio.NewReader(connection)}
}

// get sends a request, and returns why it has no answer.
func (k keeping) get() error {
	if _, err := io.WriteString(k, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	answer, err := http.ReadResponse(k.answers, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// closed reports whether the server closes a connection in a while.
func (k keeping) closed(within time.Duration) bool {
	_ = k.SetReadDeadline(time.Now().Add(within))
	_, err := k.answers.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// awaitIdle waits until the server knows that so many connections are idle, which it does after their answers are read.
func awaitIdle(t *testing.T, c *connections, count int) {
	t.Helper()
	await(t, func() bool { return c.idling() == count })
}

func await(t *testing.T, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}

func (c *connections) idling() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle.Len()
}

func (c *connections) longest() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.idle.Front().Value
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			c := newConnections(3)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server.Config.ConnState = c.watch
			if scheme == "https" {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			var kept []keeping
			for i := range 3 {
				k := dialKeeping(t, server)
				if err := k.get(); err != nil {
					t.Fatal(err)
				}
				awaitIdle(t, c, i+1)
				kept = append(kept, k)
			}
			// The first is used again, so that the second has been idle longest.
			longest := c.longest()
			if err := kept[0].get(); err != nil {
				t.Fatal(err)
			}
			await(t, func() bool { return c.longest() != longest && c.idling() == 3 })
			if err := dialKeeping(t, server).get(); err != nil {
				t.Errorf("a new one: %v", err)
			}
			if !kept[1].closed(10 * time.Second) {
				t.Error("the one that was idle longest is still open")
			}
			for _, i := range []int{0, 2} {
				if err := kept[i].get(); err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
		})
	}
}

func TestConnectionsInUseAreLeftAlone(t *testing.T) {
	c := newConnections(1)
	var all []net.Conn
	for range 3 {
		near, far := net.Pipe()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		c.watch(near, http.StateNew)
		c.watch(near, http.StateActive)
		all = append(all, near)
	}
	for _, connection := range all {
		if err := connection.SetDeadline(time.Time{}); err != nil {
			t.Errorf("one is closed: %v", err)
		}
		c.watch(connection, http.StateIdle)
		c.watch(connection, http.StateClosed)
	}
	if c.open != 0 || c.idle.Len() != 0 || len(c.place) != 0 {
		t.Errorf("of closed ones %d are open, %d idle", c.open, c.idle.Len())
	}
}
