package queue

import (
	"container/heap"
	"maps"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// shelfDeliveries bounds the deliveries of a shelf that are handed out and not done.
	shelfDeliveries = 1024
	// shelfBytes bounds their size; one that is larger is handed out alone.
	shelfBytes = 16 << 20
)

// slip is what a shelf remembers of a message in its stream.
type slip struct {
	subject   string
	namespace string
	seq       uint64
	size      int
	due       int64 // when it is handed out, in Unix milliseconds
	handed    bool
	missed    int // how often its message was not found
	index     int // in its heap while it waits
}

// finishedSlip is the slip of a delivery that is done.
type finishedSlip struct {
	*slip
	delivery string // its id
}

// slips are the slips of one shelf. They say what is due, namespaces in turn. They may be used by any goroutine.
type slips struct {
	mu       sync.Mutex
	newest   map[string]*slip     // by subject: what waits or is handed out
	waiting  map[string]*slipHeap // by namespace; none is empty
	turns    []string             // the namespaces of waiting, next in turn first
	waits    int64                // how many are in waiting
	held     int                  // handed out and not done
	heldSize int
	finished []finishedSlip // done, and still in the stream
	wake     chan struct{}  // capacity 1; holds a token when next may have another answer
}

func newSlips() *slips {
	return &slips{
		newest:  make(map[string]*slip),
		waiting: make(map[string]*slipHeap),
		wake:    make(chan struct{}, 1),
	}
}

// put takes up the slip of a message that was stored. The stream keeps the last message of a subject: put returns the slip
// that is void because of that, or nil; of two for one message, the second. One that is handed out stays valid until it is done.
func (s *slips) put(n *slip) (void *slip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.newest[n.subject]
	if old != nil && old.seq >= n.seq {
		return n
	}
	s.newest[n.subject] = n
	s.push(n)
	signal(s.wake)
	if old == nil || old.handed {
		return nil
	}
	s.pull(old)
	return old
}

// next takes out a slip that is due at now. Without one that is due and has room it returns nil and how long to wait, unless
// wake says otherwise.
func (s *slips) next(now int64) (n *slip, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	soonest := int64(math.MaxInt64)
	for range s.turns {
		n := (*s.waiting[s.turns[0]])[0]
		if n.due <= now {
			if !s.fits(n) {
				return nil, idle // its namespace keeps its turn: smaller ones must not pass it for ever
			}
			s.rotate()
			s.pull(n)
			n.handed = true
			s.held++
			s.heldSize += n.size
			return n, 0
		}
		soonest = min(soonest, n.due)
		s.rotate()
	}
	return nil, min(idle, time.Duration(min(soonest-now, idle.Milliseconds()))*time.Millisecond)
}

// idle is the longest wait for what is due; then the clock is asked again, which may have been set.
const idle = 10 * time.Second

// fits reports whether n may be handed out too; mu is held.
func (s *slips) fits(n *slip) bool {
	return s.held == 0 || s.held < shelfDeliveries && s.heldSize+n.size <= shelfBytes
}

// rotate gives the turn to the next namespace; mu is held.
func (s *slips) rotate() {
	s.turns = append(s.turns[1:], s.turns[0])
}

// done takes back a slip that was handed out, and remembers its message for removal, unless a later one has replaced it.
func (s *slips) done(n *slip, delivery string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.giveUp(n) {
		s.finished = append(s.finished, finishedSlip{n, delivery})
	}
}

// overtake gives up the slip of a subject that is taken by a mark since: another process has done it.
func (s *slips) overtake(subject string, seq uint64) (void *slip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.newest[subject]
	if n == nil || n.handed || n.seq > seq {
		return nil
	}
	s.pull(n)
	delete(s.newest, subject)
	return n
}

// lost takes back a slip, the message of which is not in the stream, and reports whether that is a loss: a later message may
// have replaced it.
func (s *slips) lost(n *slip) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.giveUp(n)
}

// giveUp forgets a slip that was handed out and reports whether it was the newest of its subject; mu is held.
func (s *slips) giveUp(n *slip) bool {
	s.held--
	s.heldSize -= n.size
	signal(s.wake)
	if s.newest[n.subject] != n {
		return false
	}
	delete(s.newest, n.subject)
	return true
}

// putBack lets a slip that was handed out wait until due.
func (s *slips) putBack(n *slip, due int64) (void *slip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.giveUp(n) {
		return n
	}
	n.due, n.handed = due, false
	s.newest[n.subject] = n
	s.push(n)
	return nil
}

// takeFinished returns what is done since the last call, oldest first.
func (s *slips) takeFinished() []finishedSlip {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.finished
	s.finished = nil
	return taken
}

// returnFinished gives back what takeFinished returned and what could not be dealt with.
func (s *slips) returnFinished(fs []finishedSlip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = append(fs, s.finished...)
}

// floor returns the lowest sequence of a message that is not removable: all below it are.
func (s *slips) floor() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	floor := uint64(math.MaxUint64)
	for _, n := range s.newest {
		floor = min(floor, n.seq)
	}
	for _, f := range s.finished {
		floor = min(floor, f.seq)
	}
	return floor
}

// sizes returns how much there is of each namespace that waits or is handed out, and how many in all.
func (s *slips) sizes() (sizes map[string]int64, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes = make(map[string]int64)
	for _, one := range s.newest {
		sizes[one.namespace] += int64(one.size)
	}
	return sizes, int64(len(s.newest))
}

// clear forgets what waits.
func (s *slips) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.newest, func(_ string, n *slip) bool { return !n.handed })
	s.waiting, s.turns, s.waits = make(map[string]*slipHeap), nil, 0
}

// waiters returns how many wait until they are due, or for room.
func (s *slips) waiters() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waits
}

// push lets n wait; mu is held.
func (s *slips) push(n *slip) {
	h := s.waiting[n.namespace]
	if h == nil {
		h = new(slipHeap)
		s.waiting[n.namespace] = h
		s.turns = append(s.turns, n.namespace)
	}
	heap.Push(h, n)
	s.waits++
}

// pull takes n out of what waits; mu is held.
func (s *slips) pull(n *slip) {
	h := s.waiting[n.namespace]
	heap.Remove(h, n.index)
	s.waits--
	if h.Len() > 0 {
		return
	}
	delete(s.waiting, n.namespace)
	s.turns = slices.DeleteFunc(s.turns, func(namespace string) bool { return namespace == n.namespace })
}

// slipHeap has the slip that is due first at its top.
type slipHeap []*slip

func (h slipHeap) Len() int { return len(h) }

func (h slipHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].seq < h[j].seq
}

func (h slipHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is part of heap.Interface.
func (h *slipHeap) Push(x any) {
	n := x.(*slip)
	n.index = len(*h)
	*h = append(*h, n)
}

// Pop is part of heap.Interface.
func (h *slipHeap) Pop() any {
	last := len(*h) - 1
	n := (*h)[last]
	(*h)[last] = nil // the slice lives on
	*h = (*h)[:last]
	return n
}
