package outbound

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// loopback is where the test servers are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// clientOf makes a client that is closed after the test.
func clientOf(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// open makes a client that reaches the test servers.
func open(t *testing.T) *Client {
	t.Helper()
	return clientOf(t, Options{Allow: loopback})
}

// serve starts a server with one handler for everything.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// portOf returns the port of a server.
func portOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatalf("splitting a server's address: %v", err)
	}
	return port
}

// converse starts a server that has one conversation on each connection, after the head of the request was read, and then
// hangs up.
func converse(t *testing.T, answer func(net.Conn, []byte)) (url string) {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				head := make([]byte, 4096)
				n, _ := conn.Read(head)
				answer(conn, head[:n])
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// say is a conversation of one text, after which the connection is kept until the other side closes it.
func say(text string) func(net.Conn, []byte) {
	return func(conn net.Conn, _ []byte) {
		_, _ = conn.Write([]byte(text))
		_, _ = conn.Read(make([]byte, 1))
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("this machine cannot listen on %s: %v", address, err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// get calls a URL and returns what became of it.
func get(t *testing.T, c *Client, url string) (Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return c.Do(ctx, requestTo(t, url))
}

// mustGet calls a URL that answers.
func mustGet(t *testing.T, c *Client, url string) Answer {
	t.Helper()
	answer, err := get(t, c, url)
	if err != nil {
		t.Fatalf("calling %s: %v", url, err)
	}
	return answer
}

func requestTo(t *testing.T, url string) *http.Request {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	return request
}

// await waits for a channel to be closed or to give something.
func await[T any](t *testing.T, c <-chan T, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// names answers a client's questions for the address of any name: first with the first of the given answers, and so on;
// with the last as often as need be. An answer is one or more addresses.
func names(t *testing.T, c *Client, answers ...string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening for questions: %v", err)
	}
	var served sync.WaitGroup
	t.Cleanup(served.Wait)
	t.Cleanup(func() { conn.Close() })
	served.Go(func() {
		question := make([]byte, 1024)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(question[:n]); err != nil {
				t.Errorf("reading a question: %v", err)
				return
			}
			if m.Questions[0].Type == dnsmessage.TypeA {
				m.Answers = resources(m.Questions[0].Name, answers[0])
				answers = answers[min(1, len(answers)-1):]
			}
			m.Response, m.Additionals = true, nil
			packed, err := m.Pack()
			if err != nil {
				t.Errorf("writing an answer: %v", err)
				return
			}
			_, _ = conn.WriteTo(packed, from)
		}
	})
	c.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func resources(name dnsmessage.Name, addresses string) []dnsmessage.Resource {
	var rs []dnsmessage.Resource
	for address := range strings.FieldsSeq(addresses) {
		rs = append(rs, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
		})
	}
	return rs
}
