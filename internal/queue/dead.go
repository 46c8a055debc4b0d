package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

const (
	// deadAge is how long a dead letter is kept.
	deadAge = 7 * 24 * time.Hour
	// deadFraction is what they may take beside MaxBytes: one part of it in so many.
	deadFraction = 8
	// deadOverhead is more than what a dead letter takes beside its delivery: subject, header and record.
	deadOverhead = 1 << 10
)

// ErrNotFound says that there is no dead letter of this id, or none any more.
var ErrNotFound = errors.New("no such dead letter")

// deadConfig describes the stream of dead letters. When it is full the oldest goes out, for they are history, not work: what
// failed last is what somebody will look for, and a failure that cannot be kept must not hold up the delivery.
func (e *engine) deadConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               e.layout.stream(deadStream),
		Subjects:           []string{e.layout.subject(deadPrefix) + "*"},
		Discard:            jetstream.DiscardOld,
		MaxBytes:           e.maxBytes / deadFraction,
		MaxAge:             deadAge,
		MaxMsgsPerSubject:  1,
		AllowDirect:        !e.shared(),
		AllowAtomicPublish: true,
	}
}

// Bury keeps d, which has failed for good, for seven days or until later ones need its room, an eighth of the queue's. It
// returns nil once d is on disk. id is 1 to 192 letters, digits, "-" and "_"; what was buried under the same id before is
// replaced. It returns ErrTooLarge when d alone has no room, and other errors after at most 2 s or when ctx ends.
func (q *Queue) Bury(ctx context.Context, id string, d delivery.Delivery) error {
	if err := q.bury(ctx, id, &d); err != nil {
		return fmt.Errorf("burying %s: %w", id, err)
	}
	return nil
}

func (q *Queue) bury(ctx context.Context, id string, d *delivery.Delivery) error {
	if err := errors.Join(q.closedError(), checkID(id)); err != nil {
		return err
	}
	m := &nats.Msg{Subject: q.deadSubject(id), Header: make(nats.Header), Data: d.Append([]byte{packFormat})}
	if int64(len(m.Data)) > min(int64(q.engine.layout.largest), q.engine.maxBytes/deadFraction-deadOverhead) {
		return ErrTooLarge
	}
	if err := q.dead.acquire(ctx, m); err != nil {
		return err
	}
	defer q.dead.release(m)
	_, err := q.dead.write(ctx, m)
	return err
}

func (q *Queue) deadSubject(id string) string { return q.engine.layout.subject(deadPrefix) + id }

// Exhume returns what was buried under id, which stays there, or ErrNotFound.
func (q *Queue) Exhume(ctx context.Context, id string) (delivery.Delivery, error) {
	d, err := q.exhume(ctx, id)
	if err != nil {
		return delivery.Delivery{}, fmt.Errorf("reading dead letter %s: %w", id, err)
	}
	return d, nil
}

func (q *Queue) exhume(ctx context.Context, id string) (delivery.Delivery, error) {
	if err := errors.Join(q.closedError(), checkID(id)); err != nil {
		return delivery.Delivery{}, err
	}
	m, err := q.engine.dead.GetLastMsgForSubject(ctx, q.deadSubject(id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return delivery.Delivery{}, ErrNotFound
	}
	if err != nil {
		return delivery.Delivery{}, err
	}
	ds, err := unpack(m.Data)
	if err != nil {
		return delivery.Delivery{}, err
	}
	return ds[0], nil
}
