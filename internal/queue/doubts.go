package queue

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// doubtTime is how long after its publisher was told of a timeout a message may still come.
	doubtTime = time.Minute
	// maxDoubts bounds what is in doubt; what is stored beyond that is found when the queue is opened.
	maxDoubts = 10_000
)

// doubts are the subjects of ONCE that may have a message although its publisher was told otherwise. They may be used by any
// goroutine.
type doubts struct {
	mu    sync.Mutex
	since map[string]time.Time // by subject
}

func (d *doubts) add(subject string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.since) >= maxDoubts {
		return
	}
	if d.since == nil {
		d.since = make(map[string]time.Time)
	}
	d.since[subject] = now
}

// end ends a doubt and reports whether there was one.
func (d *doubts) end(subject string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, doubted := d.since[subject]
	delete(d.since, subject)
	return doubted
}

func (d *doubts) all() map[string]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.since)
}

// settleDoubts takes up what was stored although its publisher was told otherwise: until then it counts for no namespace.
func (q *Queue) settleDoubts(ctx context.Context) error {
	for subject, since := range q.doubts.all() {
		_, err := q.firstOf(ctx, subject)
		switch {
		case err == nil:
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return err
		case time.Since(since) > doubtTime:
			q.doubts.end(subject)
		}
	}
	return nil
}
