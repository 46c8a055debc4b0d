package identity

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
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
	// tokens keeps nobody out who was let in before. Of the rest, one source has a part.
	known, strangers share
}

// memory remembers answers, has one question for all who ask the same, and bounds how much is asked. Good answers and bad
// ones are kept apart, so that no number of bad ones drives out a good one.
type memory[V any] struct {
	bounds    bounds
	log       logr.Logger
	now       func() time.Time
	good, bad *lru.Cache[string, remembered[V]]
	known     *lane
	strangers *crowd
	flight    singleflight.Group
}

type remembered[V any] struct {
	value   V
	variant string
	until   time.Time
}

func newMemory[V any](b bounds, log logr.Logger, now func() time.Time) *memory[V] {
	m := &memory[V]{bounds: b, log: log, now: now, known: newLane(b.known), strangers: newCrowd(b.strangers)}
	// The only error is that of a size that is not positive.
	m.good, _ = lru.New[string, remembered[V]](b.size)
	m.bad, _ = lru.New[string, remembered[V]](b.size)
	return m
}

// question is one about a key.
type question[V any] struct {
	key string
	// variant tells apart what is asked about the same key. An answer to another variant does not count, but who had a good
	// one is known. All variants of a memory are equally long.
	variant string
	// from is who made it necessary; not valid: that is not known, or many have that address.
	from netip.Addr
	// put asks for the answer; good says which one it is.
	put func(ctx context.Context) (value V, good bool, err error)
}

// answer is what came of a question.
type answer[V any] struct {
	value V
	good  bool
}

// ask returns the answer to a question, a remembered one or a new one. An error is not remembered.
func (m *memory[V]) ask(ctx context.Context, q question[V]) (V, bool, error) {
	if a, found := m.recall(&q); found {
		return a.value, a.good, nil
	}
	results := m.flight.DoChan(q.variant+q.key, func() (any, error) { return m.put(context.WithoutCancel(ctx), &q) })
	select {
	case result := <-results:
		a, _ := result.Val.(answer[V])
		return a.value, a.good, result.Err
	case <-ctx.Done():
		var none V
		return none, false, context.Cause(ctx)
	}
}

func (m *memory[V]) recall(q *question[V]) (answer[V], bool) {
	now := m.now()
	if kept, found := m.good.Get(q.key); found && kept.counts(q, now) {
		return answer[V]{kept.value, true}, true
	}
	kept, found := m.bad.Get(q.key)
	return answer[V]{kept.value, false}, found && kept.counts(q, now)
}

// counts reports whether what is remembered answers a question.
func (r *remembered[V]) counts(q *question[V], now time.Time) bool {
	return r.variant == q.variant && now.Before(r.until)
}

// put puts a question and remembers the answer.
func (m *memory[V]) put(ctx context.Context, q *question[V]) (a answer[V], err error) {
	defer guard(m.log, &err)
	give := m.place(q)
	if give == nil {
		return answer[V]{}, errBusy
	}
	defer give()
	ctx, cancel := context.WithTimeout(ctx, m.bounds.timeout)
	defer cancel()
	value, good, err := q.put(ctx)
	if err != nil {
		return answer[V]{}, err
	}
	if good {
		m.bad.Remove(q.key)
		m.good.Add(q.key, remembered[V]{value, q.variant, m.now().Add(m.bounds.yes)})
	} else {
		m.good.Remove(q.key)
		m.bad.Add(q.key, remembered[V]{value, q.variant, m.now().Add(m.bounds.no)})
	}
	return answer[V]{value, good}, nil
}

// place takes a place for a question. It returns what gives it back; nil: there was none.
func (m *memory[V]) place(q *question[V]) (give func()) {
	switch {
	case !m.good.Contains(q.key):
		return m.strangers.take(q.from)
	case m.known.take():
		return m.known.give
	default:
		return nil
	}
}
