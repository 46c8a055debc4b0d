package webhookserver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

// publishFunc is a Publisher.
type publishFunc func() error

func (f publishFunc) Publish(context.Context, delivery.Delivery) error { return f() }

func (f publishFunc) PublishOnce(_ context.Context, _ string, d delivery.Delivery) (string, bool, error) {
	return d.ID, false, f()
}

func TestBodiesShareABudget(t *testing.T) {
	h := benchmarkHandler()
	h.budget = newBudget(shares * 100)
	post := func(size int, chunked bool) int {
		r := httptest.NewRequest(http.MethodPost, "/v1/webhooks/git", strings.NewReader("["+strings.Repeat(" ", size-2)+"]"))
		r.Header.Set("X-Auth-Token", "secret")
		if chunked {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	var within []int
	nested := false
	h.publisher = publishFunc(func() error {
		if !nested {
			nested = true
			// 60 bytes are taken by the request that is being stored.
			within = []int{post(41, false), post(40, false), post(2, true)}
		}
		return nil
	})
	if got := post(60, false); got != http.StatusAccepted {
		t.Errorf("the first body: %d", got)
	}
	if len(within) != 3 || within[0] != 503 || within[1] != 202 || within[2] != 503 {
		t.Errorf("too large for the rest, just right, and without a length: %v, want 503, 202, 503", within)
	}
	if got := post(100, false); got != http.StatusAccepted {
		t.Errorf("after the first had its answer: %d", got)
	}
}
