package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// DefaultDeduplicateWindow is for how long an id is remembered when nothing else is said.
const DefaultDeduplicateWindow = 10 * time.Minute

// oncePause is the pause before an id that is taken by nothing is tried again.
const oncePause = 10 * time.Millisecond

// errTaken says that the stream has a message of the subject already.
var errTaken = errors.New("the id is taken")

// PublishOnce stores d as Publish does, unless a delivery was stored under the same id and namespace less than the
// deduplicate window ago, or is not done yet. It returns the id of the delivery that is stored: that of d, or that of the
// earlier one and true. Both are on disk. id is 1 to 192 letters, digits, "-" and "_". Each such delivery is a message of its
// own, which costs more than a place in a pack.
//
// The engine's own Msg-Id would not do: it forgets an id with its message, which must stay for the window, and the
// acknowledgements of messages that stay are forgotten when the queue is opened. So an id is a subject, which must be free;
// and a delivery that is done is replaced by a mark on its subject.
func (q *Queue) PublishOnce(ctx context.Context, id string, d delivery.Delivery) (first string, duplicate bool, err error) {
	first, duplicate, err = q.publishOnce(ctx, id, &d)
	if err != nil {
		return "", false, fmt.Errorf("publishing delivery %s once: %w", d.ID, err)
	}
	return first, duplicate, nil
}

func (q *Queue) publishOnce(ctx context.Context, id string, d *delivery.Delivery) (first string, duplicate bool, err error) {
	if err := ctx.Err(); err != nil {
		return "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	for {
		err = q.storeOnce(ctx, id, d)
		if !errors.Is(err, errTaken) {
			break
		}
		first, err = q.firstOf(ctx, q.once.prefix+d.Namespace+"."+id)
		if err == nil {
			return first, first != d.ID, nil
		}
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		// It expired meanwhile, or is on its way to the servers.
		sleep(ctx, oncePause)
	}
	if err != nil && ctx.Err() != nil {
		err = errTimeout
	}
	return d.ID, false, err
}

// storeOnce stores d, or fails with errTaken.
func (q *Queue) storeOnce(ctx context.Context, id string, d *delivery.Delivery) error {
	if err := q.closedError(); err != nil {
		return err
	}
	m, err := shelve(q.once.prefix, id, d, nil, q.engine.layout.largest)
	if err != nil {
		return err
	}
	m.Header.Set(headerDelivery, d.ID)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	if err := q.shares.reserve(d.Namespace, len(m.Data)+shelfOverhead); err != nil {
		return err
	}
	defer q.shares.unreserve(d.Namespace, len(m.Data)+shelfOverhead)
	return q.once.store(ctx, m)
}

// firstOf returns the id of the delivery that was stored under a subject.
func (q *Queue) firstOf(ctx context.Context, subject string) (string, error) {
	m, err := q.once.stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return "", fmt.Errorf("reading the first delivery: %w", err)
	}
	return m.Header.Get(headerDelivery), nil
}
