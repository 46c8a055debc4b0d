package queue

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// never is later than any test lasts.
const never = time.Hour

func TestAPostponedDeliveryComesBackWhenItIsDue(t *testing.T) {
	t.Parallel()
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 1)
	first := receive(t, q, 1)[0]
	if first.Progress != nil {
		t.Errorf("what was published has progress %q", first.Progress)
	}
	due := time.Now().Add(200 * time.Millisecond)
	postpone(t, q, "a", 0, due, "1 of 2")
	first.Done()

	again := receive(t, q, 1)[0]
	if early := time.Until(due); early > 0 {
		t.Errorf("it came %s early", early)
	}
	if diff := cmp.Diff(numbered("a", 0), again.Delivery); diff != "" || string(again.Progress) != "1 of 2" {
		t.Errorf("progress %q, delivery (-want +got):\n%s", again.Progress, diff)
	}
	expectStats(t, q, 1, 0)
	again.Done()
	again.Done()
	expectStats(t, q, 0, 0)
	awaitMessages(t, q.engine.retry, 0)
}

func TestWhatIsDueFirstComesFirst(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	start := time.Now().Add(-never)
	for n, place := range []int{3, 1, 0, 2} {
		postpone(t, q, "a", n, start.Add(time.Duration(place)*time.Millisecond), "")
	}
	closeQueue(t, q) // else each is handed out before the next is there
	q = openIn(t, dir)
	want := []string{idOf("a", 2), idOf("a", 1), idOf("a", 3), idOf("a", 0)}
	if diff := cmp.Diff(want, ids(receive(t, q, 4))); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestARetrySurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	postpone(t, q, "a", 0, time.Now(), "is not done")
	postpone(t, q, "a", 1, time.Now(), "is done")
	for _, m := range receive(t, q, 2) {
		if m.Delivery.ID == idOf("a", 1) {
			m.Done()
		}
	}
	missed := time.Now().Add(200 * time.Millisecond)
	postpone(t, q, "a", 2, missed, "is due while the queue is closed")
	postpone(t, q, "a", 3, time.Now().Add(never), "waits")
	closeQueue(t, q)
	<-time.After(time.Until(missed))

	q = openIn(t, dir)
	got := summaries(receive(t, q, 2))
	want := []string{idOf("a", 0) + " is not done", idOf("a", 2) + " is due while the queue is closed"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("received after reopening (-want +got):\n%s", diff)
	}
	expectStats(t, q, 3, 1)
	expectNothing(t, q)
}

func TestPostponingTwiceReplaces(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	postpone(t, q, "a", 0, time.Now().Add(never), "first")
	postpone(t, q, "b", 0, time.Now().Add(never), "the same id would be another's")
	postpone(t, q, "a", 0, time.Now().Add(never/2), "second")
	expectStats(t, q, 2, 2)
	awaitMessages(t, q.engine.retry, 2)
	postpone(t, q, "a", 0, time.Now(), "third")
	m := receive(t, q, 1)[0]

	// One that is handed out is not recalled; whichever is done first, the last is what stays.
	postpone(t, q, "a", 0, time.Now(), "fourth")
	m.Done()
	if got := summaries(receive(t, q, 1)); got[0] != idOf("a", 0)+" fourth" {
		t.Errorf("received %s, want the fourth", got)
	}
	closeQueue(t, q)
	q = openIn(t, dir)
	if got := summaries(receive(t, q, 1)); got[0] != idOf("a", 0)+" fourth" {
		t.Errorf("received %s after reopening, want the fourth", got)
	}
	expectStats(t, q, 2, 1)
}

func TestPostponingAtOnceLeavesOne(t *testing.T) {
	const callers = 50
	q := openIn(t, t.TempDir())
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() { postpone(t, q, "a", 0, time.Now().Add(never), fmt.Sprint(n)) })
	}
	wg.Wait()
	expectStats(t, q, 1, 1)
}

func TestAFullShareRefusesToPostponeUntilSomethingIsDone(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, MaxBytes: 4 << 20}
	q := openWith(t, o)
	inbox := fillShare(t, q)
	stored := postponeUntilFull(t, q, "greedy")
	if stored < 110 || stored > 128 {
		t.Errorf("a share of 1 MiB could be overdrawn by %d deliveries of 8 KiB", stored)
	}
	postpone(t, q, "other", 0, time.Now(), "")
	closeQueue(t, q)

	q = openWith(t, o)
	if more := postponeUntilFull(t, q, "greedy"); more > 5 {
		t.Errorf("after reopening a full share took %d deliveries more", more)
	}
	if err := q.Publish(t.Context(), sized("greedy", 0, 8<<10)); !errors.Is(err, ErrFull) {
		t.Errorf("publishing into a share that is overdrawn: %v, want ErrFull", err)
	}
	done(receive(t, q, inbox)...)
	postpone(t, q, "greedy", 0, time.Now(), "")
}

// postponeUntilFull postpones deliveries of 8 KiB of a namespace until that is refused, and returns how many were stored.
func postponeUntilFull(t *testing.T, q *Queue, namespace string) int {
	t.Helper()
	for n := range 1000 {
		id := fmt.Sprintf("%d-%d", n, time.Now().UnixNano())
		err := q.Postpone(t.Context(), id, time.Now(), sized(namespace, n, 8<<10), nil)
		if errors.Is(err, ErrFull) {
			return n
		}
		if err != nil {
			t.Fatalf("postponing: %v", err)
		}
	}
	t.Fatal("the share never was full")
	return 0
}

func TestPostponingRefusesWhatItCannotStore(t *testing.T) {
	q := openIn(t, t.TempDir())
	largest := sized("a", 0, maxDelivery-1024)
	largest = sized("a", 0, maxDelivery-1024+maxDelivery-len(largest.Append(nil))) // exactly
	if n := len(largest.Append(nil)); n != maxDelivery {
		t.Fatalf("the largest has %d bytes, want %d", n, maxDelivery)
	}
	if err := q.Postpone(t.Context(), "largest", time.Now(), largest, make([]byte, maxProgress)); err != nil {
		t.Fatalf("postponing the largest: %v", err)
	}
	if got := receive(t, q, 1)[0]; !bytes.Equal(got.Delivery.Payload, largest.Payload) || len(got.Progress) != maxProgress {
		t.Error("the largest payload or progress came back changed")
	}
	tests := map[string]struct {
		id, namespace  string
		size, progress int
		want           error
	}{
		"a delivery that is too large":   {id: "x", namespace: "a", size: maxDelivery, want: ErrTooLarge},
		"a progress that is too large":   {id: "x", namespace: "a", progress: maxProgress + 1, want: ErrTooLarge},
		"no id":                          {namespace: "a"},
		"an id that is two tokens":       {id: "x.y", namespace: "a"},
		"an id that is a wildcard":       {id: "*", namespace: "a"},
		"an id that is too long":         {id: strings.Repeat("x", maxID+1), namespace: "a"},
		"a namespace that is a wildcard": {id: "x", namespace: ">"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := q.Postpone(t.Context(), test.id, time.Now(), sized(test.namespace, 0, test.size), make([]byte, test.progress))
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("postponing: %v, want an error like %v", err, test.want)
			}
		})
	}
	expectStats(t, q, 1, 0)
}

func TestRetriesAreHandedOutInTurnAndWithinTheirPart(t *testing.T) {
	const busy = shelfDeliveries + 100
	q := openIn(t, t.TempDir())
	postponeMany(t, q, "busy", busy, time.Now())
	awaitHeld(t, q.retries, shelfDeliveries)
	postpone(t, q, "quiet", 0, time.Now(), "")
	publish(t, q, "busy", busy, busy+1)

	// The part of the retries is taken up; a delivery that was published still comes, in its namespace's turn.
	held := receive(t, q, shelfDeliveries+1)
	if !slices.Contains(ids(held), idOf("busy", busy)) {
		t.Error("retries hold up what is published")
	}
	expectNothing(t, q)
	// With room for two, the quiet namespace has its turn.
	done(held[:2]...)
	if got := ids(receive(t, q, 2)); !slices.Contains(got, idOf("quiet", 0)) {
		t.Errorf("received %s, want the quiet namespace to have its turn", got)
	}
	done(held[2:]...)
	done(receive(t, q, busy-shelfDeliveries-1)...)
	expectNothing(t, q)
}

// postponeMany postpones deliveries 0..n-1 of a namespace, many at a time.
func postponeMany(t testing.TB, q *Queue, namespace string, n int, at time.Time) {
	t.Helper()
	const callers = 128
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				err := errTimeout // of a disk that others use: what may be stored is replaced
				for errors.Is(err, errTimeout) {
					err = q.Postpone(t.Context(), idOf(namespace, i), at, sized(namespace, i, 700), []byte("1"))
				}
				if err != nil {
					t.Errorf("postponing: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// awaitHeld waits until a shelf has handed so many deliveries to the window.
func awaitHeld(t *testing.T, s *shelf, held int) {
	t.Helper()
	eventually(t, func() string {
		s.slips.mu.Lock()
		defer s.slips.mu.Unlock()
		if s.slips.held != held {
			return fmt.Sprintf("%d deliveries of the shelf are handed out, want %d", s.slips.held, held)
		}
		return ""
	})
}

func TestRetriesThatAreDoneAreRemovedBetweenThoseThatWait(t *testing.T) {
	t.Parallel()
	const due = 3 * fewRemovals
	dir := t.TempDir()
	q := openIn(t, dir)
	postponeMany(t, q, "a", due/2, time.Now())
	postpone(t, q, "waits", 0, time.Now().Add(never), "")
	postponeMany(t, q, "b", due/2, time.Now())
	done(receive(t, q, due)...)
	expectStats(t, q, 1, 1)
	awaitMessages(t, q.engine.retry, 1)

	postponeMany(t, q, "a", due/2, time.Now())
	done(receive(t, q, due/2)...)
	closeQueue(t, q)
	q = openIn(t, dir)
	expectNothing(t, q)
	expectStats(t, q, 1, 1)
	awaitMessages(t, q.engine.retry, 1)
}

func TestARetryThatCannotBeDecodedIsMovedAside(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	garbage := [][]byte{{}, {shelfFormat + 1, 0}, {shelfFormat, 9, 1}, {shelfFormat, 0, 200, 1}}
	for n, content := range garbage {
		if _, err := q.engine.js.Publish(t.Context(), fmt.Sprintf("%sa.x%d", retryPrefix, n), content); err != nil {
			t.Fatalf("storing garbage: %v", err)
		}
	}
	postpone(t, q, "a", 0, time.Now(), "")
	closeQueue(t, q)

	q = openIn(t, dir)
	done(receive(t, q, 1)...)
	awaitMessages(t, q.engine.retry, 0)
	if diff := cmp.Diff(sorted(garbage), sorted(filesIn(t, filepath.Join(dir, undecodableDir)))); diff != "" {
		t.Errorf("moved aside (-want +got):\n%s", diff)
	}
	expectStats(t, q, 0, 0)
}

func TestARetryThatWasStoredUnnoticedComes(t *testing.T) {
	q := openIn(t, t.TempDir())
	due := time.Now().Add(300 * time.Millisecond)
	postpone(t, q, "a", 0, due, "noticed")
	d := numbered("a", 0)
	m, err := shelve(retryPrefix, idOf("a", 0), &d, []byte("stored after a timeout"), maxDelivery)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	if _, err := q.engine.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatalf("storing: %v", err)
	}
	ms := receive(t, q, 1)
	if got := summaries(ms); got[0] != idOf("a", 0)+" stored after a timeout" {
		t.Errorf("received %s, want what is in the stream", got)
	}
	done(ms...)
	expectStats(t, q, 0, 0)
	awaitMessages(t, q.engine.retry, 0)
}

func TestARetryThatIsGoneFromTheStreamHoldsUpNothing(t *testing.T) {
	q := openIn(t, t.TempDir())
	postpone(t, q, "a", 0, time.Now().Add(300*time.Millisecond), "")
	if err := q.engine.retry.Purge(t.Context()); err != nil {
		t.Fatalf("purging: %v", err)
	}
	postpone(t, q, "a", 1, time.Now().Add(300*time.Millisecond), "")
	done(receive(t, q, 1)...)
	expectStats(t, q, 0, 0)
}
