package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
)

// small are bounds that a test reaches.
func small() bounds {
	return bounds{
		yes: 10 * time.Second, no: 5 * time.Second, size: 4, timeout: 2 * time.Second,
		known: share{perSecond: 2, places: 2}, strangers: share{perSecond: 2, places: 2},
	}
}

// stranger is who asks where that does not matter: a source that many have has no part.
var stranger netip.Addr

// put asks for an answer.
type put = func(context.Context) (int, bool, error)

// counted counts how often an answer is asked for.
func counted(asked *int, good bool, err error) put {
	return func(context.Context) (int, bool, error) { *asked++; return *asked, good, err }
}

func about(key string, put put) question[int] {
	return question[int]{key: key, from: stranger, put: put}
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
		m, asked := newMemory[int](small(), logr.Discard(), at.now), 0
		ask := func() (int, bool, error) { return m.ask(t.Context(), about("key", counted(&asked, c.good, c.err))) }
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
	m, asked := newMemory[int](small(), logr.Discard(), at.now), 0
	for _, good := range []bool{true, false, true} {
		if _, got, err := m.ask(t.Context(), about("key", counted(&asked, good, nil))); got != good || err != nil {
			t.Errorf("%v %v, want %v", got, err, good)
		}
		if _, got, err := m.ask(t.Context(), about("key", counted(&asked, !good, nil))); got != good || err != nil {
			t.Errorf("remembered: %v %v, want %v", got, err, good)
		}
		at.pass(small().yes)
	}
}

func TestWhoMakesUpTokensKeepsNobodyOut(t *testing.T) {
	var at clock
	m, asked := newMemory[int](small(), logr.Discard(), at.now), 0
	if _, good, _ := m.ask(t.Context(), about("known", counted(&asked, true, nil))); !good {
		t.Fatal("a good answer is bad")
	}
	busy := 0
	for n := range 100 {
		if _, _, err := m.ask(t.Context(), about(fmt.Sprint(n), counted(&asked, false, nil))); errors.Is(err, errBusy) {
			busy++
		}
	}
	if asked > 10 || busy < 90 {
		t.Errorf("of 100 made up, %d were asked about and %d sent away", asked, busy)
	}
	if _, good, err := m.ask(t.Context(), about("known", counted(&asked, false, nil))); !good || err != nil {
		t.Errorf("what is remembered is gone: %v %v", good, err)
	}
	at.pass(small().yes)
	if _, good, err := m.ask(t.Context(), about("known", counted(&asked, true, nil))); !good || err != nil {
		t.Errorf("what was known is not asked about: %v %v", good, err)
	}
}

func TestOneSourceKeepsNoOtherOut(t *testing.T) {
	limits := small()
	limits.strangers = share{perSecond: 8, places: 16}
	for _, c := range []struct {
		name, crowd string // crowd is who asks a hundred things
		others      map[string]bool
	}{
		{"an address", "192.0.2.1", map[string]bool{"192.0.2.1": false, "192.0.2.2": true, "::1": true}},
		{"a network of IPv6", "2001:db8::1", map[string]bool{"2001:db8::2": false, "2001:db8:0:1::1": true}},
		{"what many have", "127.0.0.1", map[string]bool{"127.0.0.1": false, "192.0.2.1": false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			m, asked := newMemory[int](limits, logr.Discard(), time.Now), 0
			ask := func(from, key string) error {
				_, _, err := m.ask(t.Context(), question[int]{key: key, from: netip.MustParseAddr(from), put: counted(&asked, false, nil)})
				return err
			}
			for n := range 100 {
				_ = ask(c.crowd, fmt.Sprint(n))
			}
			for from, want := range c.others {
				if err := ask(from, from); (err == nil) != want {
					t.Errorf("%s asks all that it may; then %s: %v", c.name, from, err)
				}
			}
			<-time.After(time.Second)
			if err := ask(c.crowd, "later"); err != nil {
				t.Errorf("%s, a second later: %v", c.name, err)
			}
		})
	}
}

func TestOneSourceHasAPartOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := small()
		limits.strangers = share{perSecond: rate.Inf, places: 8}
		m, ended := newMemory[int](limits, logr.Discard(), time.Now), make(chan struct{})
		slow := func(ctx context.Context) (int, bool, error) {
			select {
			case <-ended:
				return 1, true, nil
			case <-ctx.Done():
				return 0, false, context.Cause(ctx)
			}
		}
		var all sync.WaitGroup
		ask := func(from, key string, want error) {
			all.Go(func() {
				_, _, err := m.ask(t.Context(), question[int]{key: key, from: netip.MustParseAddr(from), put: slow})
				if !errors.Is(err, want) {
					t.Errorf("%s of %s: %v, want %v", key, from, err, want)
				}
			})
			synctest.Wait()
		}
		ask("192.0.2.1", "first", nil)
		ask("192.0.2.1", "second", nil)
		ask("192.0.2.1", "third", errBusy)
		ask("192.0.2.1", "first", nil)
		for _, next := range []string{"192.0.2.2", "192.0.2.3", "192.0.2.4"} {
			ask(next, next+"'s first", nil)
			ask(next, next+"'s second", nil)
		}
		for n := range limits.strangers.places {
			ask("192.0.2.5", fmt.Sprint(n), errBusy) // since all are taken
		}
		close(ended)
		all.Wait()
		for _, again := range []string{"192.0.2.1", "192.0.2.5"} {
			ask(again, again+"'s last", nil)
		}
		all.Wait()
	})
}

func TestAnAnswerToAnotherVariantMakesKnown(t *testing.T) {
	var at clock
	limits := small()
	limits.strangers = share{perSecond: 1, places: 1} // two at once
	m, asked := newMemory[int](limits, logr.Discard(), at.now), 0
	ask := func(key, variant string) error {
		_, _, err := m.ask(t.Context(), question[int]{key: key, variant: variant, put: counted(&asked, true, nil)})
		return err
	}
	for _, c := range []struct {
		name, key, variant string
		asked              int // in all
		busy               bool
	}{
		{"who comes", "a", "1", 1, false},
		{"who was known a moment ago", "a", "1", 1, false},
		{"who is asked about otherwise", "a", "2", 2, false},
		{"who was before", "a", "1", 3, false},
		{"another", "b", "1", 4, false},
		{"who is one too many", "c", "1", 4, true},
		{"who is one too many otherwise", "c", "2", 4, true},
	} {
		if err := ask(c.key, c.variant); errors.Is(err, errBusy) != c.busy || asked != c.asked {
			t.Errorf("%s: %v, asked %d times, want %d", c.name, err, asked, c.asked)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	var j journal
	limits := small()
	limits.strangers.perSecond = rate.Inf
	m := newMemory[int](limits, j.logger(), time.Now)
	for range 2 * limits.strangers.places { // which are given back
		_, _, err := m.ask(t.Context(), about("key", func(context.Context) (int, bool, error) { panic("a secret") }))
		if !errors.Is(err, errPanic) {
			t.Errorf("%v", err)
		}
	}
	if !j.logged("memory_test.go") || j.logged("a secret") {
		t.Errorf("logged: %v", j.read())
	}
}

func TestOneQuestionForAllWhoAskTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, asked := newMemory[int](small(), logr.Discard(), time.Now), 0
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
			if _, _, err := m.ask(impatient, about("key", slow)); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who cannot wait gets %v", err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if value, good, err := m.ask(t.Context(), about("key", slow)); value != 7 || !good || err != nil {
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
		m := newMemory[int](limits, logr.Discard(), time.Now)
		hang := func(ctx context.Context) (int, bool, error) {
			<-ctx.Done()
			return 0, false, context.Cause(ctx)
		}
		begun := time.Now()
		var all sync.WaitGroup
		for n := range limits.strangers.places {
			all.Go(func() {
				if _, _, err := m.ask(t.Context(), about(fmt.Sprint(n), hang)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a question that is not answered: %v", err)
				}
			})
		}
		synctest.Wait()
		if _, _, err := m.ask(t.Context(), about("one more", hang)); !errors.Is(err, errBusy) {
			t.Errorf("one question more: %v", err)
		}
		all.Wait()
		if took := time.Since(begun); took != limits.timeout {
			t.Errorf("they ended after %v", took)
		}
	})
}
