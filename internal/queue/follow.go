package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// followBatch is how many headers are asked for at once.
	followBatch = 4096
	// followTime is how long a request for headers stands.
	followTime = 5 * time.Second
	// loadTime is how long the next header may take while a stream is taken up.
	loadTime = 10 * time.Second
	// headerSize is where the server tells the size of a message of which it sends only the headers.
	headerSize = "Nats-Msg-Size"
)

// horizon is how far a stream was followed. It may be used by any goroutine.
type horizon struct {
	mu      sync.Mutex
	seq     uint64        // of the last message that was taken up
	whole   bool          // all that the stream held when it was followed first is taken up
	changed chan struct{} // closed when any of this changes; made by who waits for that
}

// reach says that the messages up to seq are taken up, and whether none of those that were there is left.
func (h *horizon) reach(seq uint64, whole bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq, h.whole = max(h.seq, seq), h.whole || whole
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// clear says that nothing is taken up.
func (h *horizon) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq, h.whole = 0, false
}

// last returns the sequence of the last message that was taken up.
func (h *horizon) last() uint64 {
	seq, _, _ := h.look()
	return seq
}

// look returns how far the stream was followed, and a channel that is closed when that changes.
func (h *horizon) look() (seq uint64, whole bool, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.seq, h.whole, h.changed
}

// await returns when the message of this sequence is taken up, or ctx ends.
func (h *horizon) await(ctx context.Context, seq uint64) {
	for {
		reached, _, changed := h.look()
		if reached >= seq {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// awaitWhole returns when all that the stream held is taken up, or with an error when nothing more comes.
func (h *horizon) awaitWhole(ctx context.Context) error {
	timer := time.NewTimer(loadTime)
	defer timer.Stop()
	for {
		_, whole, changed := h.look()
		if whole {
			return nil
		}
		timer.Reset(loadTime)
		select {
		case <-changed:
		case <-timer.C:
			return fmt.Errorf("nothing more was read for %s", loadTime)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow is a goroutine of the shelf: it takes up what the stream holds, and then what is stored, in the order of the stream.
func (s *shelf) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.readHeaders(ctx); err != nil && ctx.Err() == nil {
			s.queue.complain(err, "what waits is not followed now and will be again", "stream", s.name())
			sleep(ctx, retryDelay)
		}
	}
}

// readHeaders takes up what comes after the horizon until ctx ends or something is amiss.
func (s *shelf) readHeaders(ctx context.Context) error {
	if err := s.queue.engine.away(); err != nil {
		return err
	}
	// Under a new name each time: the old one may be with a server that is gone.
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   s.horizon.last() + 1,
		AckPolicy:     jetstream.AckNonePolicy,
		HeadersOnly:   true,
		MemoryStorage: true,
		Replicas:      1,
	})
	if err != nil {
		return fmt.Errorf("following the stream: %w", err)
	}
	defer s.dropConsumer(consumer.CachedInfo().Name)
	if consumer.CachedInfo().NumPending == 0 {
		s.horizon.reach(0, true)
	}
	for next := uint64(1); ctx.Err() == nil; {
		if next, err = s.takeUp(ctx, consumer, next); err != nil {
			return err
		}
	}
	return nil
}

// dropConsumer removes a consumer; the server does some seconds later otherwise.
func (s *shelf) dropConsumer(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	_ = s.stream.DeleteConsumer(ctx, name)
}

// takeUp takes up what comes for a while, from the consumer's message next on, and returns the one after.
func (s *shelf) takeUp(ctx context.Context, consumer jetstream.Consumer, next uint64) (uint64, error) {
	batch, err := consumer.Fetch(followBatch, jetstream.FetchMaxWait(followTime), jetstream.FetchHeartbeat(fetchBeat))
	if err != nil {
		return next, fmt.Errorf("asking for headers: %w", err)
	}
	for more := true; more; {
		var msg jetstream.Msg
		select {
		case msg, more = <-batch.Messages():
		case <-ctx.Done():
			return next, nil
		}
		if !more {
			break
		}
		if err := s.learn(msg, next); err != nil {
			return next, err
		}
		next++
	}
	if err := batch.Error(); err != nil {
		return next, fmt.Errorf("reading headers: %w", err)
	}
	if _, whole, _ := s.horizon.look(); whole {
		return next, nil
	}
	// What was the last when this began may have been removed before it came.
	info, err := consumer.Info(ctx)
	if err != nil {
		return next, fmt.Errorf("asking what is to come: %w", err)
	}
	if info.NumPending == 0 && info.Delivered.Consumer == next-1 {
		s.horizon.reach(0, true)
	}
	return next, nil
}

// errGap says that a message was lost on the way from the server.
var errGap = errors.New("a header was lost on the way")

// learn takes up the next message.
func (s *shelf) learn(msg jetstream.Msg, next uint64) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("reading the metadata of a message: %w", err)
	}
	if meta.Sequence.Consumer != next {
		return errGap
	}
	seq := meta.Sequence.Stream
	if expires, ok := number(msg.Headers(), headerExpires); ok {
		s.marks.add(mark{seq: seq, expires: expires})
		s.free(s.slips.overtake(msg.Subject(), seq))
	} else {
		s.recall(msg.Subject(), msg.Headers(), seq, meta.Timestamp)
	}
	s.horizon.reach(seq, meta.NumPending == 0)
	return nil
}

// recall takes up a delivery that is stored.
func (s *shelf) recall(subject string, header nats.Header, seq uint64, stored time.Time) {
	size, _ := number(header, headerSize)
	due, ok := number(header, headerDue)
	if !ok {
		due = min(stored.UnixMilli(), time.Now().UnixMilli()) // clocks differ
	}
	n := newSlip(subject, seq, int(min(size, maxPayload))+shelfOverhead, due)
	s.queue.shares.hold(n.namespace, n.size)
	s.free(s.slips.put(n))
}

// free gives back what a slip counts for that is void, if there is one.
func (s *shelf) free(void *slip) {
	if void != nil {
		s.queue.shares.unreserve(void.namespace, void.size)
	}
}

// number reads a header that is a number.
func number(header nats.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(header.Get(name), 10, 64)
	return n, err == nil
}
