package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// steward is the goroutine of a queue that others share: it finds out whether this process is the keeper, and what all of
// them hold.
func (q *Queue) steward(ctx context.Context) {
	tick := time.NewTicker(leaseInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := q.lookAround(ctx); err != nil && ctx.Err() == nil {
				q.complain(err, "the other processes are not seen now")
			}
		case <-ctx.Done():
			return
		}
	}
}

// lookAround renews or seeks the lease, begins or ends the work of the keeper, and measures.
func (q *Queue) lookAround(ctx context.Context) error {
	if err := q.engine.away(); err != nil {
		q.lease.blind()
		return err
	}
	// What is written must be known, also when the process ends meanwhile.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTime)
	defer cancel()
	held, waiting := q.waiting()
	if !q.knowsShelves() {
		held = maps.Clone(q.lease.held)
	}
	kept, err := q.lease.look(limited, q.shares.large(held), q.wanted())
	switch {
	case kept && !q.keeping.Load():
		q.log.Info("this process hands out what waits", "process", q.lease.id)
		q.keep()
	case !kept && q.keeping.Load():
		q.log.Info("another process hands out what waits", "process", q.lease.id)
		q.yield()
	}
	if !kept {
		held, waiting = maps.Clone(q.lease.held), 0
	}
	return errors.Join(err, q.measure(limited, held, waiting))
}

// wanted reports whether this process has begun to process deliveries: before, it takes none from the others.
func (q *Queue) wanted() bool {
	select {
	case <-q.receiving:
		return true
	default:
		return false
	}
}

// knowsShelves reports whether this process is the keeper and has taken up all that waits.
func (q *Queue) knowsShelves() bool {
	if !q.keeping.Load() {
		return false
	}
	for _, s := range q.shelves() {
		if _, whole, _ := s.horizon.look(); !whole {
			return false
		}
	}
	return true
}

// mayHandOut reports whether what is on the shelves is this process's to hand out. One that was paused asks before it goes on.
func (q *Queue) mayHandOut() bool {
	return q.lease == nil || q.keeping.Load() && q.lease.renewed.since() <= leaseYield
}

// keep begins the work of the keeper.
func (q *Queue) keep() {
	q.keeping.Store(true)
	for _, s := range q.shelves() {
		s.start()
	}
}

// yield ends the work of the keeper.
func (q *Queue) yield() {
	q.keeping.Store(false)
	for _, s := range q.shelves() {
		s.forget()
	}
}

// waiting returns how much waits on the shelves or is handed out, by namespace, and how many deliveries, as far as this process
// knows.
func (q *Queue) waiting() (held map[string]int64, n int64) {
	held = make(map[string]int64)
	for _, s := range q.shelves() {
		sizes, some := s.slips.sizes()
		for namespace, size := range sizes {
			held[namespace] += size
		}
		n += some
	}
	return held, n
}

// measure takes the accounts anew: held is what waits on the shelves, to which the packs come.
func (q *Queue) measure(ctx context.Context, held map[string]int64, waiting int64) error {
	q.shares.measuring()
	state, err := q.engine.inboxState(ctx)
	if err != nil {
		return fmt.Errorf("measuring: %w", err)
	}
	if held == nil {
		held = make(map[string]int64)
	}
	deliveries := waiting
	for subject, packs := range state.Subjects {
		namespace, size := q.engine.layout.packNamespace(subject)
		held[namespace] += int64(packs) * size
		deliveries += int64(packs)
	}
	q.shares.measured(deliveries, held)
	return nil
}

// leaveTime bounds each of the two things that Close does for the others.
const leaveTime = 3 * time.Second

// leave ends the part of this process in a queue that others share: what it holds is theirs at once.
func (q *Queue) leave() error {
	return errors.Join(q.giveBack(), q.giveUpLease())
}

// giveBack gives back the packs that are not processed.
func (q *Queue) giveBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	held, _ := q.window.split()
	for _, p := range held {
		if err := p.msg.Nak(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return fmt.Errorf("giving back a pack: %w", err)
		}
	}
	return q.engine.readConn.FlushWithContext(ctx)
}

func (q *Queue) giveUpLease() error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	return q.lease.release(ctx)
}
