package queue

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

func TestDeliveriesOfANamespaceComeInOrderAndUnchanged(t *testing.T) {
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 100)
	var got, want []delivery.Delivery
	for n, m := range receive(t, q, 100) {
		got, want = append(got, m.Delivery), append(want, numbered("a", n))
		m.Done()
		m.Done()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received deliveries (-want +got):\n%s", diff)
	}
	expectNothing(t, q)
	if s := q.Stats(); s.Deliveries != 0 || s.Bytes != 0 {
		t.Errorf("after everything was done the queue holds %+v", s)
	}
}

func TestReopeningHandsOutWhatWasNotDoneAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	publish(t, q, "a", 0, 30)
	publish(t, q, "b", 0, 3)
	want := slices.Concat(idsOf("a", 30), idsOf("b", 3))
	for n, m := range receive(t, q, 20) {
		if n%5 != 0 { // leave gaps: what is done lies between what is not
			m.Done()
			want = slices.DeleteFunc(want, func(id string) bool { return id == m.Delivery.ID })
		}
	}
	left := int64(len(want))
	closeQueue(t, q)

	q = openIn(t, dir)
	if got := q.Stats(); got.Deliveries != left || got.Bytes == 0 {
		t.Errorf("the reopened queue holds %+v, want %d deliveries", got, left)
	}
	ms := receive(t, q, int(left))
	got := ids(ms)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received after reopening (-want +got):\n%s", diff)
	}
	expectNothing(t, q)
	done(ms...)
	closeQueue(t, q)

	q = openIn(t, dir)
	expectNothing(t, q)
	if s := q.Stats(); s.Deliveries != 0 || s.Bytes != 0 {
		t.Errorf("a queue closed with nothing left holds %+v", s)
	}
}

func TestAPackIsHandedOutAgainUntilAllOfItIsDone(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	storePack(t, q, "a", 10)
	done(receive(t, q, 9)...)
	closeQueue(t, q)

	q = openIn(t, dir)
	ms := receive(t, q, 10)
	if diff := cmp.Diff(idsOf("a", 10), ids(ms)); diff != "" {
		t.Errorf("received after reopening (-want +got):\n%s", diff)
	}
	if s := q.Stats(); s.Deliveries != 10 {
		t.Errorf("the queue counts %d deliveries of a pack of 10", s.Deliveries)
	}
	done(ms...)
	if s := q.Stats(); s.Deliveries != 0 || s.Bytes != 0 {
		t.Errorf("after everything was done the queue holds %+v", s)
	}
}

// storePack stores one pack of n deliveries of a namespace, as the committer would.
func storePack(t *testing.T, q *Queue, namespace string, n int) {
	t.Helper()
	var es []*entry
	for i := range n {
		d := numbered(namespace, i)
		e, err := q.entries.encode(&d)
		if err != nil {
			t.Fatalf("encoding: %v", err)
		}
		if err := q.shares.reserve(namespace, e.size()); err != nil {
			t.Fatalf("reserving: %v", err)
		}
		es = append(es, e)
	}
	storeRaw(t, q, namespace, appendPack(nil, es))
}

// storeRaw stores a message of any content.
func storeRaw(t *testing.T, q *Queue, namespace string, pack []byte) {
	t.Helper()
	if _, err := q.engine.js.Publish(t.Context(), inboxPrefix+namespace, pack); err != nil {
		t.Fatalf("storing a pack: %v", err)
	}
}

func TestASecondOpenerIsToldThatTheDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening a directory twice: %v, want ErrLocked with the directory", err)
	}
	publish(t, q, "a", 0, 1)
	closeQueue(t, q)
	openIn(t, dir)
}

func TestADirectoryIsRequired(t *testing.T) {
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("opening without a directory succeeds")
	}
}

func TestAClosedQueueRefusesEverything(t *testing.T) {
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 1)
	m := receive(t, q, 1)[0]
	blocked := make(chan error)
	go func() {
		_, err := q.Receive(context.Background())
		blocked <- err
	}()
	closeQueue(t, q)
	if err := <-blocked; !errors.Is(err, ErrClosed) {
		t.Errorf("a Receive that Close interrupts: %v, want ErrClosed", err)
	}
	if err := q.Publish(t.Context(), numbered("a", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish: %v, want ErrClosed", err)
	}
	if err := q.Postpone(t.Context(), "x", time.Now(), numbered("a", 1), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Postpone: %v, want ErrClosed", err)
	}
	if _, _, err := q.PublishOnce(t.Context(), "x", numbered("a", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("PublishOnce: %v, want ErrClosed", err)
	}
	if err := q.Bury(t.Context(), "x", numbered("a", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Bury: %v, want ErrClosed", err)
	}
	if _, err := q.Exhume(t.Context(), "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("Exhume: %v, want ErrClosed", err)
	}
	if _, err := q.Receive(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Receive: %v, want ErrClosed", err)
	}
	if err := q.Healthy(); !errors.Is(err, ErrClosed) {
		t.Errorf("Healthy: %v, want ErrClosed", err)
	}
	m.Done()
	closeQueue(t, q)
}

func TestAnEndedContextEndsTheCall(t *testing.T) {
	q := openIn(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Publish(ctx, numbered("a", 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish: %v, want context.Canceled", err)
	}
	if _, err := q.Receive(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive: %v, want context.Canceled", err)
	}
	if err := q.Healthy(); err != nil {
		t.Errorf("Healthy: %v", err)
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 10)
	done(receive(t, q, 5)...)
	closeQueue(t, q)
	eventually(t, func() string {
		if now := runtime.NumGoroutine(); now > before {
			stacks := make([]byte, 1<<20)
			return string(stacks[:runtime.Stack(stacks, true)])
		}
		return ""
	})
}
