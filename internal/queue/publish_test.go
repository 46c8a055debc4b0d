package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConcurrentPublishersShareMessages(t *testing.T) {
	const publishers, each = 64, 30
	q := openIn(t, t.TempDir())
	publishMany(t, q, "a", publishers, each)
	info, err := q.engine.stream.Info(t.Context())
	if err != nil {
		t.Fatalf("asking the stream: %v", err)
	}
	if messages := info.State.LastSeq; messages > publishers*each/4 {
		t.Errorf("%d deliveries took %d messages, want far fewer", publishers*each, messages)
	}
	seen := make(map[string]bool)
	for _, m := range receive(t, q, publishers*each) {
		seen[m.Delivery.ID] = true
		m.Done()
	}
	if len(seen) != publishers*each {
		t.Errorf("received %d different deliveries, want %d", len(seen), publishers*each)
	}
}

// publishMany stores deliveries 0..publishers*each-1 of a namespace from so many goroutines.
func publishMany(t *testing.T, q *Queue, namespace string, publishers, each int) {
	t.Helper()
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				if err := q.Publish(t.Context(), numbered(namespace, p*each+i)); err != nil {
					t.Errorf("publishing: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestPacksHoldOneNamespaceAndAreBounded(t *testing.T) {
	var c committer
	c.open = make(map[string]int)
	tests := map[string]struct {
		entries []*entry
		want    []string
	}{
		"one delivery is a pack":                       {sizes("a:10"), []string{"a 1"}},
		"namespaces are kept apart":                    {sizes("a:10 b:10 a:10"), []string{"a 2", "b 1"}},
		"a pack takes 256 deliveries":                  {sizes(strings.Repeat("a:1 ", 600)), []string{"a 256", "a 256", "a 88"}},
		"a pack takes 512 KiB":                         {sizes(strings.Repeat("a:200000 ", 5)), []string{"a 2", "a 2", "a 1"}},
		"a delivery larger than a pack travels alone":  {sizes("a:10 a:600000 a:10"), []string{"a 1", "a 1", "a 1"}},
		"the memory of the last commit holds no entry": {sizes("b:10"), []string{"b 1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.group(test.entries)
			var got []string
			for _, p := range c.packs {
				got = append(got, fmt.Sprintf("%s %d", p.entries[0].namespace, len(p.entries)))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("packs (-want +got):\n%s", diff)
			}
		})
	}
}

// sizes makes entries from words like "namespace:size".
func sizes(words string) []*entry {
	var es []*entry
	for _, word := range strings.Fields(words) {
		namespace, size, _ := strings.Cut(word, ":")
		var n int
		_, _ = fmt.Sscan(size, &n)
		es = append(es, &entry{namespace: namespace, pack: make([]byte, n+1)})
	}
	return es
}

func TestTheLargestDeliveryIsStoredAndALargerOneRefused(t *testing.T) {
	q := openIn(t, t.TempDir())
	largest := sized("a", 0, maxDelivery-1024)
	if err := q.Publish(t.Context(), largest); err != nil {
		t.Fatalf("publishing the largest: %v", err)
	}
	if got := receive(t, q, 1)[0].Delivery; !bytes.Equal(got.Payload, largest.Payload) {
		t.Error("the largest payload came back changed")
	}
	for _, size := range []int{maxDelivery - 10, maxDelivery, maxPayload} {
		if err := q.Publish(t.Context(), sized("a", 1, size)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("publishing %d bytes: %v, want ErrTooLarge", size, err)
		}
	}
}

func TestANamespaceMustBeADNSLabel(t *testing.T) {
	q := openIn(t, t.TempDir())
	for _, namespace := range []string{"", "a.b", "*", ">", "a b", "A", "a\n", strings.Repeat("a", 64)} {
		if err := q.Publish(t.Context(), numbered(namespace, 0)); err == nil {
			t.Errorf("namespace %q is accepted", namespace)
		}
	}
	expectNothing(t, q)
}

func TestAFullQueueRefusesUntilSomethingIsProcessed(t *testing.T) {
	dir := t.TempDir()
	q := openWith(t, Options{Dir: dir, MaxBytes: 1 << 20})
	stored := fill(t, q)
	if err := q.Healthy(); err != nil {
		t.Errorf("a full queue is not healthy: %v", err)
	}
	done(receive(t, q, stored)...)
	eventually(t, func() string {
		if err := q.Publish(t.Context(), sized("ns0", 1, 8<<10)); err != nil {
			return err.Error()
		}
		return ""
	})
}

// fill publishes to five namespaces in turn until the queue is full, before any has its quarter, and returns how many
// deliveries were stored.
func fill(t *testing.T, q *Queue) int {
	t.Helper()
	for n := range 1000 {
		err := q.Publish(t.Context(), sized(fmt.Sprintf("ns%d", n%5), n, 8<<10))
		if errors.Is(err, ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("filling the queue: %v", err)
		}
	}
	t.Fatal("the queue never was full")
	return 0
}

func TestReopeningWithASmallerLimitLosesNothing(t *testing.T) {
	dir := t.TempDir()
	q := openWith(t, Options{Dir: dir, MaxBytes: 1 << 20})
	stored := fill(t, q)
	closeQueue(t, q)
	q = openWith(t, Options{Dir: dir, MaxBytes: 256 << 10})
	if err := q.Publish(t.Context(), numbered("other", 0)); !errors.Is(err, ErrFull) {
		t.Errorf("publishing to a queue over its limit: %v, want ErrFull", err)
	}
	receive(t, q, stored)
}

func TestANamespaceHoldsAtMostAQuarter(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, MaxBytes: 4 << 20}
	q := openWith(t, o)
	stored := fillShare(t, q)
	if stored < 90 || stored > 128 {
		t.Errorf("a share of 1 MiB held %d deliveries of 8 KiB", stored)
	}
	publish(t, q, "other", 0, 1)
	closeQueue(t, q)

	q = openWith(t, o)
	if more := fillShare(t, q); more > 5 {
		t.Errorf("after reopening a full share took %d deliveries more", more)
	}
	publish(t, q, "other", 1, 2)
	done(receive(t, q, stored)...)
	eventually(t, func() string {
		if err := q.Publish(t.Context(), sized("greedy", 0, 8<<10)); err != nil {
			return err.Error()
		}
		return ""
	})
}

// fillShare publishes deliveries of 8 KiB to one namespace until its share is full, and returns how many were stored.
func fillShare(t *testing.T, q *Queue) int {
	t.Helper()
	for n := range 1000 {
		err := q.Publish(t.Context(), sized("greedy", n, 8<<10))
		if errors.Is(err, ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("filling the share: %v", err)
		}
	}
	t.Fatal("the share never was full")
	return 0
}

// stuckQueue is a queue whose committer never comes.
func stuckQueue() *Queue {
	return &Queue{shares: newShares(1<<30, backlog{}), line: newLine()}
}

func TestAPublisherWaitsTwoSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, start := stuckQueue(), time.Now()
		if err := q.Publish(t.Context(), numbered("a", 0)); !errors.Is(err, errTimeout) {
			t.Errorf("publishing to a stuck queue: %v, want a timeout", err)
		}
		if took := time.Since(start); took != publishTime {
			t.Errorf("it took %s, want %s", took, publishTime)
		}
		expectUncounted(t, q)
	})
}

func TestAPublisherWaitsAsLongWithWhatAnotherHasUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, first := stuckQueue(), make(chan error, 1)
		go func() { first <- q.Publish(t.Context(), numbered("a", 0)) }()
		synctest.Wait()
		<-time.After(publishTime / 2)
		q.settle(q.line.take(nil), nil)
		if err := <-first; err != nil {
			t.Fatalf("publishing: %v", err)
		}
		start := time.Now()
		if err := q.Publish(t.Context(), numbered("a", 1)); !errors.Is(err, errTimeout) {
			t.Errorf("publishing to a stuck queue: %v, want a timeout", err)
		}
		if took := time.Since(start); took != publishTime {
			t.Errorf("it took %s, want %s", took, publishTime)
		}
	})
}

func TestAPublisherWhoseContextEndsLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := stuckQueue()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Publish(ctx, numbered("a", 0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("publishing: %v, want the context's error", err)
		}
		expectUncounted(t, q)
	})
}

// expectUncounted fails the test when something that was given up still waits or counts.
func expectUncounted(t *testing.T, q *Queue) {
	t.Helper()
	if waiting := q.line.take(nil); len(waiting) != 0 {
		t.Errorf("%d deliveries still wait", len(waiting))
	}
	if deliveries, bytes := q.shares.total(); deliveries != 0 || bytes != 0 {
		t.Errorf("%d deliveries of %d bytes still count", deliveries, bytes)
	}
}

func TestTooManyWaitingDeliveriesAreRefused(t *testing.T) {
	tests := map[string]struct{ size, fit int }{
		"small ones by their number": {1, lineEntries},
		"large ones by their bytes":  {1 << 20, lineBytes >> 20},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, e := newLine(), &entry{pack: make([]byte, test.size+1)}
			for n := range test.fit {
				if err := l.add(e); err != nil {
					t.Fatalf("delivery %d: %v", n, err)
				}
			}
			if err := l.add(e); !errors.Is(err, ErrBusy) {
				t.Errorf("one more: %v, want ErrBusy", err)
			}
			l.take(nil)
			if err := l.add(e); err != nil {
				t.Errorf("after a commit took all: %v", err)
			}
		})
	}
}
