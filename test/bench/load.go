package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// maxRequests bounds what one client sends in one run, and with it the memory for latencies.
	maxRequests = 200_000
	// answerTimeout bounds the wait for the last answers.
	answerTimeout = 10 * time.Second
)

// load is what a number of clients send to one server.
type load struct {
	senders []*sender
}

// outcome is what a run of a load saw.
type outcome struct {
	elapsed   time.Duration
	latencies []time.Duration // of all requests, sorted; every one was answered with 202
}

// connect opens the clients' connections.
func connect(address, path string, clients int) (*load, error) {
	l := &load{}
	request := requestFor(address, path, jsonBody(anyNumber))
	for range clients {
		s, err := dial(address, request)
		if err != nil {
			l.close()
			return nil, err
		}
		l.senders = append(l.senders, s)
	}
	return l, nil
}

func (l *load) close() {
	for _, s := range l.senders {
		_ = s.conn.Close()
	}
}

// run lets every client post for a duration. It fails at the first answer that is not 202.
func (l *load) run(ctx context.Context, d time.Duration) (outcome, error) {
	latencies := make([][]time.Duration, len(l.senders))
	errs := make([]error, len(l.senders))
	start := time.Now()
	var posting sync.WaitGroup
	for i, s := range l.senders {
		posting.Go(func() { latencies[i], errs[i] = s.postUntil(ctx, start.Add(d)) })
	}
	posting.Wait()
	o := outcome{elapsed: time.Since(start), latencies: slices.Concat(latencies...)}
	slices.Sort(o.latencies)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return o, fmt.Errorf("posting: %w", err)
	}
	return o, nil
}

// postUntil posts until the deadline, and returns how long each answer took.
func (s *sender) postUntil(ctx context.Context, deadline time.Time) ([]time.Duration, error) {
	if err := s.conn.SetDeadline(deadline.Add(answerTimeout)); err != nil {
		return nil, err
	}
	latencies := make([]time.Duration, 0, 1<<12)
	for now := time.Now(); now.Before(deadline) && len(latencies) < maxRequests && ctx.Err() == nil; {
		if err := s.post(); err != nil {
			return latencies, err
		}
		answered := time.Now()
		latencies = append(latencies, answered.Sub(now))
		now = answered
	}
	return latencies, nil
}

// keepPosting posts at a modest rate until ctx ends, or fails.
func (s *sender) keepPosting(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := errors.Join(s.conn.SetDeadline(time.Now().Add(answerTimeout)), s.post()); err != nil {
			return fmt.Errorf("posting: %w", err)
		}
	}
}

// percentile returns the p-th percentile of sorted values.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*p/100]
}
