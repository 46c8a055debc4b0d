// Package webhookserver is the door through which deliveries come: it listens, authenticates, decodes, and answers 202
// once a Publisher has stored what came. It owns the listener, the route table and the order of checks; it knows neither
// Kubernetes nor the queue nor rules. The table is a value that the controllers build and publish; requests read it
// without a lock. A Server runs one goroutine a connection, all of which end with Start.
package webhookserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"
)

const (
	// readHeaderTimeout is for the head of a request, which an honest sender writes at once.
	readHeaderTimeout = 5 * time.Second
	// readTimeout is for a whole request: the largest body within it needs 4 Mbit/s.
	readTimeout = 15 * time.Second
	// writeTimeout is from the end of the head to the end of the answer; reading the body and storing are in it.
	writeTimeout = 30 * time.Second
	// idleTimeout is longer than the minute for which proxies keep connections, so that they and not we close them, and no
	// request meets a closing connection.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes is for all headers of a request; providers need 2 KiB.
	maxHeaderBytes = 16 << 10
	// maxConnections bounds what idle and slow connections cost: some 20 KiB each.
	maxConnections = 10_000
	// crowded is from how many connections on a new one ends the one that has been idle longest.
	crowded = maxConnections * 9 / 10
	// bodyBudget is the memory for the bodies of known senders in all requests together. A request needs up to four times its
	// body (payload, echo, the queue's copy).
	bodyBudget = 96 << 20
	// unverifiedBudget is that for the bodies of senders who are not known yet, of which there is no copy. A source's share holds
	// two of the largest. With four times bodyBudget it is less than half of the 1 GiB that config/manager allows: the rest is
	// for garbage, connections and caches.
	unverifiedBudget = 64 << 20
	// DrainTimeout is for what is under way when the server stops; no request takes longer.
	DrainTimeout = writeTimeout
)

// Options are what a Server needs.
type Options struct {
	// Routes hold the table.
	Routes *Routes
	// Publisher stores deliveries.
	Publisher Publisher
	// Observer hears of refused requests; nil: nobody does.
	Observer Observer
	// Confirmer calls back providers that ask for it; nil: nobody does, and they are told to come again.
	Confirmer Confirmer
	// TrustedProxies are the networks of proxies whose X-Forwarded-For says who sent a request; none: the sender is who
	// connects.
	TrustedProxies []netip.Prefix
	// TLS is how connections are encrypted; nil: they are not.
	TLS *tls.Config
	// Log is where the server tells what changed. It never gets a header, a body, a query or a credential.
	Log logr.Logger
	// ShutdownDelay is for how long the server goes on taking requests after it stopped being ready, so that whoever
	// balances the load can learn it.
	ShutdownDelay time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Server serves webhooks on one address. It is a Runnable of a controller-runtime manager.
type Server struct {
	listener      net.Listener
	http          *http.Server
	handler       *handler
	log           logr.Logger
	shutdownDelay time.Duration
	stopping      atomic.Bool
}

// Listen binds the address at once, so that a port in use is an error before anything else starts. Connections wait until
// Start.
func Listen(addr string, o Options) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for webhooks on %s: %w", addr, err)
	}
	h := newHandler(o)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Server{
		listener:      secure(netutil.LimitListener(listener, maxConnections), o.TLS),
		handler:       h,
		log:           o.Log,
		shutdownDelay: o.ShutdownDelay,
		http: &http.Server{
			Handler:                      h,
			ReadHeaderTimeout:            readHeaderTimeout,
			ReadTimeout:                  readTimeout,
			WriteTimeout:                 writeTimeout,
			IdleTimeout:                  idleTimeout,
			MaxHeaderBytes:               maxHeaderBytes,
			Protocols:                    protocols,
			DisableGeneralOptionsHandler: true,
			ConnState:                    newConnections(crowded).watch,
			ErrorLog:                     log.New(connectionLog{o.Log}, "", 0),
		},
	}, nil
}

func newHandler(o Options) *handler {
	now := o.Now
	if now == nil {
		now = time.Now
	}
	from := newSources(o.TrustedProxies)
	return &handler{
		routes:      o.Routes,
		publisher:   o.Publisher,
		observer:    o.Observer,
		confirmer:   o.Confirmer,
		sources:     from,
		failures:    newFailures(defaultFailures, from),
		rates:       newRates(),
		log:         o.Log,
		now:         now,
		pace:        defaultPace,
		budget:      newBudget(bodyBudget),
		unverified:  newBudget(unverifiedBudget),
		validations: semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0))),
		ids:         newDeliveryIDs(),
	}
}

// NeedLeaderElection says that every replica serves.
func (s *Server) NeedLeaderElection() bool { return false }

// Addr returns the address that is bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Ready is a readiness check: nil once there is a table, until the server stops.
func (s *Server) Ready(*http.Request) error {
	switch {
	case s.stopping.Load():
		return errors.New("webhook server is stopping")
	case s.handler.routes.Current() == nil:
		return errors.New("webhook server has no route table yet")
	}
	return nil
}

// Start serves until ctx ends. Then it is no longer ready, but goes on serving for the shutdown delay, then takes no new
// connection, and returns when every request under way has its answer. It is called once.
func (s *Server) Start(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	s.log.Info("serving webhooks", "address", s.Addr().String())
	select {
	case err := <-failed:
		return fmt.Errorf("serving webhooks: %w", err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	s.handler.draining.Store(true)
	s.log.Info("no longer ready; webhooks are served on for the shutdown delay", "delay", s.shutdownDelay.String())
	select {
	case err := <-failed:
		return fmt.Errorf("serving webhooks: %w", err)
	case <-time.After(s.shutdownDelay):
	}
	return s.drain(context.WithoutCancel(ctx), failed)
}

// drain waits for the requests under way, and cuts off those that take too long.
func (s *Server) drain(ctx context.Context, failed <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, DrainTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("draining webhook requests: %w", err), s.http.Close())
	}
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving webhooks: %w", served))
	}
	return err
}

// connectionLog takes what net/http says about single connections, which anyone on the network can make it say.
type connectionLog struct{ log logr.Logger }

// Write implements io.Writer.
func (l connectionLog) Write(line []byte) (int, error) {
	l.log.V(1).Info("connection failed", "reason", strings.TrimSpace(string(line)))
	return len(line), nil
}
