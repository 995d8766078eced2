package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr is the address that a request comes from. What proxies say counts
// only where the hop before is trusted: X-Forwarded-For is read from its end, up
// to the first address that is no trusted proxy.
func (a *API) clientAddr(r *http.Request) netip.Addr {
	addr := remoteAddr(r)
	if !a.trusted(addr) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		if addr = hop.Unmap(); !a.trusted(addr) {
			break
		}
	}
	return addr
}

func remoteAddr(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap().WithZone("")
}

func (a *API) trusted(addr netip.Addr) bool {
	for _, network := range a.TrustedProxies {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// fromThisMachine reports whether a request was made here, by no proxy.
func (a *API) fromThisMachine(r *http.Request) bool {
	return remoteAddr(r).IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
}
