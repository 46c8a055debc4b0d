package queue

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// BenchmarkPublish measures publishers that each wait for their acknowledgement, without and with a receiver that drains
// the queue meanwhile. The time is that of one delivery of about 1 KiB and depends on the disk's fsync.
func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 16, 64} {
		for _, drain := range []bool{false, true} {
			b.Run(fmt.Sprintf("publishers=%d/drain=%v", publishers, drain), func(b *testing.B) {
				q := openIn(b, b.TempDir())
				if drain {
					go drainAll(b.Context(), q)
				}
				b.ReportAllocs()
				b.ResetTimer()
				publishParallel(b, q, publishers, b.N)
				b.StopTimer()
			})
		}
	}
}

// publishParallel publishes n deliveries from several goroutines at once.
func publishParallel(b *testing.B, q *Queue, publishers, n int) {
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := p; i < n; i += publishers {
				if err := q.Publish(b.Context(), sized("bench", i, 700)); err != nil {
					b.Errorf("publishing: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// drainAll processes everything until ctx ends or the queue is closed.
func drainAll(ctx context.Context, q *Queue) {
	for {
		m, err := q.Receive(ctx)
		if err != nil {
			return
		}
		m.Done()
	}
}
