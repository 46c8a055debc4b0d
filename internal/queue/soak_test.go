package queue

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soak says that there is time for the long form of a test.
func soak() bool { return os.Getenv("HOOKSTORM_SOAK") == "1" }

// TestManyRetriesAreDueAtOnce is an outage of a target in small: many retries wait, the queue is opened again, then all are
// due within a moment, while others publish. The log tells what it costs.
func TestManyRetriesAreDueAtOnce(t *testing.T) {
	retries, wait := 2000, 2*time.Second
	if soak() {
		retries, wait = 100_000, 2*time.Minute
	}
	dir := t.TempDir()
	q := openIn(t, dir)
	heap, start := heapBytes(), time.Now()
	due := start.Add(wait)
	postponeMany(t, q, "a", retries, due)
	t.Logf("postponed %.0f a second, %d KiB of memory", rate(retries, start), (heapBytes()-heap)>>10)
	closeQueue(t, q)

	start = time.Now()
	q = openIn(t, dir)
	t.Logf("opened in %s", time.Since(start).Round(time.Millisecond))
	if s := q.Stats(); s.Deliveries != int64(retries) {
		t.Errorf("the queue holds %+v, want %d deliveries", s, retries)
	}
	<-time.After(time.Until(due))

	stop := publishBeside(t, q)
	drainRetries(t, q, retries)
	t.Logf("handed out and done %.0f a second", rate(retries, due))
	stop()
	awaitMessages(t, q.engine.retry, 0)
}

// drainRetries receives until so many retries are done.
func drainRetries(t *testing.T, q *Queue, retries int) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for retries > 0 {
		m, err := q.Receive(ctx)
		if err != nil {
			t.Fatalf("receiving, %d retries to go: %v", retries, err)
		}
		if m.Progress != nil {
			retries--
		}
		m.Done()
	}
}

// publishBeside publishes, one delivery after the other, until stop is called, and logs how long one took.
func publishBeside(t *testing.T, q *Queue) (stop func()) {
	var (
		stopped atomic.Bool
		wg      sync.WaitGroup
	)
	wg.Go(func() {
		published, worst, start := 0, time.Duration(0), time.Now()
		for !stopped.Load() {
			before := time.Now()
			if err := q.Publish(t.Context(), numbered("beside", published)); err != nil {
				t.Errorf("publishing beside: %v", err)
				return
			}
			worst = max(worst, time.Since(before))
			published++
		}
		t.Logf("%d published beside, %s each, %s at worst", published,
			(time.Since(start) / time.Duration(max(1, published))).Round(time.Microsecond), worst.Round(time.Microsecond))
	})
	return func() {
		stopped.Store(true)
		wg.Wait()
	}
}

// rate is how many of n happened in a second since start.
func rate(n int, start time.Time) float64 { return float64(n) / time.Since(start).Seconds() }

// heapBytes is the memory that is in use, about: the server's cache of the last block comes and goes.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what pools hold outlives the first
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
