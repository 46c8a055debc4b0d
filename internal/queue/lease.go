package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// leaseBucket holds one key, leaseKey: who is the keeper.
	leaseBucket, leaseKey = "LEASE", "keeper"
	// leaseInterval is how often a process looks at the lease, or renews it; it also counts what is stored then.
	leaseInterval = time.Second
	// leaseLapse is how long a lease must be seen without a change before another process takes it. All times are measured by
	// each process with its own clock, and an outage of the servers, of which an election lasts up to 9 s, does not count.
	leaseLapse = 15 * time.Second
	// leaseYield is how long a keeper hands out without having renewed its lease.
	leaseYield = 6 * time.Second
)

// lease says which of the processes that share the streams is the keeper: the one that hands out what waits in RETRY and ONCE.
// There may be two for some seconds, when one was paused; then work is done twice. It belongs to one goroutine, but for the
// times.
type lease struct {
	bucket  jetstream.KeyValue
	id      string // of this process
	kept    bool
	rev     uint64    // of the record that was seen last
	seen    time.Time // when that was first
	held    map[string]int64
	renewed moment // when this process began to write its own record last
	alive   moment // when any process was last seen to write one
}

// moment is a time that any goroutine may ask for.
type moment struct{ at atomic.Pointer[time.Time] }

func (m *moment) set(at time.Time) { m.at.Store(&at) }

// since returns how long ago it was.
func (m *moment) since() time.Duration {
	at := m.at.Load()
	if at == nil {
		return math.MaxInt64
	}
	return time.Since(*at)
}

// leaseRecord is what the key holds.
type leaseRecord struct {
	Holder string `json:"holder"`
	// Held is how many bytes wait in RETRY and ONCE, by namespace: the keeper alone knows.
	Held map[string]int64 `json:"held,omitempty"`
}

// openLease makes the bucket or takes it up again.
func (e *engine) openLease(ctx context.Context) error {
	var err error
	e.lease, err = e.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: e.layout.stream(leaseBucket), Storage: jetstream.FileStorage, Replicas: e.layout.replicas, Placement: e.layout.placement,
		MaxBytes: leaseBytes,
	})
	if err != nil {
		return fmt.Errorf("opening bucket %s: %w", e.layout.stream(leaseBucket), err)
	}
	return nil
}

// leaseBytes bounds the bucket, which holds one record.
const leaseBytes = 16 << 20

func newLease(bucket jetstream.KeyValue) *lease {
	host, _ := os.Hostname() // for people who look
	l := &lease{bucket: bucket, id: host + "-" + rand.Text()[:8]}
	l.alive.set(time.Now())
	return l
}

// look renews the lease, or takes it when nobody has it and it is wanted, and reports whether this process has it. held is what
// the keeper tells the others.
func (l *lease) look(ctx context.Context, held map[string]int64, wanted bool) (bool, error) {
	var err error
	if l.kept {
		err = l.renew(ctx, held)
	} else {
		err = l.seek(ctx, wanted)
	}
	return l.kept, err
}

// renew writes the lease anew. It is lost only when another is seen to have it: while that cannot be seen, the keeper merely
// hands out nothing (see mayHandOut).
func (l *lease) renew(ctx context.Context, held map[string]int64) error {
	err := l.write(ctx, held)
	if !overtaken(err) {
		return err
	}
	// Another has it; or an earlier renewal came through, or still is on its way, though this process was told otherwise; or the
	// servers have lost what was seen.
	l.rev = 0
	holder, err := l.read(ctx)
	if err == nil && holder != l.id {
		l.kept = false
	}
	return err
}

// read reads the record and returns who wrote it.
func (l *lease) read(ctx context.Context) (holder string, err error) {
	entry, err := l.bucket.Get(ctx, leaseKey)
	if err != nil {
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	var record leaseRecord
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return "", fmt.Errorf("reading the lease: %w", err)
	}
	if entry.Revision() > l.rev { // not merely another: a server that lags behind may answer
		l.rev, l.seen, l.held = entry.Revision(), time.Now(), record.Held
		l.alive.set(l.seen)
	}
	return record.Holder, nil
}

// seek looks who has the lease, and takes it when nobody has.
func (l *lease) seek(ctx context.Context, wanted bool) error {
	holder, err := l.read(ctx)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		l.rev = 0
	case err != nil:
		l.blind()
		return err
	case holder != l.id && time.Since(l.seen) <= leaseLapse:
		return nil
	}
	if !wanted {
		l.alive.set(time.Now()) // it is not missed yet
		return nil
	}
	err = l.write(ctx, l.held)
	switch {
	case err == nil:
		l.kept = true
	case overtaken(err):
		l.rev, l.seen = 0, time.Now() // another was faster, or the servers have lost what was seen
		return nil
	default:
		l.blind() // the holder cannot write either
	}
	return err
}

// blind says that the servers cannot be asked now: how long ago a record was written counts from when they can be again.
func (l *lease) blind() { l.seen = time.Now() }

// overtaken reports whether another record was written meanwhile, or is on its way.
func overtaken(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) ||
		errors.Is(commitError(err), errTaken)
}

// write writes the record of this process if the one that was seen last still stands.
func (l *lease) write(ctx context.Context, held map[string]int64) error {
	record, err := json.Marshal(leaseRecord{Holder: l.id, Held: held})
	if err != nil {
		return fmt.Errorf("encoding the lease: %w", err)
	}
	began := time.Now()
	var rev uint64
	if l.rev == 0 {
		rev, err = l.bucket.Create(ctx, leaseKey, record)
	} else {
		rev, err = l.bucket.Update(ctx, leaseKey, record, l.rev)
	}
	if err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	l.rev = rev
	l.renewed.set(began)
	l.alive.set(began)
	return nil
}

// release gives the lease back, so that another process takes it at once.
func (l *lease) release(ctx context.Context) error {
	holder, err := l.read(ctx)
	if errors.Is(err, jetstream.ErrKeyNotFound) || err == nil && holder != l.id {
		return nil
	}
	if err == nil {
		err = l.bucket.Delete(ctx, leaseKey, jetstream.LastRevision(l.rev))
	}
	if err != nil && !overtaken(err) {
		return fmt.Errorf("giving back the lease: %w", err)
	}
	l.kept = false
	return nil
}
