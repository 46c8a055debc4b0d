package identity

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// freshFor is after how long an issuer is asked again; a key that it withdraws counts no longer.
	freshFor = 15 * time.Minute
	// keptFor is how long keys count of an issuer that cannot be asked: a day that it is away stops nobody.
	keptFor = 24 * time.Hour
	// askEvery is the least time between two questions to an issuer, so that a flood of tokens with unknown keys is none of
	// questions. A key that was published and used at once is unknown for as long.
	askEvery = 5 * time.Second
	// fetchTimeout is for a discovery document and the keys. Some senders wait only three seconds for us.
	fetchTimeout = 3 * time.Second
)

// source says where a key set is: at url, or where the discovery document of issuer says.
type source struct{ issuer, url string }

func (s source) String() string {
	if s.url != "" {
		return s.url
	}
	return s.issuer
}

// KeySet is the keys of an issuer, asked for when they are needed. Keys that it has are used at once and asked for again
// behind that when they are no longer fresh; who finds none waits for the answer.
type KeySet struct {
	source source
	sets   *KeySets

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	digest   [sha256.Size]byte // of the document that keys are of
	received time.Time         // when it came
	asked    time.Time         // when the last question began
	failure  error             // the last answer's; nil: it was keys, or there was none yet
	told     bool              // the last report was that there are no keys
	pending  chan struct{}     // closed at the end of the question that is under way; nil: none is
}

// Keys returns the keys, the same slice as long as the issuer has the same. An error says that there are none, and why. It
// ends with ctx.
func (s *KeySet) Keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	age := s.age()
	if age >= freshFor {
		s.ask()
	}
	keys, pending := s.keys, s.pending
	s.mu.Unlock()
	if age < keptFor {
		return keys, nil
	}
	if err := wait(ctx, pending); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.age() >= keptFor {
		return nil, s.problem()
	}
	return s.keys, nil
}

// Renewed returns the keys after the issuer was asked again, unless it was a moment ago. An error says that it cannot be
// asked. It ends with ctx.
func (s *KeySet) Renewed(ctx context.Context) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	s.ask()
	pending := s.pending
	s.mu.Unlock()
	if err := wait(ctx, pending); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.problem()
	}
	return s.keys, nil
}

// Problem says why there are no keys; nil if there are some, or it is not known yet.
func (s *KeySet) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lacking() {
		return nil
	}
	return s.problem()
}

// age returns how old the keys are, and at least keptFor if there are none.
func (s *KeySet) age() time.Duration {
	if s.keys == nil {
		return keptFor
	}
	return s.sets.o.Now().Sub(s.received)
}

// lacking reports whether there are no keys because the issuer cannot be asked.
func (s *KeySet) lacking() bool { return s.failure != nil && s.age() >= keptFor }

func (s *KeySet) problem() error {
	return fmt.Errorf("asking %s for its keys: %w", s.source, s.failure)
}

// ask begins to ask the issuer, unless that is under way or was done a moment ago.
func (s *KeySet) ask() {
	now := s.sets.o.Now()
	if s.pending != nil || now.Sub(s.asked) < askEvery {
		return
	}
	s.asked, s.pending = now, make(chan struct{})
	go s.fetch()
}

func (s *KeySet) fetch() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	s.sets.report(s.source, s.settle(s.sets.load(ctx, s.source)))
}

// settle takes in an answer, and says what it changed.
func (s *KeySet) settle(digest [sha256.Size]byte, keys []jose.JSONWebKey, err error) change {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := change{failure: err, failed: s.failure != nil, lacked: s.told}
	s.failure = err
	if err == nil {
		s.received = s.sets.o.Now()
		if s.keys == nil || digest != s.digest {
			s.keys, s.digest = keys, digest
		}
	}
	s.told = s.lacking()
	c.lacks = s.told
	close(s.pending)
	s.pending = nil
	return c
}

// wait waits for the end of a question; nil is none.
func wait(ctx context.Context, pending <-chan struct{}) error {
	if pending == nil {
		return nil
	}
	select {
	case <-pending:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for an issuer's keys: %w", context.Cause(ctx))
	}
}
