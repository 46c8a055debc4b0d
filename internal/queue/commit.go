package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// againPause is the pause before what was not acknowledged is sent again: a server that has just become the leader of a
	// stream is not known at once.
	againPause = publishTime / 8
	// codeStoreFailed is the server's error code when a message could not be stored, and textFull how it says that the
	// reason is MaxBytes.
	codeStoreFailed jetstream.ErrorCode = 10077
	textFull                            = "maximum bytes exceeded"
)

// commitWaiting is the committer: it stores what waits, and what came meanwhile, and so on. When it ends it fails what is
// left; the line is closed before.
func (q *Queue) commitWaiting(ctx context.Context) {
	c := committer{
		layout: &q.engine.layout, publish: q.engine.publish, settle: q.settle, open: make(map[string]int),
	}
	var taken []*entry
	for {
		select {
		case <-q.line.wake:
			// Those whom the last commit woke may publish again at once: let them run, and they share this one.
			runtime.Gosched()
			taken = q.line.take(taken)
			c.commit(ctx, taken)
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
	layout  *layout
	publish func(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error)
	settle  func([]*entry, error)

	packs  []pending
	open   map[string]int // namespace → index of the pack that may take more
	buffer []byte
}

// pending is a pack that is being stored.
type pending struct {
	entries []*entry
	size    int
	id      string // of its message, where it may be sent twice
	ack     jetstream.PubAckFuture
	err     error // it could not even be sent
	settled bool
}

// commit stores es: all packs are sent, then all acknowledgements awaited. Of servers that may replace each other, those
// packs of which it is not known whether they are stored are sent once more, under the same message id.
func (c *committer) commit(ctx context.Context, es []*entry) {
	c.group(es)
	c.sendAll()
	if c.settleAll(c.layout.shared) {
		return
	}
	sleep(ctx, againPause)
	c.sendAll()
	c.settleAll(false)
}

// sendAll sends the packs that are not settled.
func (c *committer) sendAll() {
	for i := range c.packs {
		if p := &c.packs[i]; !p.settled {
			c.send(p)
		}
	}
}

// settleAll settles the packs as they are acknowledged, and reports whether all are: with again it leaves those of which it is
// not known whether they are stored.
func (c *committer) settleAll(again bool) bool {
	all := true
	for i := range c.packs {
		p := &c.packs[i]
		if p.settled {
			continue
		}
		err := c.wait(p)
		if again && errors.Is(err, errUnsure) {
			all = false
			continue
		}
		p.settled = true
		c.settle(p.entries, err)
	}
	return all
}

// group sorts entries into packs of one namespace each, in order.
func (c *committer) group(es []*entry) {
	clear(c.open)
	c.packs = c.packs[:0]
	for _, e := range es {
		i, ok := c.open[e.namespace]
		if !ok || !e.fits(len(c.packs[i].entries), c.packs[i].size) {
			i = c.newPack()
			c.open[e.namespace] = i
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

// send publishes a pack.
func (c *committer) send(p *pending) {
	pack := appendPack(c.buffer[:0], p.entries)
	if len(p.entries) > 1 {
		c.buffer = pack
	}
	m := &nats.Msg{Subject: c.layout.packSubject(p.entries[0].namespace, len(pack)), Data: pack}
	if c.layout.shared {
		if p.id == "" {
			p.id = rand.Text()
		}
		m.Header = nats.Header{jetstream.MsgIDHeader: {p.id}}
	}
	// Without a retry of the client's: the buffer is used for the next pack as soon as the connection has copied it.
	p.ack, p.err = c.publish(m, jetstream.WithRetryAttempts(0))
}

// wait waits for the acknowledgement, or as long as the server may take. A nil error means that the pack is on disk.
func (c *committer) wait(p *pending) error {
	if p.err != nil {
		return commitError(p.err)
	}
	// The connection's own timeout ends most waits; this one is the net below it.
	timer := time.NewTimer(c.layout.patience + time.Second)
	defer timer.Stop()
	select {
	case <-p.ack.Ok():
		return nil
	case err := <-p.ack.Err():
		return commitError(err)
	case <-timer.C:
		return errTimeout
	}
}

// errUnsure says that it is not known whether a message is stored, or that a server which could store it is not known now.
var errUnsure = errors.New("the server did not answer")

// codesUnsure are the error codes of the server when it cannot say: another server must become the leader, or is about to,
// messages of a batch are lost, too much is on its way, or a message of this id is.
var codesUnsure = []jetstream.ErrorCode{10008, 10009, 10158, 10176, 10210}

// commitError tells a full stream, a taken subject and a server that does not answer from other failures.
func commitError(err error) error {
	var api *jetstream.APIError
	errors.As(err, &api)
	switch {
	case api != nil && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, textFull):
		return ErrFull
	case api != nil && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant): // a message of the subject is on its way
		return errTaken
	case errors.Is(err, jetstream.ErrAsyncPublishTimeout):
		return errTimeout
	case api == nil, slices.Contains(codesUnsure, api.ErrorCode):
		return fmt.Errorf("%w: %w", errUnsure, err)
	}
	return fmt.Errorf("storing: %w", err)
}
