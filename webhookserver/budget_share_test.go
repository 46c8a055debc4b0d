package webhookserver

import (
	"math"
	"strconv"
	"sync"
	"testing"
)

func TestNobodyTakesMoreThanAShare(t *testing.T) {
	b := newBudget(400)
	for _, c := range []struct {
		name string
		key  string
		n    int64 // less than 0: given back
		want bool
	}{
		{"a part of the share", "a", 60, true},
		{"more than the rest of it", "a", 41, false},
		{"just the rest of it", "a", 40, true},
		{"nothing is always there", "a", 0, true},
		{"another has its own", "b", 100, true},
		{"more than a share", "c", 101, false},
		{"more than can be counted", "c", math.MaxInt64, false},
		{"less than nothing", "c", math.MinInt64, false},
		{"urls that nobody owns are one", "", 99, true},
		{"until theirs is used up", "", 2, false},
		{"the last share", "c", 100, true},
		{"a share of what is used up", "d", 2, false},
		{"what is left", "d", 1, true},
		{"some is given back", "b", -30, true},
		{"for another", "d", 31, false},
		{"as much as was given", "d", 30, true},
		{"it is used up again", "b", 1, false},
	} {
		if c.n < 0 && c.n > math.MinInt64 {
			b.give(c.key, -c.n)
		} else if got := b.take(c.key, c.n); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestABudgetRemembersNobodyWhoHoldsNothing(t *testing.T) {
	b := newBudget(4_000_000)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				key, n := strconv.Itoa(i%7), int64(worker*i)
				if b.take(key, n) {
					b.give(key, n)
				}
			}
		})
	}
	wg.Wait()
	if b.used != 0 || len(b.held) != 0 {
		t.Errorf("%d bytes of %v are still held", b.used, b.held)
	}
}

func TestAReservationMovesAsAWholeOrNotAtAll(t *testing.T) {
	first, second := newBudget(400), newBudget(200)
	held, ok := first.reserve("a", 50)
	if !ok {
		t.Fatal("nothing is reserved")
	}
	if _, ok := first.reserve("a", 51); ok {
		t.Error("more than the share is reserved")
	}
	for _, c := range []struct {
		name          string
		do            func() bool
		want          bool
		first, second int64 // what is used of both
	}{
		{"another takes one byte", func() bool { return second.take("b", 1) }, true, 50, 1},
		{"it does not fit beside that", func() bool { return held.move(second, "b") }, false, 50, 1},
		{"nor in part", func() bool { return second.take("b", 50) }, false, 50, 1},
		{"beside others it does", func() bool { return held.move(second, "c") }, true, 0, 51},
		{"what was moved is given back once", func() bool { held.release(); held.release(); return true }, true, 0, 1},
		{"nothing moves anywhere", func() bool { return held.move(second, "b") }, true, 0, 1},
	} {
		if got := c.do(); got != c.want || first.used != c.first || second.used != c.second {
			t.Errorf("%s: %t with %d and %d used, want %t with %d and %d", c.name, got, first.used, second.used, c.want, c.first, c.second)
		}
	}
}
