package queue

import (
	"slices"
	"sync"
)

const (
	// lineEntries bounds the deliveries that wait for a commit.
	lineEntries = 8192
	// lineBytes bounds their size; a disk that writes 16 MiB a second stores them in publishTime.
	lineBytes = 32 << 20
)

// line is where deliveries wait while a commit is under way. It may be used by any goroutine.
type line struct {
	mu      sync.Mutex
	waiting []*entry
	bytes   int
	closed  bool
	wake    chan struct{} // capacity 1; holds a token when something may wait
}

func newLine() *line {
	return &line{wake: make(chan struct{}, 1)}
}

// add puts e in line, unless too much waits already.
func (l *line) add(e *entry) error {
	if err := l.push(e); err != nil {
		return err
	}
	signal(l.wake)
	return nil
}

func (l *line) push(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case len(l.waiting) >= lineEntries, l.bytes+e.size() > lineBytes:
		return ErrBusy
	}
	l.waiting = append(l.waiting, e)
	l.bytes += e.size()
	return nil
}

// remove takes e out of line and reports whether it was there: false means that its commit is under way.
func (l *line) remove(e *entry) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, e)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.bytes -= e.size()
	return true
}

// take returns all that waits. The line goes on in the memory of free.
func (l *line) take(free []*entry) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.waiting
	l.waiting, l.bytes = free[:0], 0
	return taken
}

// close lets nothing more in line.
func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// signal puts a token into a channel of capacity 1, unless there is one.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
