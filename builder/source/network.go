package source

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolver is what [net.Resolver] does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Network says where a clone may lead.
type Network struct {
	Resolver Resolver       // nil: the system's
	Blocked  []netip.Prefix // addresses of the platform, besides those that are never public

	trusted []netip.Prefix // where tests have their public servers
}

// forbidden are the networks that are not the public internet: a clone must not
// reach what only this machine can. Networks for documentation (RFC 5737, RFC
// 3849) lead nowhere in public, and are used for real in closed networks.
var forbidden = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// Pin resolves the repository's host, once, and returns the addresses that git
// must use: a second look-up could have another answer. With local, the host
// may be this machine's loopback, and over http it has to be.
func (n Network) Pin(ctx context.Context, r *Repository, local bool) ([]netip.Addr, error) {
	if r.Scheme == "file" {
		return nil, nil
	}
	addresses, err := n.resolve(ctx, r.Host)
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		loopback := a.IsLoopback()
		if r.Scheme == "http" && !loopback {
			return nil, fmt.Errorf("the host %s is not on this machine: use https://", r.Host)
		}
		if loopback && local {
			continue
		}
		if !n.public(a) {
			return nil, fmt.Errorf("the host %s is at %s, which is not a public address", r.Host, a)
		}
	}
	return addresses, nil
}

func (n Network) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, section 6.3
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
	}
	resolver := n.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	found, err := resolver.LookupNetIP(ctx, "ip", host)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("the host %s can't be found: check the address", host)
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, nil
}

func (n Network) public(a netip.Addr) bool {
	a = a.Unmap()
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(n.trusted, in) {
		return true
	}
	return a.IsValid() && a.Zone() == "" && !slices.ContainsFunc(forbidden, in) && !slices.ContainsFunc(n.Blocked, in)
}
