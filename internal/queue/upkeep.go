package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// purgeInterval is how often what is processed is removed from the disk.
	purgeInterval = time.Second
	// progressInterval is how often the server is told that the packs of the window are still being processed.
	progressInterval = ackWait / 3
	// stragglerAge is for how long a processed pack waits for the packs before it; then it is removed by itself, so that one
	// slow delivery holds no disk but its own.
	stragglerAge = 3 * time.Second
	// stragglerPart is the part of them, one in so many, that one purge removes: each costs an fsync that publishers wait
	// for, so a short delay must not cost much, and a long one must not let them grow without end.
	stragglerPart = 8
)

// upkeep is a goroutine: it removes what is processed.
func (q *Queue) upkeep(ctx context.Context) {
	tick := time.NewTicker(purgeInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := q.removeProcessed(ctx); err != nil && ctx.Err() == nil {
				q.complain(err, "what is processed could not be removed and will be later")
			}
		case <-ctx.Done():
			return
		}
	}
}

// removeProcessed removes what is processed from all streams, as far as it is worth it.
func (q *Queue) removeProcessed(ctx context.Context) error {
	if err := q.engine.away(); err != nil {
		return err
	}
	err := q.purge(ctx, stragglerAge, stragglerPart)
	if errors.Is(err, errLostEnd) {
		return err
	}
	for _, s := range q.shelves() {
		err = errors.Join(err, s.tidy(ctx, stragglerPart))
	}
	return err
}

// purge removes what is processed of the packs: all up to the server's acknowledgement floor, and above it one part in so
// many of what has been processed for at least age. Neither can reach a pack that is not processed: the floor is the server's,
// which counts only what was acknowledged, and what is above it is removed one by one.
func (q *Queue) purge(ctx context.Context, age time.Duration, part int) error {
	floor, err := q.engine.ackFloor(ctx)
	if err != nil {
		return err
	}
	if q.engine.shared() {
		if err := q.checkEnds(ctx, floor); err != nil {
			return err
		}
	}
	if floor > q.purged {
		if err := q.engine.purgeThrough(ctx, floor); err != nil {
			return err
		}
		q.purged = floor
	}
	stragglers := q.window.forget(floor, age)
	for _, seq := range stragglers[:(len(stragglers)+part-1)/part] {
		if err := deleteMessage(ctx, q.engine.stream, seq); err != nil {
			return err
		}
		q.window.drop(seq)
	}
	return nil
}

// errLostEnd says that the servers have lost the end of a stream, and will give its sequences to others.
var errLostEnd = errors.New("the servers have lost the end of a stream")

// lostEndTimes is how often in a row, once a second, a stream must end before it ended: a server that is cut off takes itself for
// the leader for 10 s.
const lostEndTimes = 15

// checkEnds fails when a stream ends before it ended, or before what is processed. What this process knows of sequences is
// wrong then: it removes nothing more, and the queue is broken.
func (q *Queue) checkEnds(ctx context.Context, floor uint64) error {
	q.ends[0] = max(q.ends[0], floor)
	for i, stream := range []jetstream.Stream{q.engine.stream, q.engine.retry, q.engine.once} {
		info, err := stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("asking for the end of a stream: %w", err)
		}
		if info.State.LastSeq >= q.ends[i] {
			q.ends[i] = info.State.LastSeq
			continue
		}
		if q.lostEnds++; q.lostEnds == lostEndTimes {
			close(q.broken)
		}
		return fmt.Errorf("%w: %s ends at %d, and ended at %d", errLostEnd, info.Config.Name, info.State.LastSeq, q.ends[i])
	}
	if q.lostEnds < lostEndTimes { // a queue that is broken stays so
		q.lostEnds = 0
	}
	return nil
}

// What a message is answered with to say that it is still being processed, or that it is processed.
const inProgress, acknowledged = "+WPI", "+ACK"

// awaitAcks returns when the server has seen all acknowledgements. It sees those of a connection in order, so one more that it
// must confirm is enough; "in progress" changes nothing for a pack that is acknowledged.
func (q *Queue) awaitAcks(ctx context.Context) error {
	p := q.window.anyPack()
	if p == nil {
		return nil
	}
	if _, err := q.engine.readConn.RequestWithContext(ctx, p.msg.Reply(), []byte(inProgress)); err != nil {
		return fmt.Errorf("waiting for acknowledgements to arrive: %w", err)
	}
	return nil
}

// report is a goroutine: it keeps the server from handing out again what is held.
func (q *Queue) report(ctx context.Context) {
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-q.engine.reconnected:
		case <-ctx.Done():
			return
		}
		if err := q.reportProgress(); err != nil && ctx.Err() == nil {
			q.complain(err, "the server cannot be told what is in progress")
		}
	}
}

// reportProgress says which packs are in progress. To servers elsewhere it says again which are processed: what it said while
// none was there is lost.
func (q *Queue) reportProgress() error {
	held, processed := q.window.split()
	for _, p := range held {
		if err := p.msg.InProgress(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			return err
		}
	}
	if !q.engine.shared() {
		return nil
	}
	for _, p := range processed {
		if err := q.engine.readConn.Publish(p.msg.Reply(), []byte(acknowledged)); err != nil {
			return err
		}
	}
	return nil
}
