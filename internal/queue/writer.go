package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

const (
	// writerBytes bounds the messages that are on their way into one stream, or wait for that.
	writerBytes = 32 << 20
	// writerLeast is what a small message counts for, so that there are at most 2048: twice what a shelf hands out.
	writerLeast = writerBytes / 2048
)

// writer stores single messages in one stream. It may be used by any goroutine. While messages are being stored, those that
// come wait; then many go in one batch, few one by one (see batch.go).
type writer struct {
	layout *layout
	away   func() error // an error while no server is connected
	conn   *nats.Conn
	js     jetstream.JetStream
	turns  *semaphore.Weighted

	mu      sync.Mutex
	waiting []*writing
	busy    bool // a goroutine stores what waits
}

// writing is a message on its way.
type writing struct {
	ctx    context.Context
	msg    *nats.Msg
	result chan written // capacity 1
}

// written is how it ended.
type written struct {
	seq uint64
	err error
}

func newWriter(e *engine) *writer {
	return &writer{layout: &e.layout, away: e.away, conn: e.conn, js: e.js, turns: semaphore.NewWeighted(writerBytes)}
}

// acquire waits for a turn to write m. The caller gives it back with release.
func (w *writer) acquire(ctx context.Context, m *nats.Msg) error {
	return w.turns.Acquire(ctx, weight(m))
}

func (w *writer) release(m *nats.Msg) { w.turns.Release(weight(m)) }

func weight(m *nats.Msg) int64 { return int64(max(len(m.Data), writerLeast)) }

// write stores m and returns its sequence once it is on disk. It returns an error after at most publishTime, or when ctx
// ends; then m may be stored all the same. Servers that may replace each other are asked twice, under one message id, so that it
// is stored once. m is the writer's afterwards.
func (w *writer) write(ctx context.Context, m *nats.Msg) (uint64, error) {
	limited, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	alone := m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != "" // one that is refused would take its batch with it
	if !w.layout.shared {
		return w.try(ctx, limited, m, alone)
	}
	m.Header.Set(jetstream.MsgIDHeader, rand.Text())
	first := &nats.Msg{Subject: m.Subject, Header: maps.Clone(m.Header), Data: m.Data} // it may still be on its way
	seq, err := w.try(ctx, limited, first, alone)
	if errors.Is(err, errUnsure) && ctx.Err() == nil {
		sleep(limited, againPause)
		seq, err = w.try(ctx, limited, m, true)
	}
	return seq, err
}

// try stores m, alone or with others, in so much time as the server may take.
func (w *writer) try(ctx, limited context.Context, m *nats.Msg, alone bool) (uint64, error) {
	if err := w.away(); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeout(limited, w.layout.patience)
	defer cancel()
	var result written
	if alone {
		result = w.single(limited, m)
	} else {
		result = w.share(limited, m)
	}
	if errors.Is(result.err, context.DeadlineExceeded) && ctx.Err() == nil {
		result.err = errTimeout
	}
	return result.seq, result.err
}

// single stores a message by itself.
func (w *writer) single(ctx context.Context, m *nats.Msg) written {
	ack, err := w.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	switch {
	case err == nil:
		return written{seq: ack.Sequence}
	case ctx.Err() != nil:
		return written{err: ctx.Err()}
	}
	return written{err: commitError(err)}
}

// share stores a message with others that wait.
func (w *writer) share(ctx context.Context, m *nats.Msg) written {
	own := &writing{ctx: ctx, msg: m, result: make(chan written, 1)}
	w.mu.Lock()
	w.waiting = append(w.waiting, own)
	if !w.busy {
		w.busy = true
		go w.storeWaiting()
	}
	w.mu.Unlock()
	select {
	case result := <-own.result:
		return result
	case <-ctx.Done():
		return written{err: ctx.Err()}
	}
}

// storeWaiting stores until nothing waits. Each round ends in publishTime, so it outlives those whom it serves by no more.
func (w *writer) storeWaiting() {
	for {
		ws := w.next()
		if len(ws) == 0 {
			return
		}
		if len(ws) < batchLeast {
			w.storeEach(ws)
		} else {
			w.storeBatch(ws)
		}
	}
}

// next takes what waits, as much as fits into a batch, or says that the writer is no longer busy. Who has given up waits no
// more.
func (w *writer) next() []*writing {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(one *writing) bool { return one.ctx.Err() != nil })
	n, size := 0, 0
	for n < min(len(w.waiting), batchMessages) && (n == 0 || size+len(w.waiting[n].msg.Data) <= batchBytes) {
		size += len(w.waiting[n].msg.Data)
		n++
	}
	taken := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	w.busy = n > 0
	return taken
}

// storeEach stores messages one by one: the next is on its way while the server fsyncs one.
func (w *writer) storeEach(ws []*writing) {
	var storing sync.WaitGroup
	for _, one := range ws {
		storing.Go(func() { one.result <- w.single(one.ctx, one.msg) })
	}
	storing.Wait()
}
