package webhookserver

import (
	"math"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is a number of requests in a time. The zero value is no limit.
type Rate struct {
	// PerSecond is how many are taken a second on average; 0: as many as come.
	PerSecond int
	// Burst is how many are taken at once; 0: twice PerSecond.
	Burst int
}

// burst returns the burst with its default.
func (r Rate) burst() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return 2 * r.PerSecond
}

// fewBuckets is how many buckets are not worth looking through.
const fewBuckets = 64

// rates bounds how many requests each webhook takes. What a webhook has used does not depend on the route table: a new table,
// another limit, or the webhook deleted and made again give nothing back. It is safe for concurrent use.
type rates struct {
	mu      sync.Mutex
	buckets map[Key]*rate.Limiter
	sweepAt int // how many buckets there are when the next are dropped
}

func newRates() *rates {
	return &rates{buckets: map[Key]*rate.Limiter{}, sweepAt: fewBuckets}
}

// take takes a request of a webhook with a limit. The result is 0 when the limit allows it, else how long until it will.
func (r *rates) take(webhook Key, limit Rate, now time.Time) time.Duration {
	if limit.PerSecond <= 0 {
		return 0
	}
	return take(r.bucket(webhook, limit, now), now)
}

// bucket returns the bucket of a webhook with the limit that holds now.
func (r *rates) bucket(webhook Key, limit Rate, now time.Time) *rate.Limiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	bucket := r.buckets[webhook]
	if bucket == nil {
		r.sweep(now)
		bucket = rate.NewLimiter(rate.Limit(limit.PerSecond), limit.burst())
		r.buckets[webhook] = bucket
		return bucket
	}
	// Neither fills the bucket: a greater burst has to be earned, and a smaller one caps what is there.
	if bucket.Limit() != rate.Limit(limit.PerSecond) {
		bucket.SetLimitAt(now, rate.Limit(limit.PerSecond))
	}
	if bucket.Burst() != limit.burst() {
		bucket.SetBurstAt(now, limit.burst())
	}
	return bucket
}

// sweep drops the full buckets, which are as good as new ones, once there are twice as many as after the last time. So
// there are never many more than webhooks in use, deleted ones among them until their buckets are full.
func (r *rates) sweep(now time.Time) {
	if len(r.buckets) < r.sweepAt {
		return
	}
	for webhook, bucket := range r.buckets {
		if bucket.TokensAt(now) >= float64(bucket.Burst()) {
			delete(r.buckets, webhook)
		}
	}
	r.sweepAt = max(fewBuckets, 2*len(r.buckets))
}

// take takes one out of a bucket. The result is 0 if there was one, else how long until there is.
func take(bucket *rate.Limiter, now time.Time) time.Duration {
	if bucket.AllowN(now, 1) {
		return 0
	}
	// Another request may have put the bucket's clock forward since: that is still a refusal.
	return max(untilNext(bucket, now), 1)
}

// untilNext returns how long until a bucket holds one; 0 if it does.
func untilNext(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing / float64(bucket.Limit()) * float64(time.Second)))
}

// wholeSeconds is a duration as Retry-After has it: rounded up, so that who waits as long is not refused again, and at least
// 1, which every sender takes for a number.
func wholeSeconds(wait time.Duration) string {
	return strconv.FormatInt(max(1, int64(math.Ceil(wait.Seconds()))), 10)
}
