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
		if err := b.measureSyncs(); err != nil {
			return err
		}
		for _, kind := range plainServers {
			start := func(ctx context.Context, dir string) (*server, error) { return startPlain(ctx, kind, dir) }
			if err := b.measure(ctx, "ack."+kind, start); err != nil {
				return err
			}
		}
		last := round == b.rounds-1
		if err := b.measureHookStorm(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

// measureHookStorm measures HookStorm itself, on a control plane that runs no longer than that. How soon a Rule is live is
// measured in the last round alone, because it is repeated by itself.
func (b *bench) measureHookStorm(ctx context.Context, last bool) (err error) {
	const quiet, recording, live = "ack.hookstorm", "ack.recording", "rule.live.p50"
	measuresLive := last && b.only.MatchString(live)
	if !measuresLive && !b.wanted(quiet) && !b.wanted(recording) {
		return nil
	}
	h, err := startHost(ctx, b.binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.cluster.Stop()) }()
	if err := b.measure(ctx, quiet, h.startQuiet); err != nil {
		return err
	}
	if err := b.measure(ctx, recording, h.startRecording); err != nil || !measuresLive {
		return err
	}
	fmt.Fprintln(os.Stderr, live)
	latencies, err := h.measureLive(ctx, b.dir)
	if err != nil {
		return fmt.Errorf("measuring how soon a Rule is live: %w", err)
	}
	b.results.add(live, unitMilliseconds, milliseconds(percentile(latencies, 50)))
	return nil
}

// nameOf returns the name of a load's result.
func nameOf(kind string, clients int) string { return fmt.Sprintf("%s.c%d", kind, clients) }

// wanted reports whether any load of a kind of server is to be measured.
func (b *bench) wanted(kind string) bool {
	return slices.ContainsFunc(clientCounts, func(n int) bool { return b.only.MatchString(nameOf(kind, n)) })
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
	dir, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return fmt.Errorf("making a data directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.process.Stop()) }()
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
