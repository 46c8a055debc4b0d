package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// Postpone stores d, to be handed out by Receive at a later time together with progress, which is the caller's: at most
// 32 KiB that say what is done already. It returns nil once that is on disk. Who postpones a Message calls its Done
// afterwards: a kill between the two doubles the work and loses nothing.
//
// id names the work within the namespace of d: 1 to 192 letters, digits, "-" and "_". While it waits, postponing the same id
// again replaces it, time and progress included. One that Receive has handed out is not recalled.
//
// What is postponed counts into the share of its namespace; postponing may overdraw it by as much again. ErrFull means that
// not even that is left, or that the disk is full: the caller keeps the Message, without Done, and tries again later. It
// returns an error at most 2 s after its turn has come, or when ctx ends; then d may be stored all the same.
func (q *Queue) Postpone(ctx context.Context, id string, at time.Time, d delivery.Delivery, progress []byte) error {
	if err := q.postpone(ctx, id, at, &d, progress); err != nil {
		return fmt.Errorf("postponing %s: %w", id, err)
	}
	return nil
}

func (q *Queue) postpone(ctx context.Context, id string, at time.Time, d *delivery.Delivery, progress []byte) error {
	if err := q.closedError(); err != nil {
		return err
	}
	m, err := shelve(q.retries.prefix, id, d, progress, q.engine.layout.largest)
	if err != nil {
		return err
	}
	due := at.Add(time.Millisecond - 1).UnixMilli() // never before its time
	m.Header.Set(headerDue, strconv.FormatInt(due, 10))
	if err := q.shares.overdraw(d.Namespace, len(m.Data)+shelfOverhead); err != nil {
		return err
	}
	defer q.shares.unreserve(d.Namespace, len(m.Data)+shelfOverhead)
	return q.retries.store(ctx, m)
}
