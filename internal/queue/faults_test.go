package queue

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

// traffic is publishers and receivers on several queues, and what they have seen.
type traffic struct {
	t        *testing.T
	mu       sync.Mutex
	acked    map[string]bool
	acks     []int // by queue
	done     map[string]int
	refused  atomic.Int64
	stop     context.CancelFunc
	running  sync.WaitGroup
	drained  context.CancelFunc
	received sync.WaitGroup
}

const (
	trafficPublishers = 4 // of each queue
	trafficReceivers  = 16
	trafficAcks       = 300 // of each queue, between two faults
	trafficPatience   = 2 * time.Minute
)

// startTraffic publishes to the queues and processes what they hand out, until halt.
func startTraffic(t *testing.T, qs ...*Queue) *traffic {
	t.Helper()
	traffic := &traffic{t: t, acked: make(map[string]bool), acks: make([]int, len(qs)), done: make(map[string]int)}
	var publishing, receiving context.Context
	publishing, traffic.stop = context.WithCancel(t.Context())
	receiving, traffic.drained = context.WithCancel(t.Context())
	for n, q := range qs {
		for p := range trafficPublishers {
			traffic.running.Go(func() { traffic.publish(publishing, q, n, fmt.Sprintf("q%d-p%d", n, p)) })
		}
		for range trafficReceivers {
			traffic.received.Go(func() { traffic.process(receiving, q) })
		}
	}
	return traffic
}

// publish publishes some way or other, again and again.
func (tr *traffic) publish(ctx context.Context, q *Queue, index int, namespace string) {
	for n := 0; ctx.Err() == nil; n++ {
		d := numbered(namespace, n)
		if err := publishSomehow(q, d); err != nil {
			tr.refused.Add(1)
			sleep(ctx, 20*time.Millisecond) // as a sender would
			continue
		}
		tr.mu.Lock()
		tr.acked[d.ID] = true
		tr.acks[index]++
		tr.mu.Unlock()
	}
}

// process processes what comes. Of four deliveries one is postponed first.
func (tr *traffic) process(ctx context.Context, q *Queue) {
	for n := 0; ; n++ {
		m, err := q.Receive(ctx)
		if err != nil {
			return
		}
		if n%4 == 0 && len(m.Progress) == 0 {
			for q.Postpone(ctx, m.Delivery.ID, time.Now().Add(childDelay), m.Delivery, []byte("+")) != nil && ctx.Err() == nil {
				sleep(ctx, 20*time.Millisecond)
			}
		} else {
			tr.mu.Lock()
			tr.done[m.Delivery.ID]++
			tr.mu.Unlock()
		}
		m.Done()
	}
}

// flow waits until a good deal more is acknowledged, by each queue, and says when that began.
func (tr *traffic) flow(what string) {
	tr.t.Helper()
	began, before := time.Now(), tr.counts()
	var resumed time.Duration
	eventuallyWithin(tr.t, trafficPatience, func() string {
		now, least := tr.counts(), trafficAcks
		for n := range now {
			least = min(least, now[n]-before[n])
		}
		if least > 0 && resumed == 0 {
			resumed = time.Since(began)
		}
		if least < trafficAcks {
			return fmt.Sprintf("%s: a queue has acknowledged %d, want %d", what, least, trafficAcks)
		}
		return ""
	})
	tr.t.Logf("%s: all acknowledge again after %s", what, resumed.Round(10*time.Millisecond))
}

// counts returns how many each queue has acknowledged.
func (tr *traffic) counts() []int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.acks)
}

// halt ends the publishers, waits until all that was acknowledged is processed and nothing is left, and ends the receivers.
func (tr *traffic) halt(q *Queue) {
	tr.t.Helper()
	tr.stop()
	tr.running.Wait()
	eventuallyWithin(tr.t, trafficPatience, func() string {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		lost, example := 0, ""
		for id := range tr.acked {
			if tr.done[id] == 0 {
				lost, example = lost+1, id
			}
		}
		if lost > 0 {
			return fmt.Sprintf("%d of %d acknowledged are not processed, such as %s", lost, len(tr.acked), example)
		}
		return ""
	})
	awaitMessages(tr.t, q.engine.retry, 0)
	awaitMessages(tr.t, q.engine.stream, 0)
	tr.drained()
	tr.received.Wait()
	twice := 0
	for _, n := range tr.done {
		if n > 1 {
			twice++
		}
	}
	tr.t.Logf("%d acknowledged, %d refused, %d processed, %d of them more than once", len(tr.acked), tr.refused.Load(), len(tr.done), twice)
}

func TestNothingAcknowledgedIsLostWhenServersFail(t *testing.T) {
	t.Parallel()
	servers := queuetest.Start(t, queuetest.Options{Servers: 3})
	o := onServers(servers)
	qs := []*Queue{openWith(t, o), openWith(t, o)}
	traffic := startTraffic(t, qs...)
	traffic.flow("at the start")
	rounds := 1
	if soak() {
		rounds = 10
	}
	for range rounds {
		servers.Kill(leaderOf(t, servers, qs[0]))
		traffic.flow("one server is killed")
		servers.StartAll()
		servers.Ready()
		paused := leaderOf(t, servers, qs[0])
		servers.Pause(paused)
		traffic.flow("one server hangs")
		servers.Resume(paused)
		servers.Ready()
		servers.KillAll()
		servers.StartAll()
		servers.Ready()
		traffic.flow("all were killed and are ready again")
	}
	traffic.halt(qs[0])
	for _, q := range qs {
		eventually(t, func() string { return textOf(q.Healthy()) })
	}
}

func TestAnOutageOfTheServersLeavesTheLeaseWithItsHolder(t *testing.T) {
	t.Parallel()
	servers := queuetest.Start(t, queuetest.Options{})
	o := onServer(servers.URL())
	a := openWith(t, o)
	publishOnce(t, a, "x", "a", 0)
	m := receive(t, a, 1)[0]
	b := openWith(t, o)
	expectNothing(t, b)
	awaitLooks(t, b)

	servers.KillAll()
	eventuallyWithin(t, 3*leaseLapse, func() string {
		if b.lease.alive.since() < leaseLapse+2*leaseInterval {
			return "the lease has not lapsed"
		}
		return ""
	})
	servers.StartAll()
	awaitLooks(t, a)
	awaitLooks(t, b)
	if !a.keeping.Load() || b.keeping.Load() {
		t.Error("the lease has passed to another process")
	}
	for _, q := range []*Queue{a, b} {
		expectNothing(t, q)
	}
	m.Done()
	publishOnce(t, b, "y", "a", 1)
	receive(t, a, 1)[0].Done()
}

// leaderOf returns which server leads the stream of packs.
func leaderOf(t *testing.T, servers *queuetest.Servers, q *Queue) int {
	t.Helper()
	leader := ""
	eventually(t, func() string {
		info, err := q.engine.stream.Info(t.Context())
		if err != nil {
			return err.Error()
		}
		if info.Cluster == nil || info.Cluster.Leader == "" {
			return "the stream has no leader"
		}
		leader = info.Cluster.Leader
		return ""
	})
	return servers.Index(leader)
}

func textOf(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
