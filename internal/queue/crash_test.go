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
)

// childDir is the environment variable that makes the test binary a child: it names the directory in which to open a queue.
const childDir = "HOOKSTORM_QUEUE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := runChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const (
	childPublishers = 16
	// childAcks is how many deliveries a child has acknowledged, at least, before it is killed.
	childAcks = 1500
	kills     = 3
)

// runChild publishes for ever, and processes every second delivery. It writes "acked <id>" after each acknowledgement and
// "done <id>" before each Done.
func runChild(dir string) error {
	q, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		return err
	}
	ctx := context.Background()
	var next atomic.Int64
	failed := make(chan error)
	for range childPublishers {
		go func() {
			for {
				d := numbered(fmt.Sprintf("p%d", os.Getpid()), int(next.Add(1)))
				if err := q.Publish(ctx, d); err != nil {
					failed <- err
					return
				}
				fmt.Println("acked", d.ID)
			}
		}()
	}
	go func() {
		for n := 0; ; n++ {
			m, err := q.Receive(ctx)
			if err != nil {
				failed <- err
				return
			}
			if n%2 == 0 {
				fmt.Println("done", m.Delivery.ID)
				m.Done()
			}
		}
	}()
	return <-failed
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	dir := t.TempDir()
	acked, processed := make(map[string]bool), make(map[string]bool)
	for range kills {
		killChild(t, dir, acked, processed)
	}
	q := openIn(t, dir)
	for lost := unprocessed(acked, processed); len(lost) > 0; {
		m := receive(t, q, 1)[0]
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
func killChild(t *testing.T, dir string, acked, processed map[string]bool) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
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
