package webhookserver

import "sync"

// shares is into how many parts a budget falls that no one may exceed.
const shares = 4

// budget is memory for bodies. One key, such as a namespace or a source, holds at most a share of it, so that whoever sends most
// leaves the others theirs. Nobody waits: what is not there is refused at once. It is safe for concurrent use.
type budget struct {
	mu    sync.Mutex
	total int64
	used  int64
	held  map[string]int64 // by key; none is 0
}

func newBudget(total int64) *budget {
	return &budget{total: total, held: map[string]int64{}}
}

// take reserves n bytes for a key, and reports whether it did.
func (b *budget) take(key string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Differences, because a sum could overflow.
	if n < 0 || n > b.total-b.used || n > b.total/shares-b.held[key] {
		return false
	}
	b.add(key, n)
	return true
}

// give returns n bytes that the key took.
func (b *budget) give(key string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(key, -n)
}

func (b *budget) add(key string, n int64) {
	b.used += n
	b.held[key] += n
	if b.held[key] == 0 {
		delete(b.held, key)
	}
}

// reservation is what somebody holds of a budget. The zero value holds nothing, of none.
type reservation struct {
	budget *budget
	key    string
	size   int64
}

// grow takes n bytes more, or reports that there is not as much.
func (r *reservation) grow(n int64) bool {
	ok := r.budget.take(r.key, n)
	if ok {
		r.size += n
	}
	return ok
}

// shrink gives n bytes back.
func (r *reservation) shrink(n int64) {
	r.budget.give(r.key, n)
	r.size -= n
}

// move has a reservation held of another budget, or reports that there is not as much, and it is as it was.
func (r *reservation) move(to *budget, key string) bool {
	ok := to.take(key, r.size)
	if ok {
		size := r.size
		r.release()
		*r = reservation{to, key, size}
	}
	return ok
}

// release gives back what is held.
func (r *reservation) release() {
	if r.budget != nil {
		r.shrink(r.size)
	}
	*r = reservation{}
}
