// Package queuetest runs real nats-server processes on loopback for tests of the external queue: one server, or a JetStream
// cluster of three, which a test can kill, start again, pause and resume. It owns the processes and their directories. It
// imports no NATS package: what the servers store is the test's business. It fails the test when a server does not do what
// the test asks for. The methods of a Servers are for one goroutine at a time, that of the test.
package queuetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout is how long servers may take to be ready: with two busy processors they need a tenth of it.
	readyTimeout = 2 * time.Minute
	// readyPoll is short beside the seconds that an election takes.
	readyPoll = 50 * time.Millisecond
	// logTail is how much of the end of each server's log a failed test shows.
	logTail = 8 << 10
)

// TB is the part of testing.TB that is used here. *testing.T, *testing.B and GinkgoT() have it.
type TB interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Fatalf(format string, arguments ...any)
	Logf(format string, arguments ...any)
	TempDir() string
}

// Options say what Start starts. The zero value is one server as an operator should set it up.
type Options struct {
	// Servers is their number: 1, which 0 stands for, is a server without a cluster, 3 is a cluster.
	Servers int

	// NoTags leaves out the tag "sync:always", by which a stream can ask for servers that sync.
	NoTags bool

	// NoSync has the servers sync from time to time, which is their default, not before each acknowledgement.
	NoSync bool

	// User and Password are what clients must present; empty: nothing.
	User, Password string
}

// Servers are started together and know each other. The server i is named "nats-<i>".
type Servers struct {
	t       TB
	options Options
	dir     string
	binary  string
	servers []*server
}

// server is one of them, running or not.
type server struct {
	name                   string
	client, route, monitor string   // addresses
	process                *process // nil when it does not run
	paused                 bool
}

// Start starts servers, waits until they are ready and stops them after the test. When the test fails it shows the ends of
// their logs.
func Start(t TB, o Options) *Servers {
	t.Helper()
	o.Servers = max(o.Servers, 1)
	binary, err := build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := &Servers{t: t, options: o, dir: t.TempDir(), binary: binary}
	addresses, err := freeAddresses(3 * o.Servers)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for i := range o.Servers {
		s.servers = append(s.servers, &server{
			name: fmt.Sprintf("nats-%d", i), client: addresses[3*i], route: addresses[3*i+1], monitor: addresses[3*i+2],
		})
	}
	for i := range s.servers {
		if err := os.WriteFile(s.path(i, "conf"), []byte(s.config(i)), 0o600); err != nil {
			t.Fatalf("writing the configuration of %s: %v", s.servers[i].name, err)
		}
	}
	t.Cleanup(s.end)
	s.StartAll()
	return s
}

// URL returns the addresses of all servers, separated by commas.
func (s *Servers) URL() string {
	var urls []string
	for i := range s.servers {
		urls = append(urls, s.URLOf(i))
	}
	return strings.Join(urls, ",")
}

// URLOf returns the address of a server. It stays the same.
func (s *Servers) URLOf(i int) string { return "nats://" + s.servers[i].client }

// Index returns the number of the server of that name, as NATS names the leader of a stream.
func (s *Servers) Index(name string) int {
	s.t.Helper()
	i := slices.IndexFunc(s.servers, func(other *server) bool { return other.name == name })
	if i < 0 {
		s.t.Fatalf("there is no server %q", name)
	}
	return i
}

// Start starts a server again, with its ports and its data, and does not wait until it is ready.
func (s *Servers) Start(i int) {
	s.t.Helper()
	one := s.servers[i]
	if one.process != nil {
		s.t.Fatalf("%s runs already", one.name)
	}
	var err error
	if one.process, err = launch(s.path(i, "log"), s.binary, "--config", s.path(i, "conf")); err != nil {
		s.t.Fatalf("starting %s: %v", one.name, err)
	}
}

// StartAll starts the servers that do not run and waits until all are ready.
func (s *Servers) StartAll() {
	s.t.Helper()
	for i, one := range s.servers {
		if one.process == nil {
			s.Start(i)
		}
	}
	s.Ready()
}

// Ready waits until the servers that run, and are not paused, are healthy: they have elected a leader, and have what they
// should have of each stream. In a cluster most servers must run.
func (s *Servers) Ready() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	for _, one := range s.servers {
		if one.process == nil || one.paused {
			continue
		}
		if err := one.ready(ctx); err != nil {
			s.t.Fatalf("waiting for %s: %v", one.name, err)
		}
	}
}

// Kill ends a server at once (kill -9) and waits until it is gone.
func (s *Servers) Kill(i int) {
	one := s.servers[i]
	if one.process != nil {
		one.process.kill()
		one.process, one.paused = nil, false
	}
}

// KillAll kills all servers at once.
func (s *Servers) KillAll() {
	for _, one := range s.servers {
		if one.process != nil {
			one.process.signal(syscall.SIGKILL)
		}
	}
	for i := range s.servers {
		s.Kill(i)
	}
}

// Pause stops a server (SIGSTOP): its connections stay open, and nobody answers.
func (s *Servers) Pause(i int) { s.setPaused(i, true, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Servers) Resume(i int) { s.setPaused(i, false, syscall.SIGCONT) }

func (s *Servers) setPaused(i int, paused bool, signal syscall.Signal) {
	s.t.Helper()
	one := s.servers[i]
	if one.process == nil {
		s.t.Fatalf("%s does not run", one.name)
	}
	one.process.signal(signal)
	one.paused = paused
}

// end is what Start leaves to the end of the test.
func (s *Servers) end() {
	s.KillAll()
	if !s.t.Failed() {
		return
	}
	for i, one := range s.servers {
		if tail, err := tailOf(s.path(i, "log")); err != nil {
			s.t.Logf("reading the log of %s: %v", one.name, err)
		} else {
			s.t.Logf("the log of %s ends with:\n%s", one.name, tail)
		}
	}
}

// path returns a place of a server's in the directory.
func (s *Servers) path(i int, what string) string {
	return filepath.Join(s.dir, s.servers[i].name+"."+what)
}

// ready returns when the server is healthy, or with an error when it or ctx has ended before.
func (s *server) ready(ctx context.Context) error {
	transport := &http.Transport{} // without a proxy
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := s.healthy(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("it ended by itself: %s", s.process.outcome())
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// healthy asks the server once.
func (s *server) healthy(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.monitor+"/healthz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is %s", answer.Status)
	}
	return nil
}

// freeAddresses returns different loopback addresses that nobody listens on now.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = listener.Close() }() // when all are found, so that they differ
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// tailOf returns the end of a file.
func tailOf(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return string(content[max(0, len(content)-logTail):]), nil
}
