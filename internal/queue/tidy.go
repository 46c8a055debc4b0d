package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// fewRemovals is how many messages of a shelf are removed, or replaced by a mark, at one time however many there are. Each
// costs an fsync; with more it is worth looking for all that can be removed with one.
const fewRemovals = 256

// mark is a message without a delivery, which says that its subject is taken although the delivery is done.
type mark struct {
	seq     uint64
	expires int64 // in Unix milliseconds
}

// marks are those that a stream holds. They may be used by any goroutine.
type marks struct {
	mu  sync.Mutex
	all []mark
}

func (m *marks) add(one mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, one)
}

func (m *marks) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = nil
}

// takeExpired takes out those that have expired and returns their sequences.
func (m *marks) takeExpired(now int64) (expired []uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = slices.DeleteFunc(m.all, func(one mark) bool {
		if one.expires > now {
			return false
		}
		expired = append(expired, one.seq)
		return true
	})
	return expired
}

// floor returns the lowest sequence of a mark.
func (m *marks) floor() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	floor := uint64(math.MaxUint64)
	for _, one := range m.all {
		floor = min(floor, one.seq)
	}
	return floor
}

// tidy removes what is done from the stream, as far as it can be removed at once, and of the rest one part in so many.
func (s *shelf) tidy(ctx context.Context, part int) error {
	now := time.Now().UnixMilli()
	removable, err := s.settle(ctx, now, part)
	s.removing.Lock()
	defer s.removing.Unlock()
	s.removed = append(append(s.removed, removable...), s.marks.takeExpired(now)...)
	slices.Sort(s.removed)
	if len(s.removed) > fewRemovals && s.queue.keeping.Load() {
		err = errors.Join(err, s.removeBelow(ctx))
	}
	return errors.Join(err, s.removeSome(ctx, part))
}

// some returns how many of n are dealt with at one time.
func some(n, part int) int {
	return min(n, max(fewRemovals, (n+part-1)/part))
}

// settle decides what becomes of what is done: it may be removed, or is replaced by a mark when its subject must stay taken.
func (s *shelf) settle(ctx context.Context, now int64, part int) (removable []uint64, err error) {
	var kept []finishedSlip
	for _, f := range s.slips.takeFinished() {
		if f.due+s.keep.Milliseconds() > now && s.keep > 0 {
			kept = append(kept, f)
		} else {
			removable = append(removable, f.seq)
		}
	}
	n := some(len(kept), part)
	failed, err := s.markAll(ctx, kept[:n])
	s.slips.returnFinished(append(failed, kept[n:]...))
	return removable, err
}

// markAll replaces messages by marks and returns those for which that failed.
func (s *shelf) markAll(ctx context.Context, fs []finishedSlip) (failed []finishedSlip, err error) {
	var (
		mu      sync.Mutex
		writing sync.WaitGroup
	)
	for _, f := range fs {
		writing.Go(func() {
			writeErr := s.mark(ctx, f)
			if writeErr == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			failed, err = append(failed, f), fmt.Errorf("marking what is done: %w", writeErr)
		})
	}
	writing.Wait()
	return failed, err
}

// mark replaces one message by a mark.
func (s *shelf) mark(ctx context.Context, f finishedSlip) error {
	m := &nats.Msg{Subject: f.subject, Header: make(nats.Header)}
	m.Header.Set(headerExpires, strconv.FormatInt(f.due+s.keep.Milliseconds(), 10))
	m.Header.Set(headerDelivery, f.delivery)
	shared := s.queue.engine.shared()
	if shared {
		m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(f.seq, 10))
	}
	if err := s.writer.acquire(ctx, m); err != nil {
		return err
	}
	defer s.writer.release(m)
	_, err := s.writer.write(ctx, m)
	if shared && errors.Is(err, errTaken) {
		return s.checkMarked(ctx, f)
	}
	return err
}

// checkMarked returns nil when a message is not the last of its subject any more: an earlier attempt came through, or another
// process has done the same. Otherwise an attempt may still be on its way.
func (s *shelf) checkMarked(ctx context.Context, f finishedSlip) error {
	last, err := s.stream.GetLastMsgForSubject(ctx, f.subject)
	if err == nil && last.Sequence == f.seq {
		return errTaken
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	return err
}

// removeBelow removes with one purge all messages below the first that must stay, or that is not known yet; removing is held.
func (s *shelf) removeBelow(ctx context.Context) error {
	floor := s.horizon.last() + 1 // asked first: what is taken up from here on is above it
	floor = min(floor, s.slips.floor(), s.marks.floor())
	n, _ := slices.BinarySearch(s.removed, floor)
	if n == 0 {
		return nil
	}
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSequence(s.removed[n-1]+1)); err != nil {
		return fmt.Errorf("purging what is done: %w", err)
	}
	s.removed = s.removed[n:]
	return nil
}

// removeSome removes messages one by one, the oldest first; removing is held.
func (s *shelf) removeSome(ctx context.Context, part int) error {
	for range some(len(s.removed), part) {
		if err := deleteMessage(ctx, s.stream, s.removed[0]); err != nil {
			return err
		}
		s.removed = s.removed[1:]
	}
	return nil
}

// textsNoMessage is how the server says that a message is not there; the client has no error of its own for it.
var textsNoMessage = regexp.MustCompile(`err_code=10043|no message found`)

// deleteMessage removes one message. It is no error when there is none: an earlier answer may have been lost.
func deleteMessage(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	err := stream.DeleteMsg(ctx, seq)
	if err == nil || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) && textsNoMessage.MatchString(err.Error()) {
		return nil
	}
	return fmt.Errorf("removing message %d: %w", seq, err)
}
