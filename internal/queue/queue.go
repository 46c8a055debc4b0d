package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/gofrs/flock"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// What a caller may branch on. ErrFull, ErrTooLarge and ErrBusy mean that the delivery is not stored.
var (
	// ErrLocked says that the data directory is in use by another queue.
	ErrLocked = errors.New("the queue's directory is locked")
	// ErrFull says that the queue, or the namespace's share of it, is full of deliveries that are not processed yet.
	ErrFull = errors.New("the queue is full")
	// ErrTooLarge says that the delivery is larger than a message may be.
	ErrTooLarge = delivery.ErrTooLarge
	// ErrBusy says that too many deliveries wait to be stored.
	ErrBusy = errors.New("too many deliveries wait to be stored")
	// ErrClosed says that the queue was closed.
	ErrClosed = errors.New("the queue is closed")
)

// Options say where a queue stores deliveries and how many.
type Options struct {
	// Dir is the data directory of a queue of one's own; it is made if need be. Required without Cluster.
	Dir string
	// Cluster says which servers keep the queue. Nil means that the process itself does, in Dir.
	Cluster *Cluster
	// MaxBytes bounds what is stored. Zero means 6 GiB, or less when the disk has less room (see defaultMaxBytes), and 2 GiB on
	// a cluster.
	MaxBytes int64
	// DeduplicateWindow is how long PublishOnce remembers an id. Zero means DefaultDeduplicateWindow.
	DeduplicateWindow time.Duration
	// Log receives what cannot be returned to a caller.
	Log logr.Logger
}

// Queue is an open queue. Its methods may be called from any goroutine.
type Queue struct {
	log     logr.Logger
	dir     string
	lock    *flock.Flock // of dir; nil on a cluster
	engine  *engine
	entries entryPool
	shares  *shares
	line    *line
	window  *window
	retries *shelf
	once    *shelf
	dead    *writer
	lease   *lease      // only on a cluster
	keeping atomic.Bool // this process is the keeper, as that of a queue of one's own always is
	receive sync.Once
	// receiving is closed by the first Receive.
	receiving chan struct{}

	closing sync.Once
	closed  chan struct{} // closed by Close, first of all
	broken  chan struct{} // closed when what this process knows of its streams is wrong

	// The upkeep's, then Close's.
	purged   uint64    // the sequence up to which the stream is purged
	ends     [3]uint64 // of the streams of work, as far as they were seen
	lostEnds int       // how often in a row one was seen to end before that

	committer, reader, upkeeper, reporter, stewardship worker
}

// Open opens the queue in o.Dir, or on o.Cluster, and hands out at once what was not processed when it was closed or killed;
// on a cluster that is after ackWait, unless other processes do it meanwhile. The caller must Close it. It fails with
// ErrLocked when another queue has the directory open, and when the servers cannot be used for a minute; ctx bounds the
// opening only.
func Open(ctx context.Context, o Options) (*Queue, error) {
	if o.Cluster != nil {
		return openShared(ctx, o)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	e, err := openEngine(ctx, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the queue in %s: %w", o.Dir, err), lock.Unlock())
	}
	q := newQueue(o, e)
	q.lock = lock
	q.keep()
	for _, s := range q.shelves() {
		select {
		case <-s.loaded:
		case <-ctx.Done():
			q.stopShelves()
			e.close()
			return nil, errors.Join(fmt.Errorf("opening the queue in %s: reading what waits: %w", o.Dir, ctx.Err()), lock.Unlock())
		}
	}
	q.start()
	return q, nil
}

// openShared opens a queue on a cluster.
func openShared(ctx context.Context, o Options) (*Queue, error) {
	e, err := openRemote(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("opening the queue on NATS: %w", err)
	}
	q := newQueue(o, e)
	q.lease = newLease(e.lease)
	if err := q.lookAround(ctx); err != nil {
		q.log.Error(err, "the other processes are not seen yet")
	}
	q.stewardship.start(q.steward)
	q.start()
	return q, nil
}

func newQueue(o Options, e *engine) *Queue {
	q := &Queue{
		log:     o.Log,
		dir:     o.Dir,
		engine:  e,
		entries: entryPool{largest: e.layout.largest},
		shares:  newShares(e.maxBytes/namespaceFraction, e.found),
		line:    newLine(),
		window:  newWindow(),
		dead:    newWriter(e),
		closed:  make(chan struct{}),

		receiving: make(chan struct{}),
		broken:    make(chan struct{}),
	}
	q.retries = newShelf(q, retryPrefix, e.retry, 0)
	q.once = newShelf(q, oncePrefix, e.once, cmp.Or(o.DeduplicateWindow, DefaultDeduplicateWindow))
	return q
}

// start starts what every queue has.
func (q *Queue) start() {
	q.committer.start(q.commitWaiting)
	q.reader.start(q.readAhead)
	q.upkeeper.start(q.upkeep)
	q.reporter.start(q.report)
}

// shelves returns both shelves.
func (q *Queue) shelves() []*shelf { return []*shelf{q.retries, q.once} }

func (q *Queue) stopShelves() {
	for _, s := range q.shelves() {
		s.stop()
	}
}

// Close stops publishing, reading and the server, in this order, and gives the directory back. Deliveries that are not done
// are handed out again after the next Open, or to other processes at once. Publish and Receive fail with ErrClosed from then on. Calling it again does nothing.
func (q *Queue) Close() error {
	var err error
	q.closing.Do(func() {
		close(q.closed)
		q.line.close()
		q.committer.stop()
		q.reader.stop()
		q.stewardship.stop()
		q.stopShelves()
		q.upkeeper.stop()
		q.reporter.stop()
		err = q.forgetProcessed()
		q.engine.close()
		if q.lock != nil {
			err = errors.Join(err, q.lock.Unlock())
		}
	})
	return err
}

// Broken is closed when servers elsewhere have lost the end of a stream, as after a power loss of those that do not fsync, or when
// one was restored. Then the process must end and start anew: what it knows of the stream is wrong. It is seen after
// lostEndTimes looks, one a second; nothing is removed meanwhile.
func (q *Queue) Broken() <-chan struct{} { return q.broken }

// Healthy returns nil while deliveries can be stored and read. A queue that is only full is healthy.
func (q *Queue) Healthy() error {
	if err := q.closedError(); err != nil {
		return err
	}
	if q.lease != nil && q.lease.alive.since() > leaderless {
		return fmt.Errorf("no process hands out what waits: the lease %s was not written for %s", q.engine.layout.stream(leaseBucket),
			leaderless)
	}
	return q.engine.healthy()
}

// leaderless is how long there may be no keeper: more than twice an election of the servers and a lapse of the lease.
const leaderless = time.Minute

// closedError returns ErrClosed after Close was called.
func (q *Queue) closedError() error {
	select {
	case <-q.closed:
		return ErrClosed
	default:
		return nil
	}
}

// complain logs an error, unless no server is there: the connection has said so once.
func (q *Queue) complain(err error, text string, values ...any) {
	if q.engine.away() == nil {
		q.log.Error(err, text, values...)
		return
	}
	q.log.V(1).Info(text, append(values, "reason", err.Error())...)
}

// Stats is what a queue holds.
type Stats struct {
	// Deliveries counts those that are stored, or are being stored, and not done; zero means that all are processed. A pack
	// found by Open counts as one until it is read. On a cluster it is about what all processes hold, packs counted as one; only
	// the keeper counts what waits.
	Deliveries int64
	// Waiting counts those of them that are postponed and not handed out again yet.
	Waiting int64
	// Bytes is what they take, nearly.
	Bytes int64
	// MaxBytes is what may be stored.
	MaxBytes int64
}

// Stats returns what the queue holds now. It asks nobody and is cheap.
func (q *Queue) Stats() Stats {
	deliveries, bytes := q.shares.total()
	return Stats{Deliveries: deliveries, Waiting: q.retries.slips.waiters(), Bytes: bytes, MaxBytes: q.engine.maxBytes}
}

// finishTime bounds what Close still asks the server.
const finishTime = 10 * time.Second

// forgetProcessed removes what is processed, so that it is not handed out again after the next Open.
func (q *Queue) forgetProcessed() error {
	ctx, cancel := context.WithTimeout(context.Background(), finishTime)
	defer cancel()
	err := q.awaitAcks(ctx)
	if err == nil {
		err = q.purge(ctx, 0, 1)
	}
	if errors.Is(err, errLostEnd) {
		err = nil // that was said before, and nothing more may be removed
	} else {
		for _, s := range q.shelves() {
			err = errors.Join(err, s.tidy(ctx, 1))
		}
	}
	if q.lease != nil {
		err = errors.Join(err, q.leave())
	}
	if err != nil {
		return fmt.Errorf("removing what is processed: %w", err)
	}
	return nil
}

// worker is one goroutine that ends with its context.
type worker struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs f in the worker's goroutine.
func (w *worker) start(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan struct{})
	go func() {
		defer close(w.done)
		f(ctx)
	}()
}

// stop ends the worker and waits for it. It does nothing to one that was not started.
func (w *worker) stop() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	<-w.done
}
