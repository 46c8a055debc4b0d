package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// slipFor is the slip of a message of size 1, of which the sequence is n.
func slipFor(namespace, id string, n uint64, due int64) *slip {
	return newSlip(retryPrefix+namespace+"."+id, n, 1, due)
}

// names returns "id sequence" of what is due at now, in order.
func names(s *slips, now int64) []string {
	var names []string
	for n, _ := s.next(now); n != nil; n, _ = s.next(now) {
		names = append(names, fmt.Sprintf("%s %d", n.subject[len(retryPrefix):], n.seq))
	}
	return names
}

func TestSlipsComeWhenDueAndNamespacesInTurn(t *testing.T) {
	tests := map[string]struct {
		slips []*slip
		want  []string
	}{
		"what is not due waits": {
			[]*slip{slipFor("a", "x", 1, 11), slipFor("a", "y", 2, 10)},
			[]string{"a.y 2"},
		},
		"namespaces take turns, each by its times": {
			[]*slip{slipFor("a", "x", 1, 3), slipFor("a", "y", 2, 1), slipFor("b", "x", 3, 9), slipFor("a", "z", 4, 2)},
			[]string{"a.y 2", "b.x 3", "a.z 4", "a.x 1"},
		},
		"one of whom nothing is due is passed": {
			[]*slip{slipFor("a", "x", 1, 99), slipFor("b", "x", 2, 2), slipFor("b", "y", 3, 1)},
			[]string{"b.y 3", "b.x 2"},
		},
		"a later message replaces an earlier one": {
			[]*slip{slipFor("a", "x", 1, 1), slipFor("a", "x", 2, 5), slipFor("b", "x", 3, 2)},
			[]string{"a.x 2", "b.x 3"},
		},
		"even when its slip comes first": {
			[]*slip{slipFor("a", "x", 2, 5), slipFor("a", "x", 1, 1)},
			[]string{"a.x 2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSlips()
			void := 0
			for _, n := range test.slips {
				if s.put(n) != nil {
					void++
				}
			}
			if diff := cmp.Diff(test.want, names(s, 10)); diff != "" {
				t.Errorf("due at 10 (-want +got):\n%s", diff)
			}
			if left := int(s.waiters()); left+len(test.want)+void != len(test.slips) {
				t.Errorf("of %d slips %d are void and %d wait", len(test.slips), void, left)
			}
		})
	}
}

func TestAMessageIsTakenUpOnce(t *testing.T) {
	for _, handed := range []bool{false, true} {
		s, first := newSlips(), slipFor("a", "x", 1, 0)
		s.put(first)
		if handed {
			s.next(0)
		}
		second := slipFor("a", "x", 1, 0)
		if void := s.put(second); void != second {
			t.Errorf("handed out %v: void is %v, want the second", handed, void)
		}
		if got := len(names(s, 0)); handed && got != 0 || !handed && got != 1 {
			t.Errorf("handed out %v: then %d", handed, got)
		}
	}
}

func TestTheWaitIsUntilTheNextIsDue(t *testing.T) {
	s := newSlips()
	for _, test := range []struct {
		due  int64
		want time.Duration
	}{
		{1_000_000, idle},
		{1500, 1500 * time.Millisecond},
		{2000, 1500 * time.Millisecond},
		{300, 300 * time.Millisecond},
	} {
		s.put(slipFor("a", fmt.Sprint(test.due), uint64(test.due), test.due))
		if n, wait := s.next(0); n != nil || wait != test.want {
			t.Errorf("with one due at %d: slip %v, wait %s, want %s", test.due, n, wait, test.want)
		}
	}
}

func TestALargeSlipIsNotPassedForEver(t *testing.T) {
	s := newSlips()
	large := &slip{subject: "retry.a.large", namespace: "a", seq: 2, size: shelfBytes + 1, due: 2}
	s.put(slipFor("a", "first", 1, 1))
	s.put(large)
	s.put(slipFor("b", "small", 3, 3))
	first, _ := s.next(10)
	second, _ := s.next(10)
	if n, _ := s.next(10); n != nil {
		t.Errorf("%s is handed out though it is too large while others are", n.subject)
	}
	s.put(slipFor("b", "late", 4, 4))
	if n, _ := s.next(10); n != nil {
		t.Errorf("%s passes the large one", n.subject)
	}
	s.done(first, "")
	s.done(second, "")
	if n, _ := s.next(10); n != large {
		t.Errorf("when nothing is handed out comes %v, want the large one", n)
	}
	if n, _ := s.next(10); n != nil {
		t.Errorf("%s is handed out beside the large one", n.subject)
	}
}

func TestTheFloorIsBelowAllThatMustStay(t *testing.T) {
	s := newSlips()
	for n := uint64(1); n <= 4; n++ {
		s.put(slipFor("a", fmt.Sprint(n), n, int64(n)))
	}
	first, _ := s.next(10)
	s.done(first, "")
	if floor := s.floor(); floor != 1 {
		t.Errorf("the floor is %d though the first is not dealt with", floor)
	}
	s.takeFinished()
	if floor := s.floor(); floor != 2 {
		t.Errorf("the floor is %d, want 2", floor)
	}
	second, _ := s.next(10)
	s.putBack(second, 99)
	if got, want := names(s, 10), []string{"a.3 3", "a.4 4"}; !cmp.Equal(got, want) {
		t.Errorf("due beside one that was put back: %v, want %v", got, want)
	}
	if got := names(s, 99); !cmp.Equal(got, []string{"a.2 2"}) {
		t.Errorf("due later: %v, want what was put back", got)
	}
}
