package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// commitTime bounds the wait for one acknowledgement of the server.
	commitTime = publishTime
	// codeStoreFailed is the server's error code when a message could not be stored, and textFull how it says that the
	// reason is MaxBytes.
	codeStoreFailed jetstream.ErrorCode = 10077
	textFull                            = "maximum bytes exceeded"
)

// commitWaiting is the committer: it stores what waits, and what came meanwhile, and so on. When it ends it fails what is
// left; the line is closed before.
func (q *Queue) commitWaiting(ctx context.Context) {
	c := committer{publish: q.engine.js.PublishMsgAsync, settle: q.settle, open: make(map[string]int)}
	var taken []*entry
	for {
		select {
		case <-q.line.wake:
			// Those whom the last commit woke may publish again at once: let them run, and they share this one.
			runtime.Gosched()
			taken = q.line.take(taken)
			c.commit(taken)
			clear(taken) // entries are used again elsewhere
		case <-ctx.Done():
			q.settle(q.line.take(nil), ErrClosed)
			return
		}
	}
}

// settle tells the publishers of es how it ended and gives up the entries.
func (q *Queue) settle(es []*entry, err error) {
	for _, e := range es {
		if err != nil {
			q.shares.unreserve(e.namespace, e.size())
		}
		e.result <- err
	}
}

// committer stores entries in packs. It keeps its memory from one commit to the next and belongs to one goroutine.
type committer struct {
	publish func(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error)
	settle  func([]*entry, error)

	packs  []pending
	open   map[string]int // subject → index of the pack that may take more
	buffer []byte
}

// pending is a pack that is being stored.
type pending struct {
	entries []*entry
	size    int
	ack     jetstream.PubAckFuture
}

// commit stores es: all packs are sent, then all acknowledgements awaited.
func (c *committer) commit(es []*entry) {
	c.group(es)
	for i := range c.packs {
		c.send(&c.packs[i])
	}
	for i := range c.packs {
		p := &c.packs[i]
		if p.ack != nil {
			c.settle(p.entries, wait(p.ack))
		}
	}
}

// group sorts entries into packs of one subject each, in order.
func (c *committer) group(es []*entry) {
	clear(c.open)
	c.packs = c.packs[:0]
	for _, e := range es {
		i, ok := c.open[e.subject]
		if !ok || !e.fits(len(c.packs[i].entries), c.packs[i].size) {
			i = c.newPack()
			c.open[e.subject] = i
		}
		p := &c.packs[i]
		p.entries = append(p.entries, e)
		p.size += e.size()
	}
}

// newPack adds an empty pack, with the memory of an earlier one if there is any, and returns its index.
func (c *committer) newPack() int {
	i := len(c.packs)
	if i < cap(c.packs) {
		c.packs = c.packs[:i+1]
		c.packs[i] = pending{entries: c.packs[i].entries[:0]}
	} else {
		c.packs = append(c.packs, pending{})
	}
	return i
}

// send publishes a pack; its entries are settled at once if that fails.
func (c *committer) send(p *pending) {
	pack := appendPack(c.buffer[:0], p.entries)
	if len(p.entries) > 1 {
		c.buffer = pack
	}
	// Without a retry: the buffer is used for the next pack as soon as the connection has copied it.
	var err error
	p.ack, err = c.publish(&nats.Msg{Subject: p.entries[0].subject, Data: pack}, jetstream.WithRetryAttempts(0))
	if err != nil {
		p.ack = nil
		c.settle(p.entries, fmt.Errorf("sending to the server: %w", err))
	}
}

// wait waits for the acknowledgement, or commitTime. A nil error means that the pack is on disk.
func wait(ack jetstream.PubAckFuture) error {
	// The connection's own timeout ends most waits; this one is the net below it.
	timer := time.NewTimer(commitTime + time.Second)
	defer timer.Stop()
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return commitError(err)
	case <-timer.C:
		return errTimeout
	}
}

// commitError tells a full stream, a taken subject and a timeout from other failures.
func commitError(err error) error {
	var api *jetstream.APIError
	errors.As(err, &api)
	switch {
	case api != nil && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, textFull):
		return ErrFull
	case api != nil && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return errTaken
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return errTimeout
	}
	return fmt.Errorf("storing: %w", err)
}
