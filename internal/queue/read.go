package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// retryDelay is the pause before reading goes on after an error.
	retryDelay = time.Second
	// fetchBeat is how often the server says that a request still stands; without it for twice as long one is made anew.
	fetchBeat = 2 * time.Second
)

// Receive returns the next delivery to process. It blocks until there is one, or returns the error of ctx, or ErrClosed. On a
// cluster the first call is what makes this process take deliveries, and the work of the keeper.
func (q *Queue) Receive(ctx context.Context) (*Message, error) {
	if err := q.closedError(); err != nil {
		return nil, err
	}
	q.receive.Do(func() { close(q.receiving) })
	for {
		select {
		case <-q.window.tokens:
			m := q.window.next()
			if m.shelf == nil || q.mayHandOut() {
				return m, nil
			}
			m.shelf.later(m.slip)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.closed:
			return nil, ErrClosed
		}
	}
}

// readAhead is the reader: it keeps the window filled.
func (q *Queue) readAhead(ctx context.Context) {
	if q.engine.shared() {
		select {
		case <-q.receiving: // what nobody processes here is for others
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		if err := q.read(ctx, q.awaitRoom(ctx)); err != nil && ctx.Err() == nil {
			q.complain(err, "reading was interrupted and goes on")
			sleep(ctx, retryDelay)
		}
	}
}

// awaitRoom blocks until packs fit into the window and returns how many, or 0 when ctx ends.
func (q *Queue) awaitRoom(ctx context.Context) int {
	for {
		if packs := q.window.fits(); packs > 0 {
			return packs
		}
		select {
		case <-q.window.room:
		case <-ctx.Done():
			return 0
		}
	}
}

// read asks for so many packs, which all fit, and takes them as they come, until all came, the request expires or ctx ends.
func (q *Queue) read(ctx context.Context, packs int) error {
	if packs == 0 {
		return nil
	}
	options := []jetstream.FetchOpt{jetstream.FetchContext(ctx)}
	if q.engine.shared() {
		if err := q.engine.away(); err != nil {
			return err
		}
		options = append(options, jetstream.FetchHeartbeat(fetchBeat))
	}
	batch, err := q.engine.consumer.Fetch(packs, options...)
	if err != nil {
		return fmt.Errorf("asking for packs: %w", err)
	}
	for msg := range batch.Messages() {
		q.take(msg)
	}
	if err := batch.Error(); err != nil {
		return fmt.Errorf("reading packs: %w", err)
	}
	return nil
}

// take takes a message of the stream into the window. The server repeats what it believes lost; what is held already is not
// handed out twice.
func (q *Queue) take(msg jetstream.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		q.log.Error(err, "a message of the stream has no metadata", "subject", msg.Subject())
		return
	}
	seq := meta.Sequence.Stream
	if p, processed := q.window.find(seq); p != nil {
		if processed {
			q.ack(msg) // the first acknowledgement was lost
		}
		return
	}
	deliveries, err := unpack(msg.Data())
	namespace, _ := q.engine.layout.packNamespace(msg.Subject())
	p := &readPack{msg: msg, seq: seq, namespace: namespace, size: len(msg.Data()) - 1, left: len(deliveries)}
	if err != nil {
		q.refuse(p, err)
		return
	}
	ms := make([]*Message, len(deliveries))
	for i, d := range deliveries {
		ms[i] = &Message{Delivery: d, queue: q, pack: p}
	}
	q.shares.read(seq, len(ms))
	q.window.add(p, ms)
}

// refuse moves a pack that cannot be decoded aside. While that fails the pack stays in the stream, is not acknowledged, and
// is read again after ackWait.
func (q *Queue) refuse(p *readPack, reason error) {
	path, err := q.moveAside(q.engine.layout.stream(inboxStream), p.seq, p.msg.Data())
	if err != nil {
		q.log.Error(errors.Join(reason, err), "a pack cannot be decoded, nor moved aside", "namespace", p.namespace, "sequence", p.seq)
		return
	}
	q.log.Error(reason, "a pack cannot be decoded and was moved aside", "namespace", p.namespace, "sequence", p.seq, "to", path)
	q.shares.refuse(p.namespace, p.seq)
	q.ack(p.msg)
}

// done is called once for each delivery that is done.
func (q *Queue) done(p *readPack) {
	q.shares.done()
	if q.window.done(p) {
		q.shares.release(p.namespace, p.seq, p.size)
		q.ack(p.msg)
	}
}

// ack acknowledges a pack. An acknowledgement that is lost is repeated when the server repeats the pack.
func (q *Queue) ack(msg jetstream.Msg) {
	if err := msg.Ack(); err != nil && q.closedError() == nil {
		q.complain(err, "a pack cannot be acknowledged now", "subject", msg.Subject())
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
