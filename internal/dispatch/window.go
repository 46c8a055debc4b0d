package dispatch

import (
	"sync"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

// window names one history: the records of one outcome that a namespace keeps of a webhook.
type window struct{ namespace, webhook, outcome string }

// windows counts the records that were evaluated for each window, so that one which its window has already passed by when
// its turn to be written comes need not be written. Its zero value is ready; it is safe for concurrent use.
type windows struct {
	mu    sync.Mutex
	count map[window]uint64
}

// enter counts a record and returns its ordinal.
func (w *windows) enter(key window) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == nil {
		w.count = map[window]uint64{}
	}
	w.count[key]++
	return w.count[key]
}

// passed reports whether at least limit records entered a window after the one with this ordinal.
func (w *windows) passed(key window, ordinal uint64, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[key]-ordinal >= uint64(limit)
}

// passedBy reports whether a record is one that its history would drop as soon as it is written: a success, or what is
// still being processed.
func (r *record) passedBy(w *windows) bool {
	return r.kind() == v1alpha1.RecordTriggerInstance && r.outcome() != v1alpha1.OutcomeFailed && r.delivery.Instance == "" &&
		w.passed(r.window(), r.ordinal, r.webhook.History.Limit(r.outcome()))
}
