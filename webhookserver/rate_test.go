package webhookserver

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

// epoch is when the clocks of these tests start.
var epoch = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// takeAll takes until a webhook is refused, and returns how many were taken and how long it has to wait.
func takeAll(t *testing.T, r *rates, webhook Key, limit Rate, now time.Time) (taken int, wait time.Duration) {
	t.Helper()
	for ; taken < 1000; taken++ {
		if wait = r.take(webhook, limit, now); wait > 0 {
			return taken, wait
		}
	}
	t.Fatal("it never ends")
	return 0, 0
}

func TestAWebhookTakesItsRate(t *testing.T) {
	git := Key{Namespace: "team", URL: "git"}
	r, now := newRates(), epoch
	for _, c := range []struct {
		name  string
		limit Rate
		after time.Duration
		taken int
		wait  time.Duration
	}{
		{"a burst at once", Rate{PerSecond: 10, Burst: 30}, 0, 30, 100 * time.Millisecond},
		{"nothing more in the same moment", Rate{PerSecond: 10, Burst: 30}, 0, 0, 100 * time.Millisecond},
		{"soon the next is near", Rate{PerSecond: 10, Burst: 30}, 40 * time.Millisecond, 0, 60 * time.Millisecond},
		{"when it said, one more", Rate{PerSecond: 10, Burst: 30}, 60 * time.Millisecond, 1, 100 * time.Millisecond},
		{"after a second what a second allows", Rate{PerSecond: 10, Burst: 30}, time.Second, 10, 100 * time.Millisecond},
		{"after a long time no more than a burst", Rate{PerSecond: 10, Burst: 30}, time.Hour, 30, 100 * time.Millisecond},
		{"a greater limit gives nothing at once", Rate{PerSecond: 20, Burst: 500}, 0, 0, 50 * time.Millisecond},
		{"but from then on", Rate{PerSecond: 20, Burst: 500}, time.Second, 20, 50 * time.Millisecond},
		{"a slow limit says how slow it is", Rate{PerSecond: 1, Burst: 1}, 0, 0, time.Second},
		{"a smaller burst holds at once", Rate{PerSecond: 1, Burst: 1}, time.Hour, 1, time.Second},
		{"without a burst it is twice the rate, once earned", Rate{PerSecond: 100}, 0, 0, 10 * time.Millisecond},
		{"which a long time does", Rate{PerSecond: 100}, time.Hour, 200, 10 * time.Millisecond},
	} {
		now = now.Add(c.after)
		taken, wait := takeAll(t, r, git, c.limit, now)
		if taken != c.taken || (wait-c.wait).Abs() > time.Microsecond {
			t.Errorf("%s: %d taken, then %v; want %d, then %v", c.name, taken, wait, c.taken, c.wait)
		}
	}
}

func TestRatesAreApart(t *testing.T) {
	r, limit := newRates(), Rate{PerSecond: 1, Burst: 3}
	takeAll(t, r, Key{Namespace: "team", URL: "git"}, limit, epoch)
	for _, other := range []Key{{Namespace: "other", URL: "git"}, {Namespace: "team", URL: "git/push"}} {
		if taken, _ := takeAll(t, r, other, limit, epoch); taken != 3 {
			t.Errorf("%v: %d taken after another had its fill, want 3", other, taken)
		}
	}
	for range 1000 {
		if wait := r.take(Key{Namespace: "team", URL: "git"}, Rate{}, epoch); wait != 0 {
			t.Fatal("a limit where there is none")
		}
	}
}

// TestBucketsOfWebhooksThatAreGoneGoToo makes webhooks and forgets them, but one that keeps being abused.
func TestBucketsOfWebhooksThatAreGoneGoToo(t *testing.T) {
	r, limit, now := newRates(), Rate{PerSecond: 10, Burst: 20}, epoch
	abused := Key{Namespace: "team", URL: "abused"}
	for i := range 10_000 {
		now = now.Add(10 * time.Millisecond)
		takeAll(t, r, abused, limit, now)
		r.take(Key{Namespace: "team", URL: strconv.Itoa(i)}, limit, now)
		if len(r.buckets) > 2*fewBuckets {
			t.Fatalf("%d buckets after %d webhooks", len(r.buckets), i)
		}
	}
	if wait := r.take(abused, limit, now); wait == 0 {
		t.Error("what was abused was forgotten")
	}
}

func TestRequestsAtOnceTakeNoMoreThanTheRate(t *testing.T) {
	r, limit := newRates(), Rate{PerSecond: 10, Burst: 100}
	var wg sync.WaitGroup
	taken := make([]int, 8)
	for i := range taken {
		wg.Go(func() {
			for range 100 {
				if r.take(Key{URL: "git"}, limit, epoch) == 0 {
					taken[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	if sum != 100 {
		t.Errorf("%d taken, want 100", sum)
	}
}

func TestRetryAfterIsInWholeSeconds(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		0: "1", 1: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90",
	} {
		if got := wholeSeconds(wait); got != want {
			t.Errorf("%v: %s, want %s", wait, got, want)
		}
	}
}
