package main

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
)

// groupStore stores all bodies that wait by one message: while a commit is under way what arrives waits, and then shares
// the next one.
type groupStore struct {
	*embedded
	stop func()
	done chan struct{}
	wake chan struct{} // capacity 1; holds a token when something may wait

	mu      sync.Mutex
	waiting []*waiter
}

// waiter is one who waits for his body to be stored.
type waiter struct {
	body   []byte
	result chan error // capacity 1, so that the committer waits for nobody
}

var waiters = sync.Pool{New: func() any { return &waiter{result: make(chan error, 1)} }}

func openGroup(ctx context.Context, dir string) (store, error) {
	e, err := openEmbedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	// It ends after the last request, not with the signal that ends the server.
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	g := &groupStore{embedded: e, stop: stop, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go g.commit(ctx)
	return g, nil
}

func (g *groupStore) put(_ context.Context, body []byte) error {
	w := waiters.Get().(*waiter)
	w.body = body
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	select {
	case g.wake <- struct{}{}:
	default:
	}
	err := <-w.result
	w.body = nil
	waiters.Put(w)
	return err
}

// commit stores what waits, and what came meanwhile, and so on.
func (g *groupStore) commit(ctx context.Context) {
	defer close(g.done)
	var taken []*waiter
	var pack []byte
	for {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return
		}
		// Those whom the last commit woke may post again at once: let them run, and they share this one.
		runtime.Gosched()
		taken = g.take(taken)
		if len(taken) == 0 {
			continue
		}
		pack = pack[:0]
		for _, w := range taken {
			pack = binary.AppendUvarint(pack, uint64(len(w.body)))
			pack = append(pack, w.body...)
		}
		err := g.store(ctx, pack)
		for _, w := range taken {
			w.result <- err
		}
	}
}

// take returns all who wait. Those to come are collected in the memory of free.
func (g *groupStore) take(free []*waiter) []*waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	taken := g.waiting
	g.waiting = free[:0]
	return taken
}

func (g *groupStore) close() {
	g.stop()
	<-g.done
	g.embedded.close()
}
