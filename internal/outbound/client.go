// Package outbound calls over HTTP what somebody else chose: the targets of Rules, the issuers of tokens. It owns the
// guard that no such call passes, and the bounds of what comes back; it knows neither why a call is made nor whether it is
// worth repeating.
//
// The guard looks at the address a connection is about to be made to, after every name was resolved and just before the
// connect: neither a name that resolves differently the second time nor a redirect leads around it. No proxy of the
// environment is used, since a proxy would connect on our behalf, unguarded. Ports are free: a Service may listen on any,
// and what must not be reached is closed by address whatever its port.
//
// A Client may be used from any goroutine; Do runs in the caller's. Beside it run the two goroutines of each connection
// that is kept open, which end half a minute after its last use, or with Close.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// defaultPerTarget is what Options.PerTarget is if not given: a target that answers in 50 ms gets 320 calls a second.
	defaultPerTarget = 16
	// dialTimeout is for a connection, the lookup of its name included; two lost packets are made good within it.
	dialTimeout = 5 * time.Second
	// handshakeTimeout is for TLS, which takes two round trips and some milliseconds.
	handshakeTimeout = 5 * time.Second
	// headerTimeout is from the end of a request to the head of its answer; what a caller's context allows is not cut shorter.
	headerTimeout = callTimeout
	// callTimeout bounds a call whose context does not, so that none keeps its place for ever.
	callTimeout = time.Minute
	// idleTimeout is shorter than the minute for which load balancers keep connections, so that we and not they close
	// them, and no request meets a closing connection.
	idleTimeout = 30 * time.Second
	// maxIdle bounds the connections kept open for all targets together; with its buffers one takes some 10 KiB.
	maxIdle = 256
	// maxHeaderBytes is for all headers of an answer. Servers stop at 8 to 32 KiB.
	maxHeaderBytes = 64 << 10
)

// What a caller may branch on, beside DeniedError.
var (
	// ErrBusy says that the target has Options.PerTarget calls under way. Nothing was sent; it may be tried again soon.
	ErrBusy = errors.New("the target has as many calls under way as it may")
	// ErrURL says that the request's URL cannot be called, now or later. Nothing was sent.
	ErrURL = errors.New("the URL cannot be called")
)

// What stands for errors that quote the target, and with it maybe what an echoing target was sent.
var (
	errUnreadable = errors.New("the answer is not HTTP, or its headers are too large")
	errDistrusted = errors.New("the target's certificate is not accepted")
)

// Options say what may be called.
//
// What an address is, the longest prefix that contains it decides, as in a routing table: an entry of Allow, of Deny, or
// of the addresses that are denied by default (see deniedByDefault); between equals Allow wins. So Allow 127.0.0.0/8 opens
// the loopback, and Allow 10.0.0.0/8 does not open 10.96.0.1/32 that Deny names. What nothing contains is allowed, private
// networks too: the Services of the cluster are there.
type Options struct {
	// Allow opens addresses that are denied.
	Allow []netip.Prefix
	// Deny closes more addresses, such as the API server's. In a cluster that translates IPv6 to IPv4 by a prefix other
	// than 64:ff9b::/96, it should have that prefix.
	Deny []netip.Prefix
	// PerTarget bounds the calls under way to one target: one scheme, host and port. Zero means 16.
	PerTarget int
}

// Client makes guarded calls. Its methods may be called from any goroutine.
type Client struct {
	places    *places
	dialer    *net.Dialer
	transport *http.Transport
	now       func() time.Time
}

// New returns a client. It connects to nothing yet.
func New(o Options) *Client {
	if o.PerTarget <= 0 {
		o.PerTarget = defaultPerTarget
	}
	dialer := &net.Dialer{
		Timeout:        dialTimeout,
		ControlContext: newGuard(o.Allow, o.Deny).control,
	}
	// HTTP/1.1 alone: a connection carries one call, so that what one target withholds or sends too much of costs this
	// connection and nothing else, and places bound the connections.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Client{
		places: newPlaces(o.PerTarget),
		dialer: dialer,
		transport: &http.Transport{
			Proxy:                  nil, // not even the environment's
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    handshakeTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true, // a body stays as small as it came
			Protocols:              &protocols,
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    o.PerTarget,
			IdleConnTimeout:        idleTimeout,
		},
		now: time.Now,
	}
}

// Close closes the connections that are kept open. A call under way goes on; its connection is closed after it.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Do sends a request and returns what the target answered, whatever its status; a redirect is an answer and not followed.
// ctx takes the place of the request's own context and bounds the whole call, which takes a minute at most. The
// request's body is closed in any case, maybe after Do returned.
//
// It does not wait for other calls to the same target but fails with ErrBusy, because a caller that waits for a target which
// never answers keeps from its work whatever else it could call. It fails with ErrURL or a *DeniedError for what may not
// be called, and with an error that wraps ctx's when that ended first. No error's text has more of the URL than scheme,
// host and port, or any of the answer.
//
// A request that finds its kept connection closed is sent again on another one if it cannot have arrived, or is of a safe
// method, or carries an Idempotency-Key.
func (c *Client) Do(ctx context.Context, request *http.Request) (Answer, error) {
	target, err := targetOf(request.URL)
	if err == nil && !c.places.take(target) {
		err = fmt.Errorf("calling %s: %w", target, ErrBusy)
	}
	if err != nil {
		closeBody(request)
		return Answer{}, err
	}
	defer c.places.give(target)

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var begun atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { begun.Store(true) }})
	response, err := c.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		if begun.Load() {
			err = unquoted(ctx, err)
		}
		return Answer{}, fmt.Errorf("calling %s: %w", target, distrusted(err))
	}
	defer func() { _ = response.Body.Close() }() // what is left of it is of no interest
	return read(response, c.now()), nil
}

// targetOf returns what places are counted by, which is also what error texts name: scheme, host and port. It refuses a
// URL that is not for calling.
func targetOf(u *url.URL) (string, error) {
	switch {
	case u == nil || u.Hostname() == "" || u.Opaque != "":
		return "", fmt.Errorf("%w: it names no host", ErrURL)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%w: its scheme is not http or https", ErrURL)
	case u.User != nil:
		return "", fmt.Errorf("%w: it has a user name in it; send credentials as a header", ErrURL)
	}
	port := u.Port()
	switch {
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	target := url.URL{Scheme: u.Scheme, Host: net.JoinHostPort(host, port)}
	return target.String(), nil
}

// unquoted returns err, which came after the first byte of an answer, or what stands for it if it may quote the answer.
func unquoted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.ErrUnexpectedEOF) {
		return err // it is about the connection
	}
	return errUnreadable
}

// distrusted returns err, or if a certificate was not trusted, what stands for it: it would quote names that the target
// chose.
func distrusted(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return err
	}
	problem := "is not valid"
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		problem = "is signed by nobody who is trusted"
	} else if _, ok := errors.AsType[x509.HostnameError](err); ok {
		problem = "is for another host"
	} else if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		problem = "has expired, or is not valid yet"
	}
	return fmt.Errorf("%w: it %s", errDistrusted, problem)
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close() // it was not read
	}
}
