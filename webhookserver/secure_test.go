package webhookserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// certificate makes a certificate that signs itself.
func certificate(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// securedServer answers with the protocol of a request and the name in the client's certificate.
func securedServer(t *testing.T, config *tls.Config) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := "nobody"
			if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
				name = r.TLS.PeerCertificates[0].Subject.CommonName
			}
			_, _ = fmt.Fprint(w, r.Proto, " ", name)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(secure(listener, config)) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("stopped with %v", err)
		}
	})
	return listener.Addr().String()
}

// ask makes a connection of its own, and returns the answer and the name in the server's certificate.
func ask(address string, config *tls.Config) (answer, server string, err error) {
	config.InsecureSkipVerify = true // what is shown is looked at
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return "", "", err
	}
	text, err := io.ReadAll(connection)
	_, body, _ := strings.Cut(string(text), "\r\n\r\n")
	return body, connection.ConnectionState().PeerCertificates[0].Subject.CommonName, err
}

func TestTLS(t *testing.T) {
	address := securedServer(t, &tls.Config{
		Certificates: []tls.Certificate{*certificate(t, "server")},
		// What a careless configuration would allow.
		MinVersion: tls.VersionTLS10, NextProtos: []string{"h2"}, ClientAuth: tls.NoClientCert,
	})
	for _, c := range []struct {
		name   string
		client *tls.Config
		want   string // an answer, or a part of the error
	}{
		{"a client of today", &tls.Config{}, "HTTP/1.1 nobody"},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, "HTTP/1.1 nobody"},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "protocol version"},
		{"a client that prefers HTTP/2", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "HTTP/1.1 nobody"},
		{"a client that speaks nothing else", &tls.Config{NextProtos: []string{"h2"}}, "no application protocol"},
		{"a certificate of whatever authority is passed on", &tls.Config{Certificates: []tls.Certificate{*certificate(t, "sender")}}, "HTTP/1.1 sender"},
	} {
		got, _, err := ask(address, c.client)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCertificatesAreReloaded(t *testing.T) {
	var current atomic.Pointer[tls.Certificate]
	current.Store(certificate(t, "old"))
	address := securedServer(t, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Load(), nil },
	})
	var got []string
	for _, next := range []*tls.Certificate{certificate(t, "new"), nil} {
		_, server, err := ask(address, &tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, server)
		current.Store(next)
	}
	if diff := cmp.Diff([]string{"old", "new"}, got); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
}

func TestWithoutAConfigurationThereIsNoTLS(t *testing.T) {
	answer, err := http.Get("http://" + securedServer(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "HTTP/1.1 nobody" {
		t.Errorf("got %q %v", text, err)
	}
}

func TestPlainHTTPOnAPortForTLSIsRefused(t *testing.T) {
	address := securedServer(t, &tls.Config{Certificates: []tls.Certificate{*certificate(t, "server")}})
	answer, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("got %d", answer.StatusCode)
	}
}
