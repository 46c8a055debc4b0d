package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// leaseBucket holds one key, leaseKey: who is the keeper.
	leaseBucket, leaseKey = "LEASE", "keeper"
	// leaseInterval is how often a process looks at the lease, or renews it; it also counts what is stored then.
	leaseInterval = time.Second
	// leaseLapse is how long a lease must be seen without a change before another process takes it. All times are measured by
	// each process with its own clock, and an outage of the servers does not count.
	leaseLapse = 10 * time.Second
	// leaseYield is how long a keeper goes on without having renewed its lease.
	leaseYield = 6 * time.Second
)

// lease says which of the processes that share the streams is the keeper: the one that hands out what waits in RETRY and ONCE,
// and removes what is processed. There may be two for some seconds, when one was paused; then work is done twice.
type lease struct {
	bucket  jetstream.KeyValue
	id      string // of this process
	kept    bool
	rev     uint64    // of the record that was seen last
	seen    time.Time // when that was first
	renewed time.Time // when this process wrote its own
	held    map[string]int64
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
	return &lease{bucket: bucket, id: host + "-" + rand.Text()[:8]}
}

// look renews the lease, or takes it when nobody has it, and reports whether this process has it. held is what the keeper
// tells the others.
func (l *lease) look(ctx context.Context, held map[string]int64) (bool, error) {
	var err error
	if l.kept {
		err = l.renew(ctx, held)
	} else {
		err = l.seek(ctx)
	}
	return l.kept, err
}

// renew writes the lease anew.
func (l *lease) renew(ctx context.Context, held map[string]int64) error {
	err := l.write(ctx, held)
	if overtaken(err) {
		// Another has it; or an earlier renewal came through though this process was told otherwise.
		l.kept = false
		return l.seek(ctx)
	}
	if err != nil && time.Since(l.renewed) > leaseYield {
		l.kept = false
		l.rev = 0 // what is seen next is seen first
	}
	return err
}

// seek looks who has the lease, and takes it when nobody has.
func (l *lease) seek(ctx context.Context) error {
	entry, err := l.bucket.Get(ctx, leaseKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		l.rev = 0
		return l.take(ctx)
	case err != nil:
		l.rev = 0
		return fmt.Errorf("reading the lease: %w", err)
	}
	var record leaseRecord
	if err := json.Unmarshal(entry.Value(), &record); err != nil {
		return fmt.Errorf("reading the lease: %w", err)
	}
	l.held = record.Held
	switch {
	case record.Holder == l.id:
		l.rev = entry.Revision()
		return l.take(ctx)
	case entry.Revision() > l.rev: // not merely another: a server that lags behind may answer
		l.rev, l.seen = entry.Revision(), time.Now()
	case entry.Revision() == l.rev && time.Since(l.seen) > leaseLapse:
		return l.take(ctx)
	}
	return nil
}

// take writes the lease of this process in the place of the record that was seen last.
func (l *lease) take(ctx context.Context) error {
	err := l.write(ctx, l.held)
	if overtaken(err) {
		return nil // another was faster
	}
	l.kept = err == nil
	return err
}

// overtaken reports whether another record was written meanwhile.
func overtaken(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// write writes the record of this process if the one that was seen last still stands.
func (l *lease) write(ctx context.Context, held map[string]int64) error {
	record, err := json.Marshal(leaseRecord{Holder: l.id, Held: held})
	if err != nil {
		return fmt.Errorf("encoding the lease: %w", err)
	}
	var rev uint64
	if l.rev == 0 {
		rev, err = l.bucket.Create(ctx, leaseKey, record)
	} else {
		rev, err = l.bucket.Update(ctx, leaseKey, record, l.rev)
	}
	if err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	l.rev, l.renewed = rev, time.Now()
	return nil
}

// release gives the lease back, so that another process takes it at once.
func (l *lease) release(ctx context.Context) error {
	if !l.kept {
		return nil
	}
	l.kept = false
	if err := l.bucket.Delete(ctx, leaseKey, jetstream.LastRevision(l.rev)); err != nil {
		return fmt.Errorf("giving back the lease: %w", err)
	}
	return nil
}
