package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// headerDue says when a message is due, in Unix milliseconds; without it, it is due when it is stored.
	headerDue = "Hookstorm-Due"
	// headerDelivery is the id of the delivery in the message.
	headerDelivery = "Hookstorm-Delivery"
	// headerExpires is when a mark may be removed, in Unix milliseconds.
	headerExpires = "Hookstorm-Expires"
)

// shelf is a stream of single deliveries, each of which has a subject of its own and is handed out when it is due. The stream
// keeps the last message of each subject and is the truth; what is in memory follows it.
type shelf struct {
	queue   *Queue
	stream  jetstream.Stream
	writer  *writer
	slips   *slips
	keep    time.Duration // for how long after storing the subject of a delivery that is done stays taken; zero: not at all
	horizon *horizon
	marks   marks
	removed []uint64 // sequences to be removed, oldest first; the upkeep's, then Close's

	follower, hander worker
}

// shelfConfig describes the stream of a shelf.
func shelfConfig(name, prefix string, maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               name,
		Subjects:           []string{prefix + "*.*"}, // namespace and id
		Discard:            jetstream.DiscardNew,
		MaxBytes:           maxBytes,
		MaxMsgsPerSubject:  1,
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

func newShelf(q *Queue, stream jetstream.Stream, keep time.Duration) *shelf {
	return &shelf{queue: q, stream: stream, writer: newWriter(q.engine), slips: newSlips(), keep: keep, horizon: new(horizon)}
}

// start begins to follow the stream and hands out what is due once all that it holds is known.
func (s *shelf) start(ctx context.Context) error {
	s.follower.start(s.follow)
	err := s.horizon.awaitWhole(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("reading what waits: %w", err)
	}
	if err != nil {
		s.queue.log.Error(err, "messages cannot be read; the queue's files are damaged", "stream", s.name())
	}
	s.hander.start(s.handOut)
	return nil
}

// stop ends what start began.
func (s *shelf) stop() {
	s.hander.stop()
	s.follower.stop()
}

func (s *shelf) name() string { return s.stream.CachedInfo().Config.Name }

// store stores m and returns when the shelf knows of it. The caller has reserved its size with the overhead, and gives that
// back: the shelf counts what it knows.
func (s *shelf) store(ctx context.Context, m *nats.Msg) error {
	if err := s.writer.acquire(ctx, m); err != nil {
		return err
	}
	defer s.writer.release(m)
	if err := s.queue.closedError(); err != nil {
		return err
	}
	seq, err := s.writer.write(ctx, m)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, healthTime) // it is stored, known or not
	defer cancel()
	s.horizon.await(limited, seq)
	return nil
}

func newSlip(subject string, seq uint64, size int, due int64) *slip {
	return &slip{subject: subject, namespace: shelfNamespace(subject), seq: seq, size: size, due: due}
}

// shelfNamespace returns the namespace of a subject, its second token.
func shelfNamespace(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	namespace, _, _ := strings.Cut(rest, ".")
	return namespace
}

// handOut is the shelf's goroutine: it hands out what is due.
func (s *shelf) handOut(ctx context.Context) {
	for ctx.Err() == nil {
		n, wait := s.slips.next(time.Now().UnixMilli())
		if n != nil {
			s.fetch(ctx, n)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-s.slips.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// fetch reads the message of a slip and passes it on to the window.
func (s *shelf) fetch(ctx context.Context, n *slip) {
	raw, err := s.stream.GetMsg(ctx, n.seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		s.lose(ctx, n)
		return
	case err != nil:
		if ctx.Err() == nil {
			s.queue.log.Error(err, "a delivery cannot be read now and will be later", "subject", n.subject, "sequence", n.seq)
		}
		s.later(n)
		return
	}
	d, progress, err := unshelve(raw.Data)
	if err != nil {
		s.refuse(n, raw.Data, err)
		return
	}
	s.queue.window.hand(n.namespace, &Message{Delivery: d, Progress: progress, queue: s.queue, shelf: s, slip: n})
}

// lose gives up a slip, the message of which is not in the stream. A later message may have replaced it.
func (s *shelf) lose(ctx context.Context, n *slip) {
	if s.slips.lost(n) {
		if _, err := s.stream.GetLastMsgForSubject(ctx, n.subject); err != nil {
			s.queue.log.Error(err, "a delivery is not in the queue any more", "subject", n.subject, "sequence", n.seq)
		}
	}
	s.queue.shares.unreserve(n.namespace, n.size)
}

// later lets a slip wait again that cannot be handed out now.
func (s *shelf) later(n *slip) {
	if void := s.slips.putBack(n, time.Now().Add(retryDelay).UnixMilli()); void != nil {
		s.queue.shares.unreserve(void.namespace, void.size)
	}
}

// refuse moves a message that cannot be decoded aside. While that fails it stays where it is.
func (s *shelf) refuse(n *slip, content []byte, reason error) {
	path, err := s.queue.moveAside(n.seq, content)
	if err != nil {
		s.queue.log.Error(errors.Join(reason, err), "a delivery cannot be decoded, nor moved aside",
			"namespace", n.namespace, "sequence", n.seq)
		s.later(n)
		return
	}
	s.queue.log.Error(reason, "a delivery cannot be decoded and was moved aside",
		"namespace", n.namespace, "sequence", n.seq, "file", path)
	s.slips.done(n, "")
	s.queue.shares.unreserve(n.namespace, n.size)
}

// done is called once for each message that is done.
func (s *shelf) done(m *Message) {
	s.slips.done(m.slip, m.Delivery.ID)
	s.queue.shares.unreserve(m.slip.namespace, m.slip.size)
}
