package queue

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// reconnectWait is the pause between two attempts to connect, and pingInterval how often a server is asked whether it
	// still is there: twice without an answer is a no.
	reconnectWait = 250 * time.Millisecond
	pingInterval  = 2 * time.Second
	// flushTime is how long a server may take nothing of what is sent before another is tried.
	flushTime = 4 * time.Second
)

// connect opens the connections.
func (e *engine) connect(address string, options ...nats.Option) error {
	for _, conn := range []**nats.Conn{&e.conn, &e.readConn} {
		var err error
		if *conn, err = nats.Connect(address, options...); err != nil {
			var wrong *url.Error
			if errors.As(err, &wrong) {
				err = wrong.Err // without the address, which may hold a password
			}
			return fmt.Errorf("connecting to NATS: %w", err)
		}
	}
	var err error
	if e.js, err = jetstream.New(e.conn, jetstream.WithPublishAsyncTimeout(e.layout.patience)); err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	return nil
}

// away returns an error while no server is connected. The client must not be asked then: it keeps what it fails to send.
func (e *engine) away() error {
	if e.conn.IsConnected() && e.readConn.IsConnected() {
		return nil
	}
	return fmt.Errorf("%w: no server is connected", errUnsure)
}

// options returns how to connect. Whenever that was done again, reconnected gets a token.
func (c *Cluster) options(log logr.Logger, reconnected chan<- struct{}) ([]nats.Option, error) {
	login, err := c.login()
	if err != nil {
		return nil, err
	}
	tls, err := c.tls()
	if err != nil {
		return nil, err
	}
	log = log.WithName("nats")
	return append(append(login, tls...),
		nats.Name("hookstorm"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.PingInterval(pingInterval),
		nats.FlusherTimeout(flushTime),
		nats.ReconnectOnFlusherError(),
		nats.IgnoreAuthErrorAbort(), // credentials may be mended
		nats.ReconnectBufSize(-1),   // what cannot be sent now must fail now, and not be sent when its sender has left
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Error(err, "the connection is lost and will be made again")
			}
		}),
		nats.ReconnectHandler(func(conn *nats.Conn) {
			log.Info("connected again", "server", conn.ConnectedServerName())
			signal(reconnected)
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Error(err, "the connection reports an error") }),
	), nil
}

// login returns how to log in with what the file of credentials holds.
func (c *Cluster) login() ([]nats.Option, error) {
	if c.Credentials == "" {
		return nil, nil
	}
	content, err := os.ReadFile(c.Credentials)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials for NATS: %w", err)
	}
	if bytes.Contains(content, []byte("NATS USER JWT")) {
		return []nats.Option{nats.UserCredentials(c.Credentials)}, nil
	}
	login, err := nats.NkeyOptionFromSeed(c.Credentials)
	if err != nil {
		return nil, fmt.Errorf("reading the credentials for NATS in %s: neither a user's JWT nor an NKey's seed: %w",
			c.Credentials, err)
	}
	return []nats.Option{login}, nil
}

// tls returns how to use the certificates of the directory for them.
func (c *Cluster) tls() ([]nats.Option, error) {
	if c.TLSDir == "" {
		return nil, nil
	}
	authorities := filepath.Join(c.TLSDir, "ca.crt")
	if _, err := os.Stat(authorities); err != nil {
		return nil, fmt.Errorf("reading the authorities for NATS: %w", err)
	}
	options := []nats.Option{nats.RootCAs(authorities)}
	certificate, key := filepath.Join(c.TLSDir, "tls.crt"), filepath.Join(c.TLSDir, "tls.key")
	if _, err := os.Stat(certificate); err == nil {
		options = append(options, nats.ClientCert(certificate, key))
	}
	return options, nil
}
