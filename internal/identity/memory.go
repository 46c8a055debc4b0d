package identity

import (
	"context"
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// errBusy says that enough is asked already.
var errBusy = errors.New("too many questions are under way; it may be asked again soon")

// bounds are those of a memory.
type bounds struct {
	// yes and no are how long a good and a bad answer count.
	yes, no time.Duration
	// size is how many good answers are kept, and how many bad ones.
	size int
	// timeout is for a question.
	timeout time.Duration
	// known and strangers are how much is asked about what had a good answer the last time, and about the rest: who makes up
	// tokens keeps nobody out who was let in before.
	known, strangers share
}

// share bounds questions: so many a second, twice as many at once after a pause, and so many under way.
type share struct {
	perSecond rate.Limit
	places    int
}

// lane is a share in use.
type lane struct {
	rate   *rate.Limiter
	places chan struct{}
}

func newLane(s share) *lane {
	return &lane{rate: rate.NewLimiter(s.perSecond, 2*int(s.perSecond)), places: make(chan struct{}, s.places)}
}

// take takes a place, and reports whether there was one.
func (l *lane) take() bool {
	select {
	case l.places <- struct{}{}:
	default:
		return false
	}
	if !l.rate.Allow() {
		l.give()
		return false
	}
	return true
}

func (l *lane) give() { <-l.places }

// memory remembers answers, has one question for all who ask the same, and bounds how much is asked. Good answers and bad
// ones are kept apart, so that no number of bad ones drives out a good one.
type memory[V any] struct {
	bounds           bounds
	now              func() time.Time
	good, bad        *lru.Cache[string, remembered[V]]
	known, strangers *lane
	flight           singleflight.Group
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newMemory[V any](b bounds, now func() time.Time) *memory[V] {
	m := &memory[V]{bounds: b, now: now, known: newLane(b.known), strangers: newLane(b.strangers)}
	// The only error is that of a size that is not positive.
	m.good, _ = lru.New[string, remembered[V]](b.size)
	m.bad, _ = lru.New[string, remembered[V]](b.size)
	return m
}

// question asks for the answer; good says which one it is.
type question[V any] func(ctx context.Context) (value V, good bool, err error)

// answer is what came of a question.
type answer[V any] struct {
	value V
	good  bool
}

// ask returns the answer for a key, a remembered one or that of q. An error is not remembered.
func (m *memory[V]) ask(ctx context.Context, key string, q question[V]) (V, bool, error) {
	if a, found := m.recall(key); found {
		return a.value, a.good, nil
	}
	results := m.flight.DoChan(key, func() (any, error) { return m.put(context.WithoutCancel(ctx), key, q) })
	select {
	case result := <-results:
		a, _ := result.Val.(answer[V])
		return a.value, a.good, result.Err
	case <-ctx.Done():
		var none V
		return none, false, context.Cause(ctx)
	}
}

func (m *memory[V]) recall(key string) (answer[V], bool) {
	now := m.now()
	if kept, found := m.good.Get(key); found && now.Before(kept.until) {
		return answer[V]{kept.value, true}, true
	}
	kept, found := m.bad.Get(key)
	return answer[V]{kept.value, false}, found && now.Before(kept.until)
}

// put puts a question and remembers the answer.
func (m *memory[V]) put(ctx context.Context, key string, q question[V]) (answer[V], error) {
	lane := m.strangers
	if m.good.Contains(key) {
		lane = m.known
	}
	if !lane.take() {
		return answer[V]{}, errBusy
	}
	defer lane.give()
	ctx, cancel := context.WithTimeout(ctx, m.bounds.timeout)
	defer cancel()
	value, good, err := q(ctx)
	if err != nil {
		return answer[V]{}, err
	}
	if good {
		m.bad.Remove(key)
		m.good.Add(key, remembered[V]{value, m.now().Add(m.bounds.yes)})
	} else {
		m.good.Remove(key)
		m.bad.Add(key, remembered[V]{value, m.now().Add(m.bounds.no)})
	}
	return answer[V]{value, good}, nil
}
