package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

// serveCommand is the subcommand by which this program is one of the plain servers.
const serveCommand = "serve"

// The plain servers. Each does what the one before does, and more or better: bare stores nothing, single stores each
// delivery by a message of its own, group stores all that wait by one.
const (
	bare   = "bare"
	single = "single"
	group  = "group"
)

var plainServers = []string{bare, single, group}

// store makes a delivery survive.
type store interface {
	// put returns nil once the body is on disk. It is safe for concurrent use; the body is the store's.
	put(ctx context.Context, body []byte) error
	close()
}

// startPlain starts this program as a plain server in a process of its own.
func startPlain(ctx context.Context, name, dir string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return nil, err
	}
	process, err := cluster.Launch(name, os.Stderr, self, serveCommand, name, dir, addresses[0], addresses[1])
	if err != nil {
		return nil, err
	}
	s := &server{process: process, address: addresses[0], path: webhookPath + "plain", metrics: "http://" + addresses[1] + "/metrics"}
	return s, awaitReady(ctx, process, s.metrics)
}

// serve is the plain server: its arguments are its kind, its directory, its address and that of its metrics.
func serve(ctx context.Context, arguments []string) error {
	if len(arguments) != 4 {
		return errors.New("serve: want kind, directory, address and address of metrics")
	}
	s, err := openStore(ctx, arguments[0], arguments[1])
	if err != nil {
		return err
	}
	if s != nil {
		defer s.close()
	}
	servers := []*http.Server{
		{Addr: arguments[2], Handler: accept(s)},
		{Addr: arguments[3], Handler: promhttp.Handler()},
	}
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.ListenAndServe() }()
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	for _, s := range servers {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		err = errors.Join(err, s.Shutdown(ctx))
		cancel()
	}
	return err
}

// openStore returns the store of a kind of server; bare has none.
func openStore(ctx context.Context, kind, dir string) (store, error) {
	switch kind {
	case bare:
		return nil, nil
	case single:
		return openSingle(ctx, dir)
	case group:
		return openGroup(ctx, dir)
	}
	return nil, fmt.Errorf("serve: there is no kind %q", kind)
}

// accept answers 202 to JSON, once it is stored if there is a store.
func accept(s store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, max(r.ContentLength, 0))
		if _, err := io.ReadFull(r.Body, body); err != nil || !json.Valid(body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if s != nil {
			if err := s.put(r.Context(), body); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		w.WriteHeader(http.StatusAccepted)
	}
}
