package queue

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

func TestADeadLetterIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	if _, err := q.Exhume(t.Context(), "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading what nobody buried: %v, want ErrNotFound", err)
	}
	largest := sized("a", 1, maxDelivery-1024)
	bury(t, q, "x", numbered("a", 0))
	bury(t, q, "y", largest)
	bury(t, q, "x", numbered("a", 2))
	closeQueue(t, q)

	q = openIn(t, dir)
	for id, want := range map[string]delivery.Delivery{"x": numbered("a", 2), "y": largest} {
		got, err := q.Exhume(t.Context(), id)
		if err != nil || !bytes.Equal(want.Payload, got.Payload) {
			t.Errorf("reading %s: %v, payload of %d bytes, want %d", id, err, len(got.Payload), len(want.Payload))
		}
		got.Payload, want.Payload = nil, nil // too large to compare by reflection
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s without its payload (-want +got):\n%s", id, diff)
		}
	}
	expectStats(t, q, 0, 0)
	expectNothing(t, q)
}

// bury keeps a dead letter.
func bury(t *testing.T, q *Queue, id string, d delivery.Delivery) {
	t.Helper()
	if err := q.Bury(t.Context(), id, d); err != nil {
		t.Fatalf("burying: %v", err)
	}
}

func TestTheOldestDeadLettersMakeRoom(t *testing.T) {
	const letters = 40
	q := openWith(t, Options{Dir: t.TempDir(), MaxBytes: 1 << 20})
	for n := range letters {
		bury(t, q, fmt.Sprint(n), sized("a", n, 8<<10))
	}
	if _, err := q.Exhume(t.Context(), "0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading the oldest: %v, want ErrNotFound", err)
	}
	if _, err := q.Exhume(t.Context(), fmt.Sprint(letters-10)); err != nil {
		t.Errorf("reading the tenth from the end: %v", err)
	}
	if err := q.Bury(t.Context(), "x", sized("a", 0, 128<<10)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("burying what has no room even alone: %v, want ErrTooLarge", err)
	}
	if err := q.Bury(t.Context(), "a.b", numbered("a", 0)); err == nil {
		t.Error("an id that is two tokens is accepted")
	}
	if err := q.Publish(t.Context(), numbered("a", 0)); err != nil {
		t.Errorf("publishing beside dead letters: %v", err)
	}
}
