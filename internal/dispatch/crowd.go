package dispatch

import "sync"

// crowd counts the actors that each namespace has, so that none has them all. Its zero value is ready; it is safe for
// concurrent use.
type crowd struct {
	mu    sync.Mutex
	count map[string]int
}

// enter takes an actor for a namespace, and reports whether it may have one more.
func (c *crowd) enter(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[namespace] >= namespaceActors {
		return false
	}
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[namespace]++
	return true
}

// leave gives an actor back.
func (c *crowd) leave(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[namespace]--; c.count[namespace] == 0 {
		delete(c.count, namespace)
	}
}
