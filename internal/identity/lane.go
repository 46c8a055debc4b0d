package identity

import (
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

const (
	// parts is into how many parts the strangers' share falls that no source may exceed.
	parts = 4
	// crowdSources is how many sources are remembered, some 300 bytes each. Who has more addresses than that gets a new part
	// with each, remembered or not.
	crowdSources = 4 << 10
	// sourceBits is the network that IPv6 gives to one customer: who has one address of it has them all.
	sourceBits = 64
)

// share bounds questions: so many a second, twice as many at once after a pause, and so many under way.
type share struct {
	perSecond rate.Limit
	places    int
}

// part returns what one source may have of a share.
func (s share) part() share {
	return share{perSecond: s.perSecond / parts, places: max(1, s.places/parts)}
}

// lane is a share in use. It is safe for concurrent use.
type lane struct {
	rate   *rate.Limiter
	places chan struct{}
}

func newLane(s share) *lane {
	return &lane{rate: rate.NewLimiter(s.perSecond, max(1, int(2*s.perSecond))), places: make(chan struct{}, s.places)}
}

// take takes a place, and reports whether there was one.
func (l *lane) take() bool {
	select {
	case l.places <- struct{}{}:
	default:
		return false
	}
	if !l.rate.Allow() {
		l.give()
		return false
	}
	return true
}

func (l *lane) give() { <-l.places }

// crowd is the lane of all who are not known, of which a source has a part, so that one cannot keep the others out. Where it is
// not known who asks, or many have one address, there is no part. It is safe for concurrent use.
type crowd struct {
	all     *lane
	part    share
	sources *lru.Cache[netip.Prefix, *lane] // that asked last
}

func newCrowd(s share) *crowd {
	// An error means a size below 1.
	sources, _ := lru.New[netip.Prefix, *lane](crowdSources)
	return &crowd{all: newLane(s), part: s.part(), sources: sources}
}

// take takes a place for a source. It returns what gives it back; nil: there was none.
func (c *crowd) take(from netip.Addr) (give func()) {
	if !from.IsValid() || from.IsLoopback() {
		if !c.all.take() {
			return nil
		}
		return c.all.give
	}
	own := c.of(from)
	if !own.take() {
		return nil
	}
	if !c.all.take() {
		own.give()
		return nil
	}
	return func() { c.all.give(); own.give() }
}

// of returns the part of a source.
func (c *crowd) of(from netip.Addr) *lane {
	// An error means more bits than the address has.
	source, _ := from.Prefix(min(sourceBits, from.BitLen()))
	own, found := c.sources.Get(source)
	if !found {
		own = newLane(c.part)
		if earlier, found, _ := c.sources.PeekOrAdd(source, own); found {
			own = earlier
		}
	}
	return own
}
