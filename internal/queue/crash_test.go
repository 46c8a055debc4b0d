package queue

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

// childPlace is the environment variable that makes the test binary a child: it names the directory in which to open a queue,
// or the server.
const childPlace = "HOOKSTORM_QUEUE_TEST_CHILD"

func TestMain(m *testing.M) {
	if place := os.Getenv(childPlace); place != "" {
		if err := runChild(place); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const (
	childPublishers = 16
	childReceivers  = 64 // enough for batches
	childDelay      = 50 * time.Millisecond
	// childAcks is how many deliveries a child has acknowledged, at least, before it is killed.
	childAcks = 1500
	kills     = 3
	soakKills = 100
)

// runChild publishes for ever, and processes some deliveries. It writes "acked <id>" after each acknowledgement and
// "done <id>" before each Done of what is not postponed.
func runChild(place string) error {
	o := Options{Dir: place}
	if strings.Contains(place, "://") {
		o = onServer(place)
	}
	q, err := Open(context.Background(), o)
	if err != nil {
		return err
	}
	var next atomic.Int64
	failed := make(chan error)
	for range childPublishers {
		go func() {
			for {
				d := numbered(fmt.Sprintf("p%d", os.Getpid()), int(next.Add(1)))
				if err := publishSomehow(q, d); err != nil {
					failed <- err
					return
				}
				fmt.Println("acked", d.ID)
			}
		}()
	}
	for range childReceivers {
		go func() { failed <- processSome(q) }()
	}
	return <-failed
}

// publishSomehow publishes every fourth delivery once, and the others in packs.
func publishSomehow(q *Queue, d delivery.Delivery) error {
	if d.Received.Unix()%4 != 0 {
		return q.Publish(context.Background(), d)
	}
	_, duplicate, err := q.PublishOnce(context.Background(), d.ID, d)
	if duplicate {
		return fmt.Errorf("delivery %s is taken for a duplicate", d.ID)
	}
	return err
}

// processSome receives until it fails. Of four deliveries one is postponed, one left alone, and two are done; one that comes
// back from being postponed is postponed once more and then done.
func processSome(q *Queue) error {
	for n := 0; ; n++ {
		m, err := q.Receive(context.Background())
		if err != nil {
			return err
		}
		switch attempts := len(m.Progress); {
		case attempts == 1, attempts == 0 && n%4 == 1:
			progress := append(m.Progress, '+')
			err := q.Postpone(context.Background(), m.Delivery.ID, time.Now().Add(childDelay), m.Delivery, progress)
			if err != nil {
				return err
			}
			m.Done()
		case attempts == 0 && n%4 == 3:
		default:
			fmt.Println("done", m.Delivery.ID)
			m.Done()
		}
	}
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	dir := t.TempDir()
	acked, processed := make(map[string]bool), make(map[string]bool)
	kills := kills
	if soak() {
		kills = soakKills
	}
	for range kills {
		killChild(t, dir, acked, processed)
	}
	processRest(t, openIn(t, dir), acked, processed)
}

func TestNothingAcknowledgedIsLostByAKillOfOneProcessOfSeveral(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t, queuetest.Options{}).URL()
	acked, processed := make(map[string]bool), make(map[string]bool)
	killChild(t, server, acked, processed) // the keeper
	q := openWith(t, onServer(server))
	killChild(t, server, acked, processed)
	processRest(t, q, acked, processed)
}

// processRest processes what was acknowledged and not processed. It fails the test when that does not come.
func processRest(t *testing.T, q *Queue, acked, processed map[string]bool) {
	t.Helper()
	for lost := unprocessed(acked, processed); len(lost) > 0; {
		m := receiveWithin(t, q, 3*ackWait, 1)[0] // so long others may have it
		delete(lost, m.Delivery.ID)
		m.Done()
	}
}

// unprocessed returns what was acknowledged and is not processed.
func unprocessed(acked, processed map[string]bool) map[string]bool {
	left := make(map[string]bool)
	for id := range acked {
		if !processed[id] {
			left[id] = true
		}
	}
	return left
}

// killChild starts a child, kills it while it publishes, and adds what it wrote to acked and processed.
func killChild(t *testing.T, place string, acked, processed map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childPlace+"="+place)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatalf("connecting to the child: %v", err)
	}
	if err := child.Start(); err != nil {
		t.Fatalf("starting the child: %v", err)
	}
	acks := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch what, id, _ := strings.Cut(lines.Text(), " "); what {
		case "acked":
			acked[id] = true
			if acks++; acks == childAcks {
				_ = child.Process.Kill() // SIGKILL; what it wrote before is still read
			}
		case "done":
			processed[id] = true
		}
	}
	_ = child.Wait()
	if acks < childAcks {
		t.Fatalf("the child ended by itself after %d acknowledgements", acks)
	}
}
