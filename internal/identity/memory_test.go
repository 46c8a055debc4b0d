package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// small are bounds that a test reaches.
func small() bounds {
	return bounds{
		yes: 10 * time.Second, no: 5 * time.Second, size: 4, timeout: 2 * time.Second,
		known: share{perSecond: 2, places: 2}, strangers: share{perSecond: 2, places: 2},
	}
}

// counted is a question that counts how often it is put.
func counted(asked *int, good bool, err error) question[int] {
	return func(context.Context) (int, bool, error) { *asked++; return *asked, good, err }
}

func TestHowLongAnswersAreRemembered(t *testing.T) {
	for _, c := range []struct {
		name string
		good bool
		err  error
		kept time.Duration
	}{
		{"a good one", true, nil, 10 * time.Second},
		{"a bad one", false, nil, 5 * time.Second},
		{"none", false, errors.New("timeout"), 0},
	} {
		var at clock
		m, asked := newMemory[int](small(), at.now), 0
		ask := func() (int, bool, error) { return m.ask(t.Context(), "key", counted(&asked, c.good, c.err)) }
		for _, want := range []int{1, 2} {
			if c.kept > 0 {
				if _, _, err := ask(); err != nil {
					t.Fatal(err)
				}
				at.pass(c.kept - 1)
			}
			value, good, err := ask()
			if asked != want || good != c.good || !errors.Is(err, c.err) || (err == nil && value != want) {
				t.Errorf("%s: asked %d times, got %d %v %v", c.name, asked, value, good, err)
			}
			at.pass(1)
		}
	}
}

func TestAnAnswerThatTurns(t *testing.T) {
	var at clock
	m, asked := newMemory[int](small(), at.now), 0
	for _, good := range []bool{true, false, true} {
		if _, got, err := m.ask(t.Context(), "key", counted(&asked, good, nil)); got != good || err != nil {
			t.Errorf("%v %v, want %v", got, err, good)
		}
		if _, got, err := m.ask(t.Context(), "key", counted(&asked, !good, nil)); got != good || err != nil {
			t.Errorf("remembered: %v %v, want %v", got, err, good)
		}
		at.pass(small().yes)
	}
}

func TestWhoMakesUpTokensKeepsNobodyOut(t *testing.T) {
	var at clock
	m, asked := newMemory[int](small(), at.now), 0
	if _, good, _ := m.ask(t.Context(), "known", counted(&asked, true, nil)); !good {
		t.Fatal("a good answer is bad")
	}
	busy := 0
	for n := range 100 {
		if _, _, err := m.ask(t.Context(), fmt.Sprint(n), counted(&asked, false, nil)); errors.Is(err, errBusy) {
			busy++
		}
	}
	if asked > 10 || busy < 90 {
		t.Errorf("of 100 made up, %d were asked about and %d sent away", asked, busy)
	}
	if _, good, err := m.ask(t.Context(), "known", counted(&asked, false, nil)); !good || err != nil {
		t.Errorf("what is remembered is gone: %v %v", good, err)
	}
	at.pass(small().yes)
	if _, good, err := m.ask(t.Context(), "known", counted(&asked, true, nil)); !good || err != nil {
		t.Errorf("what was known is not asked about: %v %v", good, err)
	}
}

func TestOneQuestionForAllWhoAskTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, asked := newMemory[int](small(), time.Now), 0
		slow := func(ctx context.Context) (int, bool, error) {
			asked++
			select {
			case <-time.After(time.Second):
				return 7, true, nil
			case <-ctx.Done():
				return 0, false, context.Cause(ctx)
			}
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, _, err := m.ask(impatient, "key", slow); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who cannot wait gets %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if value, good, err := m.ask(t.Context(), "key", slow); value != 7 || !good || err != nil {
					t.Errorf("%d %v %v", value, good, err)
				}
			})
		}
		all.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestQuestionsEndAndAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := small()
		limits.strangers.perSecond = rate.Inf
		m := newMemory[int](limits, time.Now)
		hang := func(ctx context.Context) (int, bool, error) {
			<-ctx.Done()
			return 0, false, context.Cause(ctx)
		}
		begun := time.Now()
		var all sync.WaitGroup
		for n := range limits.strangers.places {
			all.Go(func() {
				if _, _, err := m.ask(t.Context(), fmt.Sprint(n), hang); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a question that is not answered: %v", err)
				}
			})
		}
		synctest.Wait()
		if _, _, err := m.ask(t.Context(), "one more", hang); !errors.Is(err, errBusy) {
			t.Errorf("one question more: %v", err)
		}
		all.Wait()
		if took := time.Since(begun); took != limits.timeout {
			t.Errorf("they ended after %v", took)
		}
	})
}
