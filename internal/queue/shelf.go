package queue

import (
	"context"
	"errors"
	"strings"
	"sync"
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
	prefix  string // of its subjects
	stream  jetstream.Stream
	writer  *writer
	slips   *slips
	keep    time.Duration // for how long after storing the subject of a delivery that is done stays taken; zero: not at all
	horizon horizon
	marks   marks
	loaded  chan struct{} // closed when all that the stream held is known, or cannot be read
	removed []uint64      // sequences to be removed, oldest first; the upkeep's, then Close's

	// removing is held while messages are removed by the lowest sequence that must stay: nothing may be forgotten meanwhile.
	removing sync.Mutex

	follower, hander worker
}

// shelfConfig describes the stream of a shelf.
func (e *engine) shelfConfig(name, prefix string, maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               e.layout.stream(name),
		Subjects:           []string{e.layout.subject(prefix) + "*.*"}, // namespace and id
		Discard:            jetstream.DiscardNew,
		MaxBytes:           maxBytes,
		MaxMsgsPerSubject:  1,
		AllowDirect:        !e.shared(), // a server that lags behind would answer, too
		AllowAtomicPublish: true,
	}
}

func newShelf(q *Queue, prefix string, stream jetstream.Stream, keep time.Duration) *shelf {
	return &shelf{queue: q, prefix: q.engine.layout.subject(prefix), stream: stream, writer: newWriter(q.engine), slips: newSlips(), keep: keep}
}

// start begins to follow the stream, and to hand out what is due once all that it holds is known.
func (s *shelf) start() {
	s.loaded = make(chan struct{})
	s.follower.start(s.follow)
	s.hander.start(func(ctx context.Context) {
		for err := s.horizon.awaitWhole(ctx); err != nil && ctx.Err() == nil; err = s.horizon.awaitWhole(ctx) {
			if !s.queue.engine.shared() {
				s.queue.log.Error(err, "messages cannot be read; the queue's files are damaged", "stream", s.name())
				break
			}
		}
		close(s.loaded)
		s.handOut(ctx)
	})
}

// stop ends what start began.
func (s *shelf) stop() {
	s.hander.stop()
	s.follower.stop()
}

// forget ends a term: another process hands out what waits from now on.
func (s *shelf) forget() {
	s.stop()
	s.removing.Lock()
	defer s.removing.Unlock()
	s.slips.clear()
	s.marks.clear()
	s.horizon.clear()
}

func (s *shelf) name() string { return s.stream.CachedInfo().Config.Name }

// store stores m and returns when the shelf knows of it, in a queue of one's own. The caller has reserved its size with the
// overhead and gives that back: the shelf counts what it knows.
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
	if !s.queue.engine.shared() {
		limited, cancel := context.WithTimeout(ctx, healthTime) // it is stored, known or not
		defer cancel()
		s.horizon.await(limited, seq)
	}
	return nil
}

func newSlip(subject string, seq uint64, size int, due int64) *slip {
	return &slip{subject: subject, namespace: shelfNamespace(subject), seq: seq, size: size, due: due}
}

// shelfNamespace returns the namespace of a subject, its last token but one.
func shelfNamespace(subject string) string {
	before := subject[:max(0, strings.LastIndexByte(subject, '.'))]
	return before[strings.LastIndexByte(before, '.')+1:]
}

// handOut is a goroutine of the shelf: it hands out what is due.
func (s *shelf) handOut(ctx context.Context) {
	for ctx.Err() == nil {
		if !s.queue.mayHandOut() {
			sleep(ctx, leaseInterval)
			continue
		}
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
	var raw *jetstream.RawStreamMsg
	err := s.queue.engine.away()
	if err == nil {
		raw, err = s.stream.GetMsg(ctx, n.seq)
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && raw.Subject != n.subject:
		s.lose(ctx, n)
		return
	case err != nil:
		if ctx.Err() == nil {
			s.queue.complain(err, "a delivery cannot be read now and will be later", "subject", n.subject, "sequence", n.seq)
		}
		s.later(n)
		if s.queue.engine.shared() {
			sleep(ctx, retryDelay) // it is the servers, not this one
		}
		return
	}
	d, progress, err := unshelve(raw.Data)
	if err != nil {
		s.refuse(n, raw.Data, err)
		return
	}
	s.queue.window.hand(n.namespace, &Message{Delivery: d, Progress: progress, queue: s.queue, shelf: s, slip: n})
}

// missedOften is how often a server of a cluster must say that a message is not there: it may have become the leader just now.
const missedOften = 10

// lose gives up a slip, the message of which is not in the stream. A later message may have replaced it, or another process have
// done it.
func (s *shelf) lose(ctx context.Context, n *slip) {
	last, err := s.stream.GetLastMsgForSubject(ctx, n.subject)
	unknown := err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && last.Sequence == n.seq
	shared := s.queue.engine.shared()
	if n.missed++; unknown || shared && n.missed < missedOften {
		s.later(n)
		return
	}
	lost := s.slips.lost(n) && err != nil
	switch {
	case lost && shared:
		s.queue.log.Info("a delivery is not in the queue any more; another process may have done it",
			"subject", n.subject, "sequence", n.seq)
	case lost:
		s.queue.log.Error(err, "a delivery is not in the queue any more", "subject", n.subject, "sequence", n.seq)
	}
	s.free(n)
}

// later lets a slip wait again that cannot be handed out now.
func (s *shelf) later(n *slip) {
	s.free(s.slips.putBack(n, time.Now().Add(retryDelay).UnixMilli()))
}

// refuse moves a message that cannot be decoded aside. While that fails it stays where it is.
func (s *shelf) refuse(n *slip, content []byte, reason error) {
	path, err := s.queue.moveAside(s.name(), n.seq, content)
	if err != nil {
		s.queue.log.Error(errors.Join(reason, err), "a delivery cannot be decoded, nor moved aside",
			"namespace", n.namespace, "sequence", n.seq)
		s.later(n)
		return
	}
	s.queue.log.Error(reason, "a delivery cannot be decoded and was moved aside",
		"namespace", n.namespace, "sequence", n.seq, "to", path)
	s.slips.done(n, "")
	s.queue.shares.unreserve(n.namespace, n.size)
}

// done is called once for each message that is done.
func (s *shelf) done(m *Message) {
	s.slips.done(m.slip, m.Delivery.ID)
	s.queue.shares.unreserve(m.slip.namespace, m.slip.size)
}
