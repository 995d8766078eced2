package api

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// acceptedHosts are the names besides loopback's that requests may be sent to.
func (a *API) acceptedHosts() map[string]bool {
	hosts := map[string]bool{strings.ToLower(a.PublicURL.Hostname()): true}
	for _, host := range a.Hosts {
		if addr, err := netip.ParseAddr(host); err == nil && addr.IsUnspecified() {
			continue
		}
		if host != "" {
			hosts[strings.ToLower(host)] = true
		}
	}
	return hosts
}

// checkHost refuses requests to names that are not ours: a page of an attacker
// whose name has come to resolve to this machine is of that name's origin, and
// no other check would stop it (DNS rebinding).
func (a *API) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if !a.hosts[name] && !loopbackName(name) {
			problem(http.StatusMisdirectedRequest, "This server does not answer to that name. Set PUBLIC_URL to the address that it is reached at.").write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is a Host header without port, brackets and final dot.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// loopbackName reports whether a name always leads to the same machine. Names
// below localhost do not count: tenants have those.
func loopbackName(name string) bool {
	if name == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}
