package rule

import (
	"context"
	"sync"
	"time"
)

// Books holds the current rule book. It is safe for concurrent use.
type Books struct {
	mu      sync.Mutex
	current *Book
	changed chan struct{} // closed by the next Publish
	excused uint64        // a version that nobody waits for any more
}

// NewBooks returns a holder without a book.
func NewBooks() *Books { return &Books{changed: make(chan struct{})} }

// Publish replaces the book.
func (b *Books) Publish(book *Book) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current = book
	close(b.changed)
	b.changed = make(chan struct{})
}

// At returns a book that knows the Rules up to a resourceVersion. It waits for the first book without limit, and for the
// version as long as patience; then it returns what there is, and no later call waits for that version again: the Rule may
// have been deleted since. The error is the context's.
func (b *Books) At(ctx context.Context, version uint64, patience time.Duration) (*Book, error) {
	var expired <-chan time.Time
	for {
		book, changed := b.state(version)
		if changed == nil {
			return book, nil
		}
		if book != nil && expired == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-expired:
			b.excuse(version)
		}
	}
}

// state returns the current book, and a channel to wait on if it is older than version.
func (b *Books) state(version uint64) (*Book, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil && (b.current.version >= version || b.excused >= version) {
		return b.current, nil
	}
	return b.current, b.changed
}

func (b *Books) excuse(version uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.excused = max(b.excused, version)
}
