package outbound

import "sync"

// places counts the calls under way by target, and knows no target that has none. It may be used by any goroutine.
type places struct {
	perTarget int

	mu    sync.Mutex
	taken map[string]int
}

func newPlaces(perTarget int) *places {
	return &places{perTarget: perTarget, taken: make(map[string]int)}
}

// take takes a place at a target, and reports whether there was one.
func (p *places) take(target string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[target] >= p.perTarget {
		return false
	}
	p.taken[target]++
	return true
}

// give gives a place back.
func (p *places) give(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken[target]--; p.taken[target] == 0 {
		delete(p.taken, target)
	}
}
