package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/hookstorm/hookstorm/internal/outbound"
)

// prefixes is a flag: comma-separated networks or addresses.
type prefixes []netip.Prefix

// String implements flag.Value.
func (p *prefixes) String() string {
	texts := make([]string, len(*p))
	for i, prefix := range *p {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

// Set implements flag.Value.
func (p *prefixes) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if address, err := netip.ParseAddr(part); err == nil {
			*p = append(*p, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return fmt.Errorf("%q is no network such as 10.0.0.0/8, nor an address", part)
		}
		*p = append(*p, prefix)
	}
	return nil
}

// newOutbound returns the client of http actions. Beside what the flags close, the API server is closed to it.
func newOutbound(ctx context.Context, config *rest.Config, o *options) (*outbound.Client, error) {
	server, err := serverAddresses(ctx, config.Host)
	if err != nil {
		return nil, err
	}
	return outbound.New(outbound.Options{Allow: o.outboundAllow, Deny: slices.Concat(o.outboundDeny, server)}), nil
}

// serverAddresses returns the addresses of the API server.
func serverAddresses(ctx context.Context, host string) ([]netip.Prefix, error) {
	if parsed, err := url.Parse(host); err == nil && parsed.Host != "" {
		host = parsed.Hostname()
	} else if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolving the API server, which actions must not call: %w", err)
	}
	server := make([]netip.Prefix, 0, len(addresses))
	for _, address := range addresses {
		address = address.Unmap()
		server = append(server, netip.PrefixFrom(address, address.BitLen()))
	}
	return server, nil
}
