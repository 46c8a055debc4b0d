package webhookserver

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

// fail makes a source fail until it has to wait, and returns how often it did.
func fail(t *testing.T, f *failures, addr string, now time.Time) int {
	t.Helper()
	source := netip.MustParseAddr(addr)
	for got := range 1000 {
		if f.wait(source, now) > 0 {
			return got
		}
		f.count(source, now)
	}
	return 1000
}

func TestASourceHasALimitOfFailures(t *testing.T) {
	f, now := newFailures(Rate{PerSecond: 2, Burst: 20}, sources{}), epoch
	addr := netip.MustParseAddr("192.0.2.1")
	if wait := f.wait(addr, now); wait != 0 {
		t.Errorf("the first in %v", wait)
	}
	if got := fail(t, f, "192.0.2.1", now); got != 20 {
		t.Errorf("%d at once, want 20", got)
	}
	if wait := f.wait(addr, now); wait != 500*time.Millisecond {
		t.Errorf("the next in %v, want half a second", wait)
	}
	now = now.Add(500 * time.Millisecond)
	if wait := f.wait(addr, now); wait != 0 {
		t.Errorf("then in %v more", wait)
	}
	if got := fail(t, f, "192.0.2.1", now.Add(10*time.Second)); got != 20 {
		t.Errorf("%d after a while, want 20", got)
	}
}

func TestWhichAddressesAreOneSource(t *testing.T) {
	for _, c := range []struct {
		name, guesser, other string
		both                 bool
	}{
		{"the same address", "192.0.2.1", "192.0.2.1", true},
		{"the next address", "192.0.2.1", "192.0.2.2", false},
		{"IPv6 of one customer", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		{"IPv6 of another", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"IPv4 is no IPv6", "0.0.0.1", "::1:0", false},
		{"loopback may be a proxy", "127.0.0.1", "127.0.0.1", false},
		{"IPv6 loopback too", "::1", "::1", false},
		{"a trusted proxy is one", "10.1.2.3", "10.1.2.3", false},
	} {
		f := newFailures(Rate{PerSecond: 1, Burst: 5}, newSources(prefixes(t, "10.0.0.0/8")))
		fail(t, f, c.guesser, epoch)
		if got := f.wait(netip.MustParseAddr(c.other), epoch) > 0; got != c.both {
			t.Errorf("%s: it waits: %t, want %t", c.name, got, c.both)
		}
	}
	f := newFailures(Rate{PerSecond: 1, Burst: 1}, sources{})
	f.count(netip.Addr{}, epoch)
	if f.wait(netip.Addr{}, epoch) != 0 {
		t.Error("senders without an address are limited together")
	}
}

// TestManySourcesTakeLittleMemory lets more sources fail than are remembered.
func TestManySourcesTakeLittleMemory(t *testing.T) {
	f := newFailures(Rate{PerSecond: 1, Burst: 1}, sources{})
	var address [16]byte
	for i := range uint64(2 * failingSources) {
		binary.BigEndian.PutUint64(address[:], 0x2001_0db8_0000_0000+i)
		f.count(netip.AddrFrom16(address), epoch)
	}
	if got := f.buckets.Len(); got != failingSources {
		t.Errorf("%d sources are remembered, want %d", got, failingSources)
	}
	if f.wait(netip.AddrFrom16(address), epoch) == 0 {
		t.Error("the last one is not")
	}
}

func TestFailuresAtOnceAreAllCounted(t *testing.T) {
	f, addr := newFailures(Rate{PerSecond: 1, Burst: 100}, sources{}), netip.MustParseAddr("192.0.2.1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				f.count(addr, epoch)
			}
		})
	}
	wg.Wait()
	if wait := f.wait(addr, epoch); wait != 701*time.Second {
		t.Errorf("the next in %v, want a second for each of the 700 too many, and one", wait)
	}
}

func TestOnlyWhatCanBeGuessedIsNotTried(t *testing.T) {
	const short, long = "15 bytes, short", "16 bytes or more"
	for _, c := range []struct {
		name        string
		given, want auth.Credentials
	}{
		{"nothing", auth.Credentials{}, auth.Credentials{}},
		{"a short token", auth.Credentials{Token: short, Bearer: short}, auth.Credentials{}},
		{"a long token", auth.Credentials{Token: long, Bearer: long}, auth.Credentials{Token: long, Bearer: long}},
		{"a short token beside a long bearer token", auth.Credentials{Token: short, Bearer: long}, auth.Credentials{Bearer: long}},
		{"a short password of a long name", auth.Credentials{Username: long, Password: short, Basic: true}, auth.Credentials{}},
		{
			"a long password of a short name",
			auth.Credentials{Username: short, Password: long, Basic: true}, auth.Credentials{Username: short, Password: long, Basic: true},
		},
	} {
		if diff := cmp.Diff(c.want, withoutGuessable(c.given)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
