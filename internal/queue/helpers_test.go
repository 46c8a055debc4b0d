package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// silence is how long a test waits for what must not happen.
const silence = 100 * time.Millisecond

// openIn opens a queue in dir and closes it after the test.
func openIn(t testing.TB, dir string) *Queue {
	t.Helper()
	return openWith(t, Options{Dir: dir})
}

// openWith opens a queue and closes it after the test.
func openWith(t testing.TB, o Options) *Queue {
	t.Helper()
	if tt, ok := t.(*testing.T); ok {
		o.Log = testr.New(tt)
	}
	q, err := Open(context.Background(), o)
	if err != nil {
		t.Fatalf("opening the queue: %v", err)
	}
	t.Cleanup(func() { closeQueue(t, q) })
	return q
}

// closeQueue closes q cleanly.
func closeQueue(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Errorf("closing the queue: %v", err)
	}
}

// idOf is the id of the n-th delivery of a namespace; ids sort by n.
func idOf(namespace string, n int) string { return fmt.Sprintf("%s-%06d", namespace, n) }

// numbered is the n-th delivery of a namespace.
func numbered(namespace string, n int) delivery.Delivery { return sized(namespace, n, 16) }

// sized is the n-th delivery of a namespace with a payload of a JSON string of so many characters.
func sized(namespace string, n, size int) delivery.Delivery {
	return delivery.Delivery{
		ID:         idOf(namespace, n),
		Namespace:  namespace,
		Webhook:    "sample",
		URL:        "sample/hook",
		Trigger:    "core.st2.webhook",
		Parameters: map[string]string{"url": "sample/hook"},
		Received:   time.Unix(int64(n), 0).UTC(),
		Payload:    append(append([]byte{'"'}, bytes.Repeat([]byte{'x'}, size)...), '"'),
	}
}

// publish stores deliveries from..to-1 of a namespace, one after the other.
func publish(t testing.TB, q *Queue, namespace string, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := q.Publish(t.Context(), numbered(namespace, n)); err != nil {
			t.Fatalf("publishing: %v", err)
		}
	}
}

// receive returns the next n messages.
func receive(t testing.TB, q *Queue, n int) []*Message {
	t.Helper()
	return receiveWithin(t, q, patience, n)
}

// receiveWithin is receive with another patience.
func receiveWithin(t testing.TB, q *Queue, patience time.Duration, n int) []*Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var ms []*Message
	for range n {
		m, err := q.Receive(ctx)
		if err != nil {
			t.Fatalf("receiving message %d of %d: %v", len(ms)+1, n, err)
		}
		ms = append(ms, m)
	}
	return ms
}

// tryReceive returns the next message, or nil when there is none for a while.
func tryReceive(t testing.TB, q *Queue) *Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), silence)
	defer cancel()
	m, err := q.Receive(ctx)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("receiving: %v", err)
	}
	return m
}

// expectNothing fails the test when the queue hands out anything.
func expectNothing(t testing.TB, q *Queue) {
	t.Helper()
	if m := tryReceive(t, q); m != nil {
		t.Fatalf("received %s, want nothing", m.Delivery.ID)
	}
}

// done marks messages as processed.
func done(ms ...*Message) {
	for _, m := range ms {
		m.Done()
	}
}

// ids returns the ids of messages, in order.
func ids(ms []*Message) []string {
	var ids []string
	for _, m := range ms {
		ids = append(ids, m.Delivery.ID)
	}
	return ids
}

// idsOf returns the ids of the first n deliveries of a namespace.
func idsOf(namespace string, n int) []string {
	var ids []string
	for n := range n {
		ids = append(ids, idOf(namespace, n))
	}
	return ids
}

// eventually polls until check returns an empty text, and fails the test with the last text after patience.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	eventuallyWithin(t, patience, check)
}

// eventuallyWithin is eventually with another patience.
func eventuallyWithin(t testing.TB, patience time.Duration, check func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("still after %s: %s", patience, wrong)
		}
	}
}

// postpone postpones the n-th delivery of a namespace.
func postpone(t testing.TB, q *Queue, namespace string, n int, at time.Time, progress string) {
	t.Helper()
	if err := q.Postpone(t.Context(), idOf(namespace, n), at, numbered(namespace, n), []byte(progress)); err != nil {
		t.Fatalf("postponing: %v", err)
	}
}

// awaitMessages waits until a stream holds so many messages.
func awaitMessages(t testing.TB, stream jetstream.Stream, messages uint64) {
	t.Helper()
	eventually(t, func() string {
		info, err := stream.Info(t.Context())
		if err != nil {
			return err.Error()
		}
		if info.State.Msgs != messages {
			return fmt.Sprintf("stream %s holds %d messages, want %d", info.Config.Name, info.State.Msgs, messages)
		}
		return ""
	})
}

// expectStats fails the test when the queue counts other deliveries than these.
func expectStats(t testing.TB, q *Queue, deliveries, waiting int64) {
	t.Helper()
	s := q.Stats()
	if s.Deliveries != deliveries || s.Waiting != waiting || (s.Bytes == 0) != (deliveries == 0) {
		t.Errorf("the queue holds %+v, want %d deliveries, of which %d wait", s, deliveries, waiting)
	}
}

// summaries returns the ids of messages with their progress, in order.
func summaries(ms []*Message) []string {
	var texts []string
	for _, m := range ms {
		texts = append(texts, m.Delivery.ID+" "+string(m.Progress))
	}
	return texts
}
