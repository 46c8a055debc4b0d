package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

// warmUp fills connection pools, caches and branch predictors, and is not measured.
const warmUp = 500 * time.Millisecond

// clientCounts is how many clients post at once.
var clientCounts = []int{1, 16, 64}

// bench holds what the rounds share.
type bench struct {
	options
	only    *regexp.Regexp
	dir     string
	results results
}

// start starts a server on a data directory.
type start func(ctx context.Context, dir string) (*server, error)

func newBench(o options, dir string) (*bench, error) {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("reading -only: %w", err)
	}
	return &bench{options: o, only: only, dir: dir}, nil
}

// run runs the rounds.
func (b *bench) run(ctx context.Context) error {
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.rounds)
		if err := errors.Join(b.measureSyncs(), b.measureEvaluations(), b.measureAuthenticators(ctx)); err != nil {
			return err
		}
		for _, kind := range plainServers {
			start := func(ctx context.Context, dir string) (*server, error) { return startPlain(ctx, kind, dir) }
			if err := b.measure(ctx, "ack."+kind, start); err != nil {
				return err
			}
		}
		last := round == b.rounds-1
		if last {
			if err := b.measureTimings(ctx); err != nil {
				return err
			}
		}
		if err := b.measureHookStorm(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

// hosted is what is measured on a control plane.
type hosted struct {
	names    []string // of the results by which -only selects it
	lastOnly bool     // it is repeated by itself, so that the last round is enough
	measure  func(context.Context, *host) error
}

func (b *bench) hosted() []hosted {
	const quiet, recording = "ack.hookstorm", "ack.recording"
	return []hosted{
		{names: namesOf(quiet), measure: func(ctx context.Context, h *host) error { return b.measure(ctx, quiet, h.startQuiet) }},
		{names: namesOf(recording), measure: func(ctx context.Context, h *host) error { return b.measure(ctx, recording, h.startRecording) }},
		{names: []string{drainHookStorm, drainCreate}, measure: b.measureDrain},
		{names: []string{actAlone, actBesideHung}, measure: b.measureActs},
		{names: []string{ruleLive}, lastOnly: true, measure: b.measureLive},
	}
}

// measureHookStorm measures HookStorm itself, on a control plane that runs no longer than that.
func (b *bench) measureHookStorm(ctx context.Context, last bool) (err error) {
	wanted := slices.DeleteFunc(b.hosted(), func(m hosted) bool {
		return m.lastOnly && !last || !slices.ContainsFunc(m.names, b.only.MatchString)
	})
	if len(wanted) == 0 {
		return nil
	}
	h, err := startHost(ctx, b.binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.cluster.Stop()) }()
	for _, m := range wanted {
		if err := m.measure(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// nameOf returns the name of a load's result.
func nameOf(kind string, clients int) string { return fmt.Sprintf("%s.c%d", kind, clients) }

// namesOf returns the names of all loads of a kind of server.
func namesOf(kind string) []string {
	names := make([]string, len(clientCounts))
	for i, clients := range clientCounts {
		names[i] = nameOf(kind, clients)
	}
	return names
}

// measure measures one kind of server with each number of clients.
func (b *bench) measure(ctx context.Context, kind string, start start) error {
	for _, clients := range clientCounts {
		name := nameOf(kind, clients)
		if !b.only.MatchString(name) {
			continue
		}
		fmt.Fprintln(os.Stderr, name)
		if err := b.measureOne(ctx, name, start, clients); err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
	}
	return nil
}

// measureOne starts a server on an empty directory, posts, waits until what was accepted is processed, and stops it.
func (b *bench) measureOne(ctx context.Context, name string, start start, clients int) (err error) {
	s, end, err := b.begin(ctx, start)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	l, err := connect(s.address, s.path, clients)
	if err != nil {
		return err
	}
	defer l.close()

	warm, err := l.run(ctx, warmUp)
	if err != nil {
		return err
	}
	before, err := s.drain(ctx, len(warm.latencies))
	if err != nil {
		return err
	}
	measured, err := l.run(ctx, b.duration)
	if err != nil {
		return err
	}
	after, err := s.drain(ctx, len(warm.latencies)+len(measured.latencies))
	if err != nil {
		return err
	}
	b.results.addLoad(name, measured, after[cpuSeconds]-before[cpuSeconds])
	return nil
}

// begin starts a server on an empty directory; end stops it and removes the directory.
func (b *bench) begin(ctx context.Context, start start) (s *server, end func() error, err error) {
	dir, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, nil, fmt.Errorf("making a data directory: %w", err)
	}
	if s, err = start(ctx, dir); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, func() error { return errors.Join(s.process.Stop(), os.RemoveAll(dir)) }, nil
}
