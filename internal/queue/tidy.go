package queue

import (
	"context"
	"errors"
	"fmt"
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

// tidy removes what is done from the stream, as far as it can be removed at once, and of the rest one part in so many.
func (s *shelf) tidy(ctx context.Context, part int) error {
	now := time.Now().UnixMilli()
	err := s.settle(ctx, now, part)
	s.marks = slices.DeleteFunc(s.marks, func(m mark) bool {
		if m.expires > now {
			return false
		}
		s.removed = append(s.removed, m.seq)
		return true
	})
	slices.Sort(s.removed)
	if len(s.removed) > fewRemovals {
		err = errors.Join(err, s.removeBelow(ctx))
	}
	return errors.Join(err, s.removeSome(ctx, part))
}

// some returns how many of n are dealt with at one time.
func some(n, part int) int {
	return min(n, max(fewRemovals, (n+part-1)/part))
}

// settle decides what becomes of what is done: it is removed, or replaced by a mark when its subject must stay taken.
func (s *shelf) settle(ctx context.Context, now int64, part int) error {
	var kept []finishedSlip
	for _, f := range s.slips.takeFinished() {
		if f.due+s.keep.Milliseconds() > now && s.keep > 0 {
			kept = append(kept, f)
		} else {
			s.removed = append(s.removed, f.seq)
		}
	}
	n := some(len(kept), part)
	failed, err := s.markAll(ctx, kept[:n])
	s.slips.returnFinished(append(failed, kept[n:]...))
	return err
}

// markAll replaces messages by marks and returns those for which that failed.
func (s *shelf) markAll(ctx context.Context, fs []finishedSlip) (failed []finishedSlip, err error) {
	var (
		mu      sync.Mutex
		writing sync.WaitGroup
	)
	for _, f := range fs {
		writing.Go(func() {
			m, writeErr := s.mark(ctx, f)
			mu.Lock()
			defer mu.Unlock()
			if writeErr != nil {
				failed, err = append(failed, f), fmt.Errorf("marking what is done: %w", writeErr)
				return
			}
			s.marks = append(s.marks, m)
		})
	}
	writing.Wait()
	return failed, err
}

// mark replaces one message by a mark.
func (s *shelf) mark(ctx context.Context, f finishedSlip) (mark, error) {
	expires := f.due + s.keep.Milliseconds()
	m := &nats.Msg{Subject: f.subject, Header: make(nats.Header)}
	m.Header.Set(headerExpires, strconv.FormatInt(expires, 10))
	m.Header.Set(headerDelivery, f.delivery)
	if err := s.writer.acquire(ctx, m); err != nil {
		return mark{}, err
	}
	defer s.writer.release(m)
	seq, err := s.writer.write(ctx, m)
	return mark{seq: seq, expires: expires}, err
}

// removeBelow removes with one purge all messages below the first that must stay.
func (s *shelf) removeBelow(ctx context.Context) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	floor := s.slips.floor()
	for _, m := range s.marks {
		floor = min(floor, m.seq)
	}
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

// removeSome removes messages one by one, the oldest first.
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
