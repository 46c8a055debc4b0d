package queue

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// publishOnce publishes the n-th delivery of a namespace under an id, and returns the id of the first and whether there was one.
func publishOnce(t testing.TB, q *Queue, id, namespace string, n int) (first string, duplicate bool) {
	t.Helper()
	first, duplicate, err := q.PublishOnce(t.Context(), id, numbered(namespace, n))
	if err != nil {
		t.Fatalf("publishing once: %v", err)
	}
	return first, duplicate
}

// expectDuplicate fails the test unless another delivery of namespace a is a duplicate of first.
func expectDuplicate(t testing.TB, q *Queue, id, first string) {
	t.Helper()
	if got, duplicate := publishOnce(t, q, id, "a", 999); !duplicate || got != first {
		t.Errorf("publishing under id %s again: first %s, duplicate %v, want %s to be the first", id, got, duplicate, first)
	}
}

func TestWhatIsPublishedOnceIsHandedOutOnce(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	if first, duplicate := publishOnce(t, q, "x", "a", 0); duplicate || first != idOf("a", 0) {
		t.Errorf("the first is taken for a duplicate of %s", first)
	}
	expectDuplicate(t, q, "x", idOf("a", 0))
	if _, duplicate := publishOnce(t, q, "x", "b", 0); duplicate {
		t.Error("a namespace suppresses the deliveries of another")
	}
	if _, duplicate := publishOnce(t, q, "y", "a", 1); duplicate {
		t.Error("another id is taken for a duplicate")
	}
	expectStats(t, q, 3, 0)
	for _, m := range receive(t, q, 3) {
		if m.Progress != nil {
			t.Errorf("what was published has progress %q", m.Progress)
		}
		if m.Delivery.ID == idOf("a", 0) {
			m.Done()
		}
	}
	expectDuplicate(t, q, "x", idOf("a", 0))
	closeQueue(t, q)

	q = openIn(t, dir)
	expectDuplicate(t, q, "x", idOf("a", 0))
	expectDuplicate(t, q, "y", idOf("a", 1))
	expectStats(t, q, 2, 0)
	ms := receive(t, q, 2)
	if diff := cmp.Diff([]string{idOf("b", 0), idOf("a", 1)}, ids(ms)); diff != "" {
		t.Errorf("received after reopening (-want +got):\n%s", diff)
	}
	done(ms...)
	expectNothing(t, q)
	expectStats(t, q, 0, 0)
}

func TestWhatIsStoredThoughItsPublisherWasToldOtherwiseIsHandedOutOnce(t *testing.T) {
	for name, others := range map[string]int{"and nobody comes with its id": 0, "and others come with its id": 2} {
		t.Run(name, func(t *testing.T) {
			q := openIn(t, t.TempDir())
			d := numbered("a", 0)
			m, err := shelve(oncePrefix, "x", &d, nil, maxDelivery)
			if err != nil {
				t.Fatal(err)
			}
			m.Header.Set(headerDelivery, d.ID)
			if _, err := q.engine.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			for range others {
				expectDuplicate(t, q, "x", d.ID)
			}
			receive(t, q, 1)[0].Done()
			expectNothing(t, q)
			expectStats(t, q, 0, 0)
		})
	}
}

func TestOneOfManyPublishersIsTheFirst(t *testing.T) {
	const publishers = 50
	q := openIn(t, t.TempDir())
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		firsts = make(map[string]int)
		stored int
	)
	for n := range publishers {
		wg.Go(func() {
			first, duplicate := publishOnce(t, q, "x", "a", n)
			mu.Lock()
			defer mu.Unlock()
			firsts[first]++
			if !duplicate {
				stored++
			}
		})
	}
	wg.Wait()
	if stored != 1 || len(firsts) != 1 {
		t.Errorf("%d were stored; the first was %v", stored, firsts)
	}
	receive(t, q, 1)
	expectNothing(t, q)
}

func TestAnIDIsFreeAgainAfterTheWindow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Dir: dir, DeduplicateWindow: time.Second}
	q := openWith(t, o)
	for n := range 3 {
		publishOnce(t, q, fmt.Sprint(n), "a", n)
	}
	ms := receive(t, q, 3)
	done(ms[1:]...)
	// The marks expire; what is not done keeps its id.
	awaitMessages(t, q.engine.once, 1)
	expectDuplicate(t, q, "0", idOf("a", 0))
	if _, duplicate := publishOnce(t, q, "1", "a", 7); duplicate {
		t.Error("an id is taken after the window")
	}
	done(ms[0])
	awaitMessages(t, q.engine.once, 1)
	if _, duplicate := publishOnce(t, q, "0", "a", 8); duplicate {
		t.Error("an id is taken after the window and the end of the work")
	}
	done(receive(t, q, 2)...)
	closeQueue(t, q)

	// What is left over is removed by a later process.
	awaitMessages(t, openWith(t, o).engine.once, 0)
}

func TestManyMarksAreRemovedAtOnce(t *testing.T) {
	t.Parallel()
	const n = 3 * fewRemovals
	q := openWith(t, Options{Dir: t.TempDir(), DeduplicateWindow: 2 * time.Second})
	var wg sync.WaitGroup
	for c := range 64 {
		wg.Go(func() {
			for i := c; i < n; i += 64 {
				publishOnce(t, q, fmt.Sprint(i), "a", i)
			}
		})
	}
	wg.Wait()
	done(receive(t, q, n)...)
	awaitMessages(t, q.engine.once, 0)
}

func TestPublishingOnceIsRefusedLikePublishing(t *testing.T) {
	q := openWith(t, Options{Dir: t.TempDir(), MaxBytes: 1 << 20})
	if _, _, err := q.PublishOnce(t.Context(), "a.b", numbered("a", 0)); err == nil {
		t.Error("an id that is two tokens is accepted")
	}
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		_, _, err = q.PublishOnce(t.Context(), fmt.Sprint(n), sized("a", n, 8<<10))
	}
	if !errors.Is(err, ErrFull) || n < 20 {
		t.Fatalf("after %d deliveries of 8 KiB: %v, want ErrFull when the share of 256 KiB is full", n, err)
	}
	expectDuplicate(t, q, "0", idOf("a", 0))
	done(receive(t, q, n-1)...)
	publishOnce(t, q, "again", "a", n)
}
