package webhookserver

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops is how many addresses of X-Forwarded-For are looked at: more than anybody has proxies in a row, and far less than
// a head full of commas could ask for.
const maxHops = 16

// sources finds out who sent a request. The zero value trusts no proxy.
type sources struct{ trusted []netip.Prefix }

func newSources(trustedProxies []netip.Prefix) sources {
	return sources{canonicalPrefixes(trustedProxies)}
}

// of returns the address of the sender: that of the peer or, where the peer is a trusted proxy, the right-most address of
// X-Forwarded-For that is none. Each trusted proxy vouches for the one address to the left of its own; everything further
// left is whatever the sender chose to write.
//
// An entry that is no address ends the walk at the proxy that wrote it, and so do too many hops: nobody vouches for more.
// That opens nothing to a sender, since only a trusted proxy can have written the entries that are looked at. The result is
// not valid only if the peer has no IP address.
func (s sources) of(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := canonical(peer.Addr())
	if !within(addr, s.trusted) {
		return addr
	}
	rest := strings.Join(r.Header["X-Forwarded-For"], ",")
	for range maxHops {
		if rest == "" || !within(addr, s.trusted) {
			break
		}
		comma := strings.LastIndexByte(rest, ',')
		hop, ok := parseHop(rest[comma+1:])
		if !ok {
			break
		}
		addr, rest = hop, rest[:max(comma, 0)]
	}
	return addr
}

// shared reports whether an address stands for many senders: a proxy, or something on this machine that is one.
func (s sources) shared(addr netip.Addr) bool {
	return !addr.IsValid() || addr.IsLoopback() || within(addr, s.trusted)
}

// within reports whether an address is in one of the networks.
func within(addr netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// parseHop reads an entry of X-Forwarded-For. Some proxies write a port, and IPv6 addresses in brackets.
func parseHop(entry string) (netip.Addr, bool) {
	entry = strings.TrimSpace(entry)
	if withPort, err := netip.ParseAddrPort(entry); err == nil {
		return canonical(withPort.Addr()), true
	}
	if inner, found := strings.CutPrefix(entry, "["); found {
		entry, found = strings.CutSuffix(inner, "]")
		if !found {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(entry)
	return canonical(addr), err == nil
}

// canonical gives every address one form: IPv4 in IPv6 becomes IPv4, and a zone, which means something only on the machine
// that wrote it, is dropped.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// canonicalPrefixes gives networks the form in which they contain canonical addresses.
func canonicalPrefixes(networks []netip.Prefix) []netip.Prefix {
	const mapped = 96 // the bits before the IPv4 address in ::ffff:0:0/96
	result := make([]netip.Prefix, 0, len(networks))
	for _, network := range networks {
		if network.Addr().Is4In6() && network.Bits() >= mapped {
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
		}
		result = append(result, network.Masked())
	}
	return result
}
