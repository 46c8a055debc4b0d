package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

// oneServer starts a server and returns how to use it.
func oneServer(t *testing.T) Options {
	t.Helper()
	return onServer(queuetest.Start(t, queuetest.Options{}).URL())
}

// onServer are the options of a queue on a single server, and onServers those on three.
func onServer(url string) Options {
	return Options{Cluster: &Cluster{URL: url, Replicas: 1}, MaxBytes: 64 << 20}
}

func onServers(s *queuetest.Servers) Options {
	return Options{Cluster: &Cluster{URL: s.URL()}, MaxBytes: 64 << 20}
}

// abandon ends a queue as a kill would: nothing is given back, and a later close does nothing.
func abandon(q *Queue) {
	q.closing.Do(func() {
		close(q.closed)
		q.line.close()
		q.stewardship.stop()
		q.committer.stop()
		q.reader.stop()
		q.stopShelves()
		q.upkeeper.stop()
		q.reporter.stop()
		q.engine.close()
	})
}

// awaitLooks waits until a process has looked at the lease twice more, so that it has had its chance to take it.
func awaitLooks(t testing.TB, q *Queue) {
	t.Helper()
	for range 2 {
		before := q.lease.alive.at.Load()
		eventually(t, func() string {
			if q.lease.alive.at.Load() == before {
				return "the lease was not looked at"
			}
			return ""
		})
	}
}

// receiveFrom returns what either of some queues hands out, n messages. One more may be taken and lost.
func receiveFrom(t testing.TB, n int, qs ...*Queue) []*Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*ackWait)
	defer cancel()
	messages, failed := make(chan *Message), make(chan error, len(qs))
	for _, q := range qs {
		go func() {
			for {
				m, err := q.Receive(ctx)
				if err != nil {
					failed <- err
					return
				}
				select {
				case messages <- m:
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	var ms []*Message
	for range n {
		select {
		case m := <-messages:
			ms = append(ms, m)
		case err := <-failed:
			t.Fatalf("receiving message %d of %d: %v", len(ms)+1, n, err)
		}
	}
	return ms
}

func TestProcessesOnOneServerShareTheirQueue(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	a, b := openWith(t, o), openWith(t, o)
	publish(t, a, "ns", 0, 10)
	publish(t, b, "ns", 10, 20)
	ms := receiveFrom(t, 20, a, b)
	got := ids(ms)
	slices.Sort(got)
	if diff := cmp.Diff(idsOf("ns", 20), got); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	done(ms...)
	for _, q := range []*Queue{a, b} {
		awaitMessages(t, q.engine.stream, 0)
		eventually(t, func() string {
			if s := q.Stats(); s.Deliveries != 0 || s.Bytes != 0 {
				return fmt.Sprintf("the queue holds %+v", s)
			}
			return ""
		})
	}
}

func TestADuplicateIsFoundByEveryProcess(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	o.DeduplicateWindow = 15 * time.Second
	a, b := openWith(t, o), openWith(t, o)
	if _, duplicate := publishOnce(t, b, "x", "a", 0); duplicate {
		t.Fatal("the first is taken for a duplicate")
	}
	expectDuplicate(t, a, "x", idOf("a", 0))
	done(receiveFrom(t, 1, a, b)...)
	for _, q := range []*Queue{a, b} {
		expectDuplicate(t, q, "x", idOf("a", 0))
	}
	closeQueue(t, a)
	expectDuplicate(t, b, "x", idOf("a", 0))
	expectDuplicate(t, openWith(t, o), "x", idOf("a", 0))
	awaitMessages(t, b.engine.once, 0)
	if _, duplicate := publishOnce(t, b, "x", "a", 1); duplicate {
		t.Error("an id is taken after the window")
	}
}

func TestOneOfManyPublishersOfAllProcessesIsTheFirst(t *testing.T) {
	t.Parallel()
	const ids, publishers = 20, 8
	servers := queuetest.Start(t, queuetest.Options{Servers: 3})
	qs := []*Queue{openWith(t, onServers(servers)), openWith(t, onServers(servers))}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		firsts = make(map[string]map[string]int)
	)
	for id := range ids {
		firsts[fmt.Sprint(id)] = make(map[string]int)
		for n := range publishers {
			wg.Go(func() {
				first, _ := publishOnce(t, qs[n%len(qs)], fmt.Sprint(id), "a", id*publishers+n)
				mu.Lock()
				defer mu.Unlock()
				firsts[fmt.Sprint(id)][first]++
			})
		}
	}
	wg.Wait()
	received := make(map[string]bool)
	for _, m := range receiveFrom(t, ids, qs...) {
		received[m.Delivery.ID] = true
		m.Done()
	}
	for id, first := range firsts {
		if len(first) != 1 {
			t.Errorf("id %s has the firsts %v, want one", id, first)
		}
		for one := range first {
			if !received[one] {
				t.Errorf("id %s: %s is said to be the first, but is not handed out", id, one)
			}
		}
	}
	for _, q := range qs {
		expectNothing(t, q)
	}
}

func TestWhatAProcessHeldIsHandedOutByAnother(t *testing.T) {
	for name, end := range map[string]func(testing.TB, *Queue){
		"at once after a close":         closeQueue,
		"after a while when it is gone": func(_ testing.TB, q *Queue) { abandon(q) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := oneServer(t)
			a := openWith(t, o) // first, so that it is the keeper
			publish(t, a, "pack", 0, 1)
			publishOnce(t, a, "x", "once", 0)
			postpone(t, a, "retry", 0, time.Now(), "progress")
			postpone(t, a, "later", 0, time.Now().Add(time.Second), "progress")
			want := []string{"later-000000 progress", "once-000000 ", "pack-000000 ", "retry-000000 progress"}
			receive(t, a, len(want))
			b := openWith(t, o)
			expectNothing(t, b)
			awaitLooks(t, b)
			expectNothing(t, b)
			end(t, a)
			ms := receiveFrom(t, len(want), b)
			got := summaries(ms)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("received by the other (-want +got):\n%s", diff)
			}
			done(ms...)
			awaitMessages(t, b.engine.retry, 0)
			awaitMessages(t, b.engine.stream, 0)
		})
	}
}

func TestAProcessThatProcessesNothingYetTakesNothing(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	starting := openWith(t, o)
	publish(t, starting, "pack", 0, 1)
	publishOnce(t, starting, "x", "once", 0)
	postpone(t, starting, "retry", 0, time.Now(), "progress")
	done(receive(t, openWith(t, o), 3)...)
	if starting.keeping.Load() {
		t.Error("it is the keeper")
	}
}

func TestTheSubjectOfAPackTellsItsNamespaceAndAboutItsSize(t *testing.T) {
	t.Parallel()
	l := (&Cluster{}).layout()
	for size := 2; size <= maxPayload; size = size*3/2 + 1 {
		namespace, about := l.packNamespace(l.packSubject("team-1", size))
		if namespace != "team-1" || about < int64(size)*3/4 || about > int64(size)*3/2 {
			t.Errorf("a pack of %d bytes of team-1 is taken for one of %d bytes of %s", size, about, namespace)
		}
	}
}

func TestAKeeperBeginsThoughTheLastMessageIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	q := openWith(t, oneServer(t))
	for n := range 3 {
		postpone(t, q, "a", n, time.Now().Add(never), "")
	}
	s := q.retries
	consumer, err := s.stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(2)
	if err != nil {
		t.Fatal(err)
	}
	next := uint64(1)
	for msg := range batch.Messages() {
		if err := s.learn(msg, next); err != nil {
			t.Fatal(err)
		}
		next++
	}
	if err := s.stream.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.takeUp(t.Context(), consumer, next); err != nil {
		t.Fatal(err)
	}
	if _, whole, _ := s.horizon.look(); !whole {
		t.Error("it waits for a message that is gone")
	}
}

func TestAQueueBreaksWhenTheServersLoseTheEndOfAStream(t *testing.T) {
	t.Parallel()
	q := openWith(t, oneServer(t))
	q.upkeeper.stop() // it looks, too
	publish(t, q, "a", 0, 1)
	if err := q.checkEnds(t.Context(), 0); err != nil {
		t.Fatalf("of a sound stream: %v", err)
	}
	for n := range lostEndTimes {
		select {
		case <-q.Broken():
			t.Fatalf("it breaks after %d looks", n)
		default:
		}
		if err := q.checkEnds(t.Context(), 100); !errors.Is(err, errLostEnd) { // so much was processed
			t.Fatalf("of a stream that lost its end: %v", err)
		}
	}
	<-q.Broken()
}

func TestADeadLetterIsFoundByEveryProcess(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	a, b := openWith(t, o), openWith(t, o)
	if err := a.Bury(t.Context(), "x", numbered("a", 7)); err != nil {
		t.Fatalf("burying: %v", err)
	}
	d, err := b.Exhume(t.Context(), "x")
	if err != nil || d.ID != idOf("a", 7) {
		t.Errorf("another process finds %s: %v", d.ID, err)
	}
}

func TestANamespaceHasItsShareInAllProcessesTogether(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	o.MaxBytes = 4 << 20
	a, b := openWith(t, o), openWith(t, o)
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = a.Publish(t.Context(), sized("a", n, 8<<10))
	}
	if !errors.Is(err, ErrFull) || n < 80 {
		t.Fatalf("after %d deliveries of 8 KiB: %v, want ErrFull when the share of 1 MiB is full", n, err)
	}
	eventually(t, func() string {
		if err := b.Publish(t.Context(), sized("a", n, 8<<10)); !errors.Is(err, ErrFull) {
			n++
			return fmt.Sprintf("another process takes more: %v", err)
		}
		return ""
	})
	publish(t, b, "b", 0, 1)
}

func TestWhatCannotBeDecodedIsMovedAsideOnTheServers(t *testing.T) {
	t.Parallel()
	o := oneServer(t)
	q := openWith(t, o)
	for _, subject := range []string{q.engine.layout.packSubject("a", 1), q.retries.prefix + "a.x", q.once.prefix + "a.x"} {
		if _, err := q.engine.js.Publish(t.Context(), subject, []byte("?")); err != nil {
			t.Fatalf("storing garbage: %v", err)
		}
	}
	publish(t, q, "a", 0, 1)
	receive(t, q, 1)[0].Done()
	awaitMessages(t, q.engine.aside, 3)
	awaitMessages(t, q.engine.stream, 0)
	awaitMessages(t, q.engine.retry, 0)
}

func TestServersThatCannotBeUsedAreRefusedWithTheFix(t *testing.T) {
	t.Parallel()
	lazy := queuetest.Start(t, queuetest.Options{NoTags: true, NoSync: true})
	locked := queuetest.Start(t, queuetest.Options{User: "hookstorm", Password: "secret"})
	seed := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(seed, []byte("no seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cluster Cluster
		want    string
	}{
		"servers that do not say that they fsync":    {Cluster{URL: lazy.URL(), Replicas: 1}, "sync_interval: always"},
		"a server without others for three replicas": {Cluster{URL: lazy.URL(), AllowLazySync: true}, "--nats-replicas=1"},
		"wrong credentials":                          {Cluster{URL: locked.URL(), Replicas: 1}, "--nats-credentials"},
		"credentials that are missing":               {Cluster{URL: locked.URL(), Credentials: seed + "?"}, "no such file"},
		"credentials of no kind":                     {Cluster{URL: locked.URL(), Credentials: seed}, "neither a user's JWT nor an NKey's seed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), Options{Cluster: &test.cluster})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("opening: %v, want an error that says %q", err, test.want)
			}
		})
	}
	q := openWith(t, Options{Cluster: &Cluster{URL: lazy.URL(), Replicas: 1, AllowLazySync: true}})
	publish(t, q, "a", 0, 1)
}
