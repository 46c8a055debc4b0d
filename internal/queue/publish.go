package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// publishTime bounds a Publish; the sender's own patience is often no longer than 5 s.
const publishTime = 2 * time.Second

// errTimeout says that a delivery was not acknowledged in time.
var errTimeout = fmt.Errorf("%w in time", errUnsure)

// Publish stores d and returns nil once it is on disk. It returns an error after at most 2 s, or when ctx ends: ErrFull,
// ErrTooLarge, ErrBusy, ErrClosed or another, wrapped. All of them mean that the caller must not count on d being stored;
// after a timeout it may be all the same. d must not change during the call.
func (q *Queue) Publish(ctx context.Context, d delivery.Delivery) error {
	if err := q.publish(ctx, &d); err != nil {
		return fmt.Errorf("publishing delivery %s: %w", d.ID, err)
	}
	return nil
}

func (q *Queue) publish(ctx context.Context, d *delivery.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e, err := q.entries.encode(d)
	if err != nil {
		return err
	}
	if err := q.shares.reserve(e.namespace, e.size()); err != nil {
		q.entries.put(e)
		return err
	}
	if err := q.line.add(e); err != nil {
		q.drop(e)
		return err
	}
	return q.await(ctx, e)
}

// await waits for the result of e.
func (q *Queue) await(ctx context.Context, e *entry) error {
	e.patience.Reset(publishTime)
	var err error
	select {
	case err := <-e.result:
		q.entries.put(e)
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-e.patience.C:
		err = errTimeout
	}
	if q.line.remove(e) {
		q.drop(e)
	}
	// Else the committer has e and still counts it; whoever gives up leaves it there.
	return err
}

// drop gives up an entry that is nowhere else.
func (q *Queue) drop(e *entry) {
	q.shares.unreserve(e.namespace, e.size())
	q.entries.put(e)
}
