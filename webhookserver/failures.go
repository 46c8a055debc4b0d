package webhookserver

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// defaultFailures is how many requests of a source may fail. A sender with a wrong key, which posts what it has to post, stays
// below it; a search that is held to it takes years for six letters and digits.
var defaultFailures = Rate{PerSecond: 5, Burst: 50}

const (
	// failingSources is how many sources are remembered, some 250 bytes each. Who has more addresses than that gets a new
	// burst with each, remembered or not.
	failingSources = 16 << 10
	// guessable is below how many bytes a credential can be found by trying. Keys of signatures have as many at least.
	guessable = auth.MinSigningKey
	// sourceBits is the network that IPv6 gives to one customer: who has one address of it has them all.
	sourceBits = 64
)

// failures bounds the requests of each source that are refused before their sender is known, be it with 401 or, because somebody
// cannot be asked or the body is not read, with another answer: what a request carries beside a guess must not hide it. It is
// safe for concurrent use.
//
// A source is an address, and behind an address there may be many senders: a provider's machines, which anybody can have post
// here with a wrong key, or an Ingress that is not among the trusted proxies. So a source over its limit is not shut out.
// It loses only what makes guessing worthwhile: credentials short enough to be guessed are not tried for it. Every request
// that is admitted by a longer token, a signature, a certificate, or because the webhook is anonymous, is admitted all the
// same, and the rest is answered 429. Who has a short token shares the fate of its address while somebody guesses from it;
// there is no telling the two apart without trying both, which is what guessing needs.
//
// Loopback and the trusted proxies themselves are not limited: such an address is everybody's.
type failures struct {
	limit   Rate
	sources sources
	buckets *lru.Cache[netip.Prefix, *rate.Limiter] // of the sources that failed, the last ones
}

func newFailures(limit Rate, s sources) *failures {
	// An error means a size below 1.
	buckets, _ := lru.New[netip.Prefix, *rate.Limiter](failingSources)
	return &failures{limit: limit, sources: s, buckets: buckets}
}

// wait returns how long until a source may fail again; 0 if it may now.
func (f *failures) wait(addr netip.Addr, now time.Time) time.Duration {
	if f.buckets.Len() == 0 || f.sources.shared(addr) {
		return 0
	}
	bucket, failed := f.buckets.Peek(sourceOf(addr))
	if !failed {
		return 0
	}
	return untilNext(bucket, now)
}

// count takes a failure of a source that did not have to wait. Many that began at once are all counted, and paid for later: who
// holds back the bodies of its guesses gets no more of them.
func (f *failures) count(addr netip.Addr, now time.Time) {
	if f.sources.shared(addr) {
		return
	}
	source := sourceOf(addr)
	bucket, failed := f.buckets.Get(source)
	if !failed {
		bucket = rate.NewLimiter(rate.Limit(f.limit.PerSecond), f.limit.burst())
		if earlier, found, _ := f.buckets.PeekOrAdd(source, bucket); found {
			bucket = earlier
		}
	}
	bucket.ReserveN(now, 1)
}

// sourceOf returns the network that one sender has.
func sourceOf(addr netip.Addr) netip.Prefix {
	// An error means more bits than the address has.
	network, _ := addr.Prefix(min(sourceBits, addr.BitLen()))
	return network
}

// withoutGuessable returns credentials without those that can be found by trying.
func withoutGuessable(c auth.Credentials) auth.Credentials {
	if len(c.Token) < guessable {
		c.Token = ""
	}
	if len(c.Bearer) < guessable {
		c.Bearer = ""
	}
	if len(c.Password) < guessable {
		c.Username, c.Password, c.Basic = "", "", false
	}
	return c
}
