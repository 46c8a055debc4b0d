package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// The names of the results of an authenticator: the time from sending 1 KiB of JSON to having read its 202, and how much of
// it is added to that of nobody asked who posts. One client posts at a time, from the server's process, so that the two hand
// over to each other: what is measured is the time of a processor, and in it a system call or two for the client.
const (
	authPrefix  = "auth."
	addedSuffix = ".added"
)

// caller posts to one authenticator.
type caller struct {
	*authenticator
	*sender
	latencies []time.Duration
}

// measureAuthenticators measures all side by side: a request to each, in an order that is always another, and so on.
func (b *bench) measureAuthenticators(ctx context.Context) (err error) {
	if !slices.ContainsFunc(authenticatorNames(), b.wantsAuthenticator) {
		return nil
	}
	fmt.Fprintln(os.Stderr, authPrefix+"*")
	made, err := newAuthenticators()
	if err != nil {
		return err
	}
	d, err := openDoor(made)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	made = slices.DeleteFunc(made, func(a *authenticator) bool { return !b.wantsAuthenticator(a.name) })
	callers, err := d.connectAll(made, b.duration+warmUp)
	if err != nil {
		return err
	}
	defer closeAll(callers)
	return b.compare(ctx, callers)
}

func (b *bench) wantsAuthenticator(name string) bool { return b.only.MatchString(authPrefix + name) }

func closeAll(callers []*caller) {
	for _, c := range callers {
		_ = c.conn.Close()
	}
}

// connectAll connects a client for each authenticator.
func (d *door) connectAll(to []*authenticator, duration time.Duration) ([]*caller, error) {
	callers := make([]*caller, 0, len(to))
	for _, a := range to {
		s, err := d.connect(a)
		if err != nil {
			closeAll(callers)
			return nil, err
		}
		callers = append(callers, &caller{authenticator: a, sender: s})
		if err := s.conn.SetDeadline(time.Now().Add(duration + answerTimeout)); err != nil {
			closeAll(callers)
			return nil, fmt.Errorf("connecting to the server: %w", err)
		}
	}
	return callers, nil
}

// compare lets callers post by turns and adds what it took.
func (b *bench) compare(ctx context.Context, callers []*caller) error {
	if err := takeTurns(ctx, callers, warmUp); err != nil {
		return err
	}
	if err := takeTurns(ctx, callers, b.duration); err != nil {
		return err
	}
	took := map[string]float64{}
	for _, c := range callers {
		slices.Sort(c.latencies)
		took[c.name] = microseconds(percentile(c.latencies, 50))
		b.results.add(authPrefix+c.name, unitMicroseconds, took[c.name])
		base := nobodyAsked
		if c.secured {
			base = nobodyAskedSecured
		}
		if without, measured := took[base]; measured && c.name != base {
			b.results.add(authPrefix+c.name+addedSuffix, unitMicroseconds, took[c.name]-without)
		}
	}
	return nil
}

// takeTurns lets callers post by turns for a duration.
func takeTurns(ctx context.Context, callers []*caller, d time.Duration) error {
	for _, c := range callers {
		c.latencies = c.latencies[:0]
	}
	for start := time.Now(); time.Since(start) < d && ctx.Err() == nil; {
		for _, i := range rand.Perm(len(callers)) {
			c := callers[i]
			latency, err := c.timed(c.request, status202)
			if err != nil {
				return fmt.Errorf("measuring %s%s: %w", authPrefix, c.name, err)
			}
			c.latencies = append(c.latencies, latency)
		}
	}
	return ctx.Err()
}

// timed sends a request and returns how long it took to have the answer, which must begin as wanted.
func (s *sender) timed(request []byte, want string) (time.Duration, error) {
	start := time.Now()
	err := s.send(request, want)
	return time.Since(start), err
}
