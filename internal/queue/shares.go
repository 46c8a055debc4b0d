package queue

import (
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// namespaceFraction is the part of the queue, one in so many, that a namespace may hold.
const namespaceFraction = 4

// backlog is what the stream held when it was opened. The server knows how many packs a namespace has, not how many bytes;
// those are apportioned by the number of packs.
type backlog struct {
	last  uint64 // the sequence of the last pack; later ones are published by this process
	bytes uint64 // of all packs
	packs map[string]uint64
}

// newBacklog reads a backlog from the state of the stream.
func (e *engine) newBacklog(state jetstream.StreamState) backlog {
	b := backlog{last: state.LastSeq, bytes: state.Bytes, packs: make(map[string]uint64, len(state.Subjects))}
	for subject, packs := range state.Subjects {
		namespace, _ := e.layout.packNamespace(subject)
		b.packs[namespace] += packs
	}
	return b
}

// shares accounts for what is not processed, by namespace. It may be used by any goroutine.
type shares struct {
	mu         sync.Mutex
	limit      int64  // of the bytes of one namespace: its share
	foundLast  uint64 // packs up to this sequence are of the backlog
	packBytes  int64  // what a pack of the backlog counts for
	held       map[string]int64
	deliveries int64
	bytes      int64
	reserved   map[string]int64 // since measuring began
}

// newShares starts the accounts with what was found.
func newShares(limit int64, found backlog) *shares {
	s := &shares{limit: limit, foundLast: found.last, held: make(map[string]int64)}
	var packs int64
	for _, n := range found.packs {
		packs += int64(n)
	}
	if packs == 0 {
		return s
	}
	s.packBytes = int64(found.bytes) / packs
	for namespace, n := range found.packs {
		s.add(namespace, int64(n), int64(n)*s.packBytes)
	}
	return s
}

// reserve counts a delivery that is about to be stored. It returns ErrFull when the namespace holds its share already, or
// all together hold everything.
func (s *shares) reserve(namespace string, size int) error {
	return s.reserveWithin(namespace, size, 0)
}

// overdraw counts a delivery that is about to be postponed. What is postponed is stored already, in a pack that is released
// only afterwards. So postponing may take one share more than publishing: otherwise a namespace that holds its share could
// not be processed any more, and would hold up those behind it.
func (s *shares) overdraw(namespace string, size int) error {
	return s.reserveWithin(namespace, size, s.limit)
}

func (s *shares) reserveWithin(namespace string, size int, overdraft int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes := int64(size)
	if s.held[namespace]+bytes > s.limit+overdraft || s.bytes+bytes > namespaceFraction*s.limit+overdraft {
		return ErrFull
	}
	s.add(namespace, 1, bytes)
	if s.reserved != nil {
		s.reserved[namespace] += bytes
	}
	return nil
}

// largePart is the part of a share, one in so many, from which on others are told of it.
const largePart = 16

// large returns the namespaces that hold much. The record for the others must stay small, and what a namespace with less holds
// changes its share by a sixteenth at most.
func (s *shares) large(held map[string]int64) map[string]int64 {
	large := make(map[string]int64)
	for namespace, bytes := range held {
		if bytes > s.limit/largePart {
			large[namespace] = bytes
		}
	}
	return large
}

// measuring begins to take the accounts anew: what is reserved from now on may or may not be in what is going to be measured.
func (s *shares) measuring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved = make(map[string]int64)
}

// measured replaces the accounts by what all processes together hold, on servers that others use, too. What is reserved
// meanwhile counts on top of it, until the next time.
func (s *shares) measured(deliveries int64, held map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.bytes, s.deliveries = held, 0, deliveries
	for namespace, bytes := range s.reserved {
		s.held[namespace] += bytes
	}
	s.reserved = nil
	for _, bytes := range s.held {
		s.bytes += bytes
	}
}

// hold counts a delivery that is found on a shelf.
func (s *shares) hold(namespace string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(namespace, 1, int64(size))
}

// unreserve takes back a reserve or an overdraw: the delivery is not stored, or is no longer on its shelf.
func (s *shares) unreserve(namespace string, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(namespace, -1, -int64(size))
}

// read counts the deliveries of a pack that was counted as one so far.
func (s *shares) read(seq uint64, deliveries int) {
	if seq > s.foundLast {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add("", int64(deliveries)-1, 0)
}

// done counts a processed delivery of a pack.
func (s *shares) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add("", -1, 0)
}

// release gives back the bytes of a pack, all deliveries of which are done.
func (s *shares) release(namespace string, seq uint64, size int) {
	bytes := int64(size)
	if seq <= s.foundLast {
		bytes = s.packBytes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(namespace, 0, -bytes)
}

// refuse gives back what a pack of the backlog counts for: it cannot be decoded. A later one is of this
// process, which writes none of that kind.
func (s *shares) refuse(namespace string, seq uint64) {
	if seq > s.foundLast {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(namespace, -1, -s.packBytes)
}

// add changes the accounts; mu is held. Nothing goes below zero: a pack that was stored though its publisher had given up
// is released without having been reserved.
func (s *shares) add(namespace string, deliveries, bytes int64) {
	s.deliveries = max(0, s.deliveries+deliveries)
	if bytes == 0 {
		return
	}
	held := max(0, s.held[namespace]+bytes)
	s.bytes += held - s.held[namespace]
	if held == 0 {
		delete(s.held, namespace)
		return
	}
	s.held[namespace] = held
}

// total returns how many deliveries are not done, and their bytes.
func (s *shares) total() (deliveries, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliveries, s.bytes
}
