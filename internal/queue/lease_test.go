package queue

import (
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

// leases returns the leases of two processes.
func leases(t *testing.T, o Options) (a, b *lease) {
	t.Helper()
	bucket := openWith(t, o).engine.lease // of a process that does not want it
	return newLease(bucket), newLease(bucket)
}

// expectKept fails the test unless a look at the lease says whether it is kept.
func expectKept(t *testing.T, l *lease, wanted, want bool, when string) {
	t.Helper()
	kept, err := l.look(t.Context(), nil, wanted)
	if err != nil || kept != want {
		t.Fatalf("%s: kept %v, want %v; error %v", when, kept, want, err)
	}
}

func TestOneProcessHasTheLease(t *testing.T) {
	t.Parallel()
	a, b := leases(t, onServers(queuetest.Start(t, queuetest.Options{Servers: 3})))
	expectKept(t, a, false, false, "unwanted")
	expectKept(t, a, true, true, "wanted, and free")
	expectKept(t, b, true, false, "while another has it")
	expectKept(t, a, true, true, "renewed")
	if err := a.release(t.Context()); err != nil {
		t.Fatalf("giving it back: %v", err)
	}
	expectKept(t, b, true, true, "once it was given back")
	expectKept(t, a, true, false, "when another has taken it")
}

func TestALeaseThatIsNotRenewedIsTaken(t *testing.T) {
	t.Parallel()
	a, b := leases(t, oneServer(t))
	expectKept(t, a, true, true, "free")
	expectKept(t, b, true, false, "seen for the first time")
	expectKept(t, a, true, true, "renewed")
	b.seen = time.Now().Add(-2 * leaseLapse)
	expectKept(t, b, true, false, "seen to be renewed")
	b.seen = time.Now().Add(-2 * leaseLapse)
	expectKept(t, b, false, false, "lapsed, but unwanted")
	expectKept(t, b, true, true, "lapsed")
	expectKept(t, a, true, false, "when another has taken it")
}

func TestARenewalThatCameThroughUnnoticedCounts(t *testing.T) {
	t.Parallel()
	a, _ := leases(t, oneServer(t))
	expectKept(t, a, true, true, "free")
	known := a.rev
	expectKept(t, a, true, true, "renewed")
	a.rev = known
	expectKept(t, a, true, true, "with a revision that is old")
	if a.rev == known {
		t.Error("its own record is not found")
	}
	a.rev = known
	if err := a.release(t.Context()); err != nil {
		t.Errorf("giving it back with a revision that is old: %v", err)
	}
}

func TestALeaseThatTheServersHaveLostIsTakenAgain(t *testing.T) {
	t.Parallel()
	a, b := leases(t, oneServer(t))
	expectKept(t, a, true, true, "free")
	a.rev += 100 // as if much had been written that the servers have lost
	if _, err := a.look(t.Context(), nil, true); err != nil {
		t.Fatalf("with a record that is lost: %v", err)
	}
	known := a.rev
	expectKept(t, a, true, true, "with what stands")
	if a.rev <= known {
		t.Error("it is not renewed")
	}
	b.rev, b.seen = a.rev+100, time.Now().Add(-2*leaseLapse)
	expectKept(t, b, true, false, "one that has lapsed by a record that is lost")
	expectKept(t, b, true, false, "seen anew")
	b.seen = time.Now().Add(-2 * leaseLapse)
	expectKept(t, b, true, true, "lapsed")
}
