package outbound

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// AllowFlag is the flag that fills Options.Allow; the texts of DeniedErrors name it.
const AllowFlag = "outbound-allow"

// deniedByDefault is what is denied, by the reason. An address has an entry of its own, beside the network it is in, where
// opening the network should not open it.
func deniedByDefault() map[string]string {
	return map[string]string{
		"this host":  "0.0.0.0/8 ::/128",
		"loopback":   "127.0.0.0/8 ::1/128",
		"link-local": "169.254.0.0/16 fe80::/10",
		"multicast":  "224.0.0.0/4 ff00::/8",
		"broadcast":  "255.255.255.255/32",
		"cloud metadata": "169.254.169.254/32 " + // most clouds
			"169.254.170.2/32 169.254.170.23/32 fd00:ec2::254/128 fd00:ec2::23/128 " + // AWS; tasks of ECS, pods of EKS
			"fd20:ce::254/128 " + // Google
			"168.63.129.16/32 " + // Azure; a public address
			"100.100.100.200/32 " + // Alibaba
			"192.0.0.192/32 " + // Oracle
			"169.254.42.42/32 fd00:42::42/128 " + // Scaleway
			"fe80::a9fe:a9fe/128", // OpenStack
		// These carry an IPv4 address that may be any of the above: IPv4-compatible, translated, Teredo, 6to4, NAT64 of local
		// use. Nobody serves webhooks there, so they are not taken apart.
		"IPv4 in disguise": "::/96 ::ffff:0:0:0/96 2001::/32 2002::/16 64:ff9b:1::/48",
	}
}

// DeniedError says that a connection would have gone to an address that is denied. Nothing was sent, and trying again is of
// no use, unless the name comes to mean another address.
type DeniedError struct {
	// Address is where the connection would have gone.
	Address netip.Addr

	closed netip.Addr // what is denied: Address, or the IPv4 address in it
	reason string
}

// Error implements error.
func (e *DeniedError) Error() string {
	subject := e.Address.String()
	if e.closed != e.Address {
		subject += ", which is " + e.closed.String() + ","
	}
	return fmt.Sprintf("address %s is denied (%s); --%s=%s would open it", subject, e.reason, AllowFlag,
		netip.PrefixFrom(e.closed, e.closed.BitLen()))
}

// guard decides which addresses may be connected to. It does not change, so any goroutine may use it.
type guard struct {
	verdicts []verdict // longer prefixes first; the first that contains an address decides
}

// verdict is what a guard makes of the addresses of a prefix.
type verdict struct {
	prefix netip.Prefix
	denied string // the reason; "" allows
}

// newGuard returns a guard of the addresses that are denied by default, and of those given.
func newGuard(allow, deny []netip.Prefix) *guard {
	var g guard
	for _, prefix := range allow {
		g.add(prefix, "")
	}
	for _, prefix := range deny {
		g.add(prefix, "closed by configuration")
	}
	for reason, prefixes := range deniedByDefault() {
		for prefix := range strings.FieldsSeq(prefixes) {
			g.add(netip.MustParsePrefix(prefix), reason)
		}
	}
	slices.SortStableFunc(g.verdicts, func(a, b verdict) int { return cmp.Compare(b.prefix.Bits(), a.prefix.Bits()) })
	return &g
}

func (g *guard) add(prefix netip.Prefix, denied string) {
	if mapped := prefix.Bits() - 96; prefix.Addr().Is4In6() && mapped >= 0 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), mapped)
	}
	g.verdicts = append(g.verdicts, verdict{prefix, denied})
}

// control is a net.Dialer's ControlContext: it is called with each address that a connection is tried to, between the
// making of the socket and the connect.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address to connect to: %w", err)
	}
	return g.check(to.Addr())
}

// check returns a *DeniedError if an address, or the IPv4 address that it stands for, is denied.
func (g *guard) check(address netip.Addr) error {
	address = address.Unmap().WithZone("") // no prefix contains a mapped address, or one with a zone
	for _, a := range []netip.Addr{address, translated(address)} {
		i := slices.IndexFunc(g.verdicts, func(v verdict) bool { return v.prefix.Contains(a) })
		if i >= 0 && g.verdicts[i].denied != "" {
			return &DeniedError{Address: address, closed: a, reason: g.verdicts[i].denied}
		}
	}
	return nil
}

// translated returns the IPv4 address that the well-known prefix of NAT64 leads to, and the address itself if it has
// another. In clusters of IPv6 alone the names of the IPv4 world resolve to that prefix, so it cannot be closed.
func translated(address netip.Addr) netip.Addr {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(address) {
		return address
	}
	bytes := address.As16()
	return netip.AddrFrom4([4]byte(bytes[12:]))
}
