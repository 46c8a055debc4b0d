package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
)

// call is a request that a target got.
type call struct {
	key    string // its Idempotency-Key
	body   string
	header http.Header
}

// target is what http actions call. It answers 503 while it is down.
type target struct {
	*httptest.Server
	delay time.Duration

	mu    sync.Mutex
	down  bool
	calls []call
}

// newTarget starts a target, which ends with the spec.
func newTarget(delay time.Duration) *target {
	t := &target{delay: delay}
	t.Server = httptest.NewServer(http.HandlerFunc(t.answer))
	DeferCleanup(t.Close)
	return t
}

func (t *target) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	<-time.After(t.delay)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	t.calls = append(t.calls, call{r.Header.Get("Idempotency-Key"), string(body), r.Header})
}

// setDown takes the target down, or up again.
func (t *target) setDown(down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down = down
}

// seen returns the calls that it did not refuse.
func (t *target) seen() []call {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]call(nil), t.calls...)
}

// keys returns the idempotency keys of those calls, by their bodies.
func (t *target) keys() map[string]map[string]bool {
	keys := map[string]map[string]bool{}
	for _, c := range t.seen() {
		if keys[c.body] == nil {
			keys[c.body] = map[string]bool{}
		}
		keys[c.body][c.key] = true
	}
	return keys
}
