package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// loadBatch is how many headers are read at once, and loadTime bounds the wait for them.
	loadBatch = 4096
	loadTime  = 10 * time.Second
	// headerSize is where the server tells the size of a message of which it sends only the headers.
	headerSize = "Nats-Msg-Size"
)

// load takes up what the stream holds. What was handed out and not done is due again.
func (s *shelf) load(ctx context.Context) error {
	left := s.stream.CachedInfo().State.Msgs
	if left == 0 {
		return nil
	}
	consumer, err := s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy:     jetstream.AckNonePolicy,
		HeadersOnly:   true,
		MemoryStorage: true,
	})
	if err != nil {
		return fmt.Errorf("reading what waits: %w", err)
	}
	for left > 0 {
		n, err := s.loadSome(ctx, consumer, min(left, loadBatch))
		if err != nil {
			return fmt.Errorf("reading what waits: %w", err)
		}
		if n == 0 {
			s.queue.log.Error(nil, "messages cannot be read; the queue's files are damaged",
				"stream", s.stream.CachedInfo().Config.Name, "messages", left)
			break
		}
		left -= n
	}
	return s.stream.DeleteConsumer(ctx, consumer.CachedInfo().Name)
}

// loadSome takes up so many messages, or fewer if the others do not come.
func (s *shelf) loadSome(ctx context.Context, consumer jetstream.Consumer, most uint64) (n uint64, err error) {
	limited, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	batch, err := consumer.Fetch(int(most), jetstream.FetchContext(limited))
	if err != nil {
		return 0, err
	}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			return 0, err
		}
		n++
		if expires, ok := number(msg.Headers(), headerExpires); ok {
			s.marks = append(s.marks, mark{seq: meta.Sequence.Stream, expires: expires})
			continue
		}
		size, _ := number(msg.Headers(), headerSize)
		s.recall(msg.Subject(), msg.Headers(), meta.Sequence.Stream, int(min(size, maxPayload)), meta.Timestamp)
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return 0, err
	}
	return n, ctx.Err()
}

// recall takes up a delivery that was stored earlier, with content of this size.
func (s *shelf) recall(subject string, header nats.Header, seq uint64, size int, stored time.Time) {
	due, ok := number(header, headerDue)
	if !ok {
		due = stored.UnixMilli()
	}
	n := newSlip(subject, seq, size+shelfOverhead, due)
	s.queue.shares.hold(n.namespace, n.size)
	s.take(n)
}

// number reads a header that is a number.
func number(header nats.Header, name string) (int64, bool) {
	n, err := strconv.ParseInt(header.Get(name), 10, 64)
	return n, err == nil
}
