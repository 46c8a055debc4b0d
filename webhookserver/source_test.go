package webhookserver

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	var result []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			t.Fatal(err)
		}
		result = append(result, prefix)
	}
	return result
}

func TestWhoSentARequest(t *testing.T) {
	for _, c := range []struct {
		name      string
		trusted   []string
		peer      string
		forwarded []string
		want      string
	}{
		{"without trusted proxies it is the peer", nil, "192.0.2.1:4711", nil, "192.0.2.1"},
		{"without trusted proxies the header counts for nothing", nil, "192.0.2.1:4711", []string{"203.0.113.9"}, "192.0.2.1"},
		{"a peer that is no trusted proxy cannot speak for another", []string{"10.0.0.0/8"}, "192.0.2.1:4711", []string{"203.0.113.9"}, "192.0.2.1"},
		{"a trusted proxy without the header is the sender", []string{"10.0.0.0/8"}, "10.0.0.1:4711", nil, "10.0.0.1"},
		{"a trusted proxy speaks for its sender", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9"}, "203.0.113.9"},
		{"what a sender writes stands to the left and does not count", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"192.0.2.7, 203.0.113.9"}, "203.0.113.9"},
		{"a sender that pretends to be a proxy is not passed over", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"192.0.2.7, 10.0.0.9, 203.0.113.9"}, "203.0.113.9"},
		{"trusted proxies in a row", []string{"10.0.0.0/8", "198.51.100.7/32"}, "10.0.0.1:4711", []string{"192.0.2.7, 203.0.113.9, 198.51.100.7, 10.0.0.2"}, "203.0.113.9"},
		{"headers that were sent apart are one list", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"192.0.2.7", "203.0.113.9, 10.0.0.2", "10.0.0.3"}, "203.0.113.9"},
		{"a later header of a proxy comes before one of the sender", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"192.0.2.7", "203.0.113.9"}, "203.0.113.9"},
		{"only trusted addresses: the farthest", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a word ends the walk at who wrote it", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"an empty entry ends the walk", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9, "}, "10.0.0.1"},
		{"an empty header counts for nothing", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{""}, "10.0.0.1"},
		{"an entry before the first comma may be missing", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{",10.0.0.2"}, "10.0.0.2"},
		{"an address with too many numbers", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9.1"}, "10.0.0.1"},
		{"an address with a leading zero, which some read as octal", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.010"}, "10.0.0.1"},
		{"a network is no address", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9/32"}, "10.0.0.1"},
		{"an address with a port", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9:80"}, "203.0.113.9"},
		{"IPv6 with a port", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"[2001:db8::9]:80"}, "2001:db8::9"},
		{"IPv6 in brackets", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"[2001:db8::9]"}, "2001:db8::9"},
		{"a bracket that is not closed", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"[2001:db8::9"}, "10.0.0.1"},
		{"IPv6", []string{"2001:db8::/64"}, "[2001:db8::1]:4711", []string{"2001:db8:1::9"}, "2001:db8:1::9"},
		{"IPv4 in IPv6 is IPv4", nil, "[::ffff:192.0.2.1]:4711", nil, "192.0.2.1"},
		{"a proxy on a socket for both kinds", []string{"10.0.0.0/8"}, "[::ffff:10.0.0.1]:4711", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"a proxy that is named as IPv4 in IPv6", []string{"::ffff:10.0.0.0/104"}, "10.0.0.1:4711", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a zone is dropped", nil, "[fe80::1%eth0]:4711", nil, "fe80::1"},
		{"a proxy with a zone is that proxy", []string{"fe80::/10"}, "[fe80::1%eth0]:4711", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a network with bits after its mask", []string{"10.0.0.9/8"}, "10.0.0.1:4711", []string{"203.0.113.9"}, "203.0.113.9"},
		{"more hops than anybody has end at a proxy", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9" + strings.Repeat(", 10.0.0.2", maxHops)}, "10.0.0.2"},
		{"as many as somebody may have do not", []string{"10.0.0.0/8"}, "10.0.0.1:4711", []string{"203.0.113.9" + strings.Repeat(", 10.0.0.2", maxHops-1)}, "203.0.113.9"},
		{"a peer without an IP address", []string{"10.0.0.0/8"}, "@", []string{"203.0.113.9"}, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			got := newSources(prefixes(t, c.trusted...)).of(r)
			if diff := cmp.Diff(c.want, got.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAddressIsWithinNetworks(t *testing.T) {
	networks := canonicalPrefixes(prefixes(t, "192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120"))
	for _, c := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.0", true}, {"192.0.2.255", true}, {"192.0.3.0", false}, {"198.51.100.9", true}, {"198.51.101.9", false},
		{"2001:db8:ffff::1", true}, {"2001:db9::1", false}, {"::ffff:192.0.2.1", true}, {"::1", false},
	} {
		if got := within(canonical(netip.MustParseAddr(c.addr)), networks); got != c.want {
			t.Errorf("%s: %t, want %t", c.addr, got, c.want)
		}
	}
	if within(netip.Addr{}, prefixes(t, "0.0.0.0/0", "::/0")) {
		t.Error("no address is in every network")
	}
}

func TestWhichAddressesStandForMany(t *testing.T) {
	s := newSources(prefixes(t, "10.0.0.0/8"))
	for addr, want := range map[string]bool{"127.0.0.6": true, "::1": true, "10.1.2.3": true, "192.0.2.1": false} {
		if got := s.shared(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %t, want %t", addr, got, want)
		}
	}
	if !s.shared(netip.Addr{}) {
		t.Error("who has no address cannot be told from others")
	}
}

func FuzzWhoSentARequest(f *testing.F) {
	for _, seed := range []string{"203.0.113.9", "1.2.3.4, [::1]:80,,unknown", "[", "::ffff:10.0.0.1%z"} {
		f.Add(seed, "192.0.2.99")
	}
	f.Add("0", "::% ") // no proxy writes a zone, which could hold anything
	trusting := newSources([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, written, real string) {
		addr, err := netip.ParseAddr(real)
		if err != nil || within(canonical(addr), trusting.trusted) {
			t.Skip("a proxy appends the address of a sender that is none")
		}
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {written, addr.WithZone("").String()}}}
		if got := trusting.of(r); got != canonical(addr) {
			t.Errorf("with %q the sender %s passes for %s", written, addr, got)
		}
	})
}
