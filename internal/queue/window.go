package queue

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

const (
	// WindowDeliveries bounds the deliveries that Receive hands out and that are not done.
	WindowDeliveries = inboxDeliveries + 2*shelfDeliveries
	// inboxDeliveries bounds those of them that come in packs. The two shelves have a part of their own: neither a backlog
	// of packs nor one of retries that are due keeps the other from its turn.
	inboxDeliveries = 4096
	// windowBytes bounds the size of the packs.
	windowBytes = 64 << 20
)

// Message is a delivery to be processed.
type Message struct {
	// Delivery is what was published or postponed. Its payload is a part of the pack it came in; keeping it keeps the pack's
	// memory.
	Delivery delivery.Delivery
	// Progress is what Postpone was given; nil for what was published.
	Progress []byte

	queue *Queue
	pack  *readPack // or, when it comes from a shelf:
	shelf *shelf
	slip  *slip
	done  atomic.Bool
}

// Done says that the delivery is processed, or postponed, and must not be handed out again. A pack is acknowledged when all
// its deliveries are done; a message never Done is handed out again after the next Open. Calling it again does nothing.
func (m *Message) Done() {
	switch {
	case !m.done.CompareAndSwap(false, true):
	case m.slip != nil:
		m.shelf.done(m)
	default:
		m.queue.done(m.pack)
	}
}

// readPack is a pack that was read from the stream.
type readPack struct {
	msg       jetstream.Msg
	seq       uint64
	namespace string
	size      int // of its deliveries
	left      int // deliveries that are not done; guarded by the window's mutex
	processed time.Time
}

// window holds what was read and is not done, and hands it out. It may be used by any goroutine.
type window struct {
	mu         sync.Mutex
	ready      map[string][]*Message // by namespace, oldest first; not handed out yet
	turns      []string              // the namespaces of ready, next in turn first
	packs      map[uint64]*readPack  // by sequence: all that are read and not below the acknowledgement floor
	deliveries int                   // of packs
	bytes      int                   // of packs
	room       chan struct{}         // capacity 1; holds a token when something became free
	tokens     chan struct{}         // one for each message in ready; WindowDeliveries bounds them, so sending never blocks
}

func newWindow() *window {
	return &window{
		ready:  make(map[string][]*Message),
		packs:  make(map[uint64]*readPack),
		room:   make(chan struct{}, 1),
		tokens: make(chan struct{}, WindowDeliveries),
	}
}

// fits returns how many packs fit, however large they are.
func (w *window) fits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min((inboxDeliveries-w.deliveries)/packDeliveries, (windowBytes-w.bytes)/maxPayload)
}

// find returns the pack of this sequence if it was read before, and whether it is processed.
func (w *window) find(seq uint64) (p *readPack, processed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p = w.packs[seq]
	return p, p != nil && p.left == 0
}

// add takes in a pack and its messages.
func (w *window) add(p *readPack, ms []*Message) {
	w.mu.Lock()
	w.packs[p.seq] = p
	w.deliveries += len(ms)
	w.bytes += p.size
	w.mu.Unlock()
	w.hand(p.namespace, ms...)
}

// hand makes messages ready to be handed out.
func (w *window) hand(namespace string, ms ...*Message) {
	w.mu.Lock()
	if len(w.ready[namespace]) == 0 {
		w.turns = append(w.turns, namespace)
	}
	w.ready[namespace] = append(w.ready[namespace], ms...)
	w.mu.Unlock()
	for range ms {
		w.tokens <- struct{}{}
	}
}

// next takes out the oldest message of the namespace whose turn it is. The caller has received a token.
func (w *window) next() *Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	namespace := w.turns[0]
	w.turns = w.turns[1:]
	ms := w.ready[namespace]
	m := ms[0]
	ms[0] = nil // the slice lives on
	if len(ms) > 1 {
		w.ready[namespace] = ms[1:]
		w.turns = append(w.turns, namespace)
	} else {
		delete(w.ready, namespace)
	}
	return m
}

// done counts one delivery of p as done and reports whether it was the last.
func (w *window) done(p *readPack) bool {
	w.mu.Lock()
	p.left--
	w.deliveries--
	last := p.left == 0
	if last {
		w.bytes -= p.size
		p.processed = time.Now()
	}
	w.mu.Unlock()
	signal(w.room)
	return last
}

// split returns the packs that are held and not processed, and those that are processed and maybe not acknowledged.
func (w *window) split() (held, processed []*readPack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packs {
		if p.left > 0 {
			held = append(held, p)
		} else {
			processed = append(processed, p)
		}
	}
	return held, processed
}

// anyPack returns one of the packs, or nil when there is none.
func (w *window) anyPack() *readPack {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.packs {
		return p
	}
	return nil
}

// forget drops the packs up to floor, which are no longer in the stream, and returns the sequences of those above it that
// have been processed for at least age, oldest first.
func (w *window) forget(floor uint64, age time.Duration) []uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	var processed []uint64
	for seq, p := range w.packs {
		switch {
		case p.left > 0:
		case seq <= floor:
			delete(w.packs, seq)
		case time.Since(p.processed) >= age:
			processed = append(processed, seq)
		}
	}
	slices.Sort(processed)
	return processed
}

// drop forgets a processed pack that was removed from the stream.
func (w *window) drop(seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.packs, seq)
}
