package queue

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// awaitRead waits until the window holds so many deliveries.
func awaitRead(t *testing.T, q *Queue, deliveries int) {
	t.Helper()
	eventually(t, func() string {
		q.window.mu.Lock()
		defer q.window.mu.Unlock()
		if got := q.window.deliveries; got != deliveries {
			return fmt.Sprintf("the window holds %d deliveries, want %d", got, deliveries)
		}
		return ""
	})
}

// awaitStored waits until the stream holds so many messages.
func awaitStored(t *testing.T, q *Queue, messages uint64) {
	t.Helper()
	eventually(t, func() string {
		info, err := q.engine.stream.Info(t.Context())
		if err != nil {
			return err.Error()
		}
		if info.State.Msgs != messages {
			return fmt.Sprintf("the stream holds %d messages, want %d", info.State.Msgs, messages)
		}
		return ""
	})
}

func TestNamespacesTakeTurns(t *testing.T) {
	q := openIn(t, t.TempDir())
	publish(t, q, "busy", 0, 20)
	publish(t, q, "quiet", 0, 3)
	publish(t, q, "third", 0, 1)
	awaitRead(t, q, 24)
	want := []string{
		idOf("busy", 0), idOf("quiet", 0), idOf("third", 0),
		idOf("busy", 1), idOf("quiet", 1),
		idOf("busy", 2), idOf("quiet", 2),
		idOf("busy", 3), idOf("busy", 4),
	}
	if diff := cmp.Diff(want, ids(receive(t, q, len(want)))); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
}

func TestNoMoreThanTheWindowIsHandedOutAtOnce(t *testing.T) {
	const publishers, each = 64, 80
	q := openIn(t, t.TempDir())
	publishMany(t, q, "a", publishers, each)
	held := receive(t, q, inboxDeliveries-packDeliveries)
	for {
		m := tryReceive(t, q)
		if m == nil {
			break
		}
		held = append(held, m)
	}
	if len(held) > inboxDeliveries {
		t.Errorf("%d deliveries were handed out and are not done, want at most %d", len(held), inboxDeliveries)
	}
	done(held...)
	rest := receive(t, q, publishers*each-len(held))
	done(rest...)
	expectNothing(t, q)
	got := append(ids(held), ids(rest)...)
	slices.Sort(got)
	if diff := cmp.Diff(idsOf("a", publishers*each), got); diff != "" {
		t.Errorf("received in all (-want +got):\n%s", diff)
	}
}

func TestLargeDeliveriesFillTheWindowByTheirBytes(t *testing.T) {
	q := openIn(t, t.TempDir())
	for n := range 12 {
		if err := q.Publish(t.Context(), sized("a", n, 7<<20)); err != nil {
			t.Fatalf("publishing: %v", err)
		}
	}
	var held []*Message
	for m := receive(t, q, 1)[0]; m != nil; m = tryReceive(t, q) {
		held = append(held, m)
	}
	if bytes := len(held) * (7 << 20); bytes > windowBytes {
		t.Errorf("%d bytes were handed out and are not done, want at most %d", bytes, windowBytes)
	}
	done(held...)
	receive(t, q, 12-len(held))
}

func TestAPackThatCannotBeDecodedIsMovedAside(t *testing.T) {
	dir := t.TempDir()
	q := openIn(t, dir)
	garbage := [][]byte{
		{},
		{packFormat},
		append([]byte{packFormat + 1}, "of a later version"...),
		{packFormat, 200, 1, 2, 3},
		append([]byte{packFormat, 3}, "{}}"...),
	}
	publish(t, q, "a", 0, 1)
	for _, pack := range garbage {
		storeRaw(t, q, "a", pack)
	}
	publish(t, q, "a", 1, 2)
	ms := receive(t, q, 2)
	if diff := cmp.Diff(idsOf("a", 2), ids(ms)); diff != "" {
		t.Errorf("received beside what cannot be decoded (-want +got):\n%s", diff)
	}
	done(ms...)
	awaitStored(t, q, 0)
	if diff := cmp.Diff(sorted(garbage), sorted(filesIn(t, filepath.Join(dir, undecodableDir)))); diff != "" {
		t.Errorf("moved aside (-want +got):\n%s", diff)
	}
	if s := q.Stats(); s.Deliveries != 0 || s.Bytes != 0 {
		t.Errorf("after everything was done the queue holds %+v", s)
	}
}

// filesIn returns the contents of the files of a directory.
func filesIn(t *testing.T, dir string) [][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatalf("listing %s: %v", dir, err)
	}
	var contents [][]byte
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		contents = append(contents, content)
	}
	return contents
}

func sorted(contents [][]byte) [][]byte {
	return slices.SortedFunc(slices.Values(contents), bytes.Compare)
}

func TestWhatTheServerRepeatsIsNotHandedOutTwice(t *testing.T) {
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 2)
	ms := receive(t, q, 2)
	for _, m := range ms {
		// Not the message's own Nak: that would let it do no more.
		if err := q.engine.conn.Publish(m.pack.msg.Reply(), []byte("-NAK")); err != nil {
			t.Fatalf("asking the server to repeat: %v", err)
		}
	}
	expectNothing(t, q)
	done(ms...)
	awaitStored(t, q, 0)
}

func TestWhatIsProcessedIsRemovedFromTheDisk(t *testing.T) {
	q := openIn(t, t.TempDir())
	publish(t, q, "a", 0, 13)
	ms := receive(t, q, 13)
	done(ms[:10]...)
	awaitStored(t, q, 3)
	done(ms[11:]...)
	// A slow delivery holds back only itself, once the others have waited long enough for it.
	awaitStored(t, q, 1)
	done(ms[10])
	awaitStored(t, q, 0)
	eventually(t, func() string {
		q.window.mu.Lock()
		defer q.window.mu.Unlock()
		if packs := len(q.window.packs); packs != 0 {
			return fmt.Sprintf("the window still knows %d packs", packs)
		}
		return ""
	})
}
