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
)

// upkeep is the third goroutine: it removes what is processed and reports what is in progress.
func (q *Queue) upkeep(ctx context.Context) {
	purge, progress := time.NewTicker(purgeInterval), time.NewTicker(progressInterval)
	defer purge.Stop()
	defer progress.Stop()
	for {
		select {
		case <-purge.C:
			if err := q.purge(ctx, stragglerAge); err != nil && ctx.Err() == nil {
				q.log.Error(err, "what is processed could not be removed and will be later")
			}
		case <-progress.C:
			q.reportProgress()
		case <-ctx.Done():
			return
		}
	}
}

// purge removes what is processed: all up to the server's acknowledgement floor, and above it what has been processed for
// at least age. Neither can reach a pack that is not processed: the floor is the server's, which counts only what was
// acknowledged, and what is above it is removed one by one.
func (q *Queue) purge(ctx context.Context, age time.Duration) error {
	floor, err := q.engine.ackFloor(ctx)
	if err != nil {
		return err
	}
	if floor > q.purged {
		if err := q.engine.purgeThrough(ctx, floor); err != nil {
			return err
		}
		q.purged = floor
	}
	for _, p := range q.window.forget(floor, age) {
		err := q.engine.stream.DeleteMsg(ctx, p.seq)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("removing processed message %d: %w", p.seq, err)
		}
		q.window.drop(p.seq)
	}
	return nil
}

// reportProgress keeps the server from handing out again what is held.
func (q *Queue) reportProgress() {
	for _, p := range q.window.held() {
		if err := p.msg.InProgress(); err != nil {
			q.log.Error(err, "the server cannot be told what is in progress")
			return
		}
	}
}
