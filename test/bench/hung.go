package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// The names of the results, each with p50 and p99: how long after its 202 a delivery reaches the target that its Rule calls,
// with nothing beside it, and beside as many deliveries of another namespace to a target that takes calls and never answers.
const (
	actAlone      = "act.healthy"
	actBesideHung = "act.healthy.beside_hung"
)

const (
	// healthyURL and hungURL are the webhooks whose Rules call the targets.
	healthyURL = "healthy"
	hungURL    = "hung"
	// actPosts are measured, one each actInterval to each webhook: more than a target that hangs has places for.
	actPosts    = 500
	actInterval = 10 * time.Millisecond
	// hungLead is longer than HookStorm tries an action before it postpones it: by then all places at the target are taken.
	hungLead = 3 * time.Second
)

// measureActs measures the healthy target alone, and beside the one that hangs.
func (b *bench) measureActs(ctx context.Context, h *host) (err error) {
	healthy, silent := newTarget(), newTarget()
	called, err := listen(healthy.answer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, called.Close()) }()
	hung, err := listen(func(w http.ResponseWriter, r *http.Request) {
		silent.answer(w, r)
		<-r.Context().Done()
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hung.Close()) }()
	// Nothing is recorded: what the API server takes from the processors is measured elsewhere.
	history := &v1alpha1.WebhookHistory{Record: v1alpha1.RecordNone}
	if err := h.create(ctx, tenant(healthyURL, history, call(called))); err != nil {
		return err
	}
	if err := h.create(ctx, tenant(hungURL, history, call(hung))); err != nil {
		return err
	}
	for _, name := range []string{actAlone, actBesideHung} {
		fmt.Fprintln(os.Stderr, name)
		latencies, err := b.timeActs(ctx, h, healthy, name == actBesideHung)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		b.results.add(name+".p50", unitMilliseconds, milliseconds(percentile(latencies, 50)))
		b.results.add(name+".p99", unitMilliseconds, milliseconds(percentile(latencies, 99)))
	}
	if silent.calls() == 0 {
		return fmt.Errorf("measuring %s: the target that hangs was not called", actBesideHung)
	}
	return nil
}

// timeActs starts HookStorm and measures, on request while it also has to call the target that hangs.
func (b *bench) timeActs(ctx context.Context, h *host, healthy *target, besideHung bool) (latencies []time.Duration, err error) {
	s, end, err := b.begin(ctx, h.startPlainly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if besideHung {
		l, err := connect(s.address, webhookPath+hungURL, 1)
		if err != nil {
			return nil, err
		}
		defer l.close()
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		var posting sync.WaitGroup
		posting.Go(func() { cancel(l.senders[0].keepPosting(ctx, actInterval)) })
		defer posting.Wait()
		defer cancel(nil)
		time.Sleep(hungLead)
	}
	latencies, err = healthy.timeCalls(ctx, s)
	return latencies, errors.Join(err, context.Cause(ctx))
}

// call returns the action that calls a target, under the number of what was posted.
func call(target *http.Server) v1alpha1.Action {
	return v1alpha1.Action{Name: "call", HTTP: &v1alpha1.HTTPAction{URL: "http://" + target.Addr + "/${trigger.body.number}"}}
}

// listen starts a server on this machine.
func listen(handler http.HandlerFunc) (*http.Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening as a target: %w", err)
	}
	s := &http.Server{Addr: listener.Addr().String(), Handler: handler}
	go func() { _ = s.Serve(listener) }() // until it is closed
	return s, nil
}

// target notes when it was first called under each number. It is safe for concurrent use.
type target struct {
	mu      sync.Mutex
	arrived map[int]time.Time
}

func newTarget() *target { return &target{arrived: map[int]time.Time{}} }

func (t *target) answer(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	number, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.arrived[number]; !again {
		t.arrived[number] = now
	}
}

// calls returns how many numbers it was called under.
func (t *target) calls() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.arrived)
}

// timeCalls posts, and returns how long after each 202 the target was called, sorted.
func (t *target) timeCalls(ctx context.Context, s *server) ([]time.Duration, error) {
	t.mu.Lock()
	clear(t.arrived)
	t.mu.Unlock()
	accepted, err := postNumbered(ctx, s.address, webhookPath+healthyURL)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, pollInterval, func(context.Context) (bool, error) { return t.calls() == len(accepted), nil })
	if err != nil {
		return nil, fmt.Errorf("waiting until the target is called: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	latencies := make([]time.Duration, len(accepted))
	for number, at := range accepted {
		latencies[number] = max(0, t.arrived[number].Sub(at)) // a call may overtake its 202
	}
	slices.Sort(latencies)
	return latencies, nil
}

// postNumbered posts one delivery each actInterval, each with a number of its own, and returns when each was accepted.
func postNumbered(ctx context.Context, address, path string) ([]time.Time, error) {
	s, err := dial(address, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.conn.Close() }()
	ticker := time.NewTicker(actInterval)
	defer ticker.Stop()
	accepted := make([]time.Time, actPosts)
	for number := range accepted {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.request = requestFor(address, path, jsonBody(number))
		if err := errors.Join(s.conn.SetDeadline(time.Now().Add(answerTimeout)), s.post()); err != nil {
			return nil, fmt.Errorf("posting: %w", err)
		}
		accepted[number] = time.Now()
	}
	return accepted, nil
}
