package controlplane

import (
	"net/netip"
	"net/url"
	"path"
	"strings"
	"unicode"
)

// CheckGitURL says what is wrong with the address of a repository: it is https
// and names a public host, without user info. With allowLocal, file: and
// loopback are allowed too. What a name resolves to is checked by the builder,
// at the moment when it connects.
func CheckGitURL(address string, allowLocal bool) error {
	wrong := func(format string, args ...any) error { return Invalid("gitURL", format, args...) }
	switch {
	case address == "":
		return wrong("Give the address of the repository, such as https://github.com/owner/name.")
	case len(address) > 2048:
		return wrong("The address has %d characters, the most is 2048.", len(address))
	case strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == '\\' }):
		return wrong("The address must not have spaces, backslashes or control characters.")
	case address[0] == '-':
		return wrong("The address must not begin with a hyphen.")
	case strings.Contains(address, "::"):
		if u, err := url.Parse(address); err != nil || !strings.HasPrefix(u.Host, "[") {
			return wrong("Remote helpers (name::address) are not allowed: use an https:// address.")
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return wrong("This is not an address: use one such as https://github.com/owner/name.")
	}
	if strings.ContainsFunc(u.Path, unicode.IsControl) {
		return wrong("The address must not have control characters, encoded or not.")
	}
	if u.User != nil {
		return wrong("The address must not have a user name or password in it: set clone credentials instead.")
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return wrong("The address must not have a query or fragment.")
	}
	switch u.Scheme {
	case "https":
		return checkGitHost(u, allowLocal, wrong)
	case "http":
		if allowLocal && isLoopback(u.Hostname()) {
			return nil
		}
		return wrong("Use https:// instead of http://.")
	case "file":
		if !allowLocal {
			return wrong("Repositories on the server's own disk are not allowed here (ALLOW_LOCAL_GIT).")
		}
		if u.Host != "" && u.Host != "localhost" || u.Path == "" || u.Path[0] != '/' || path.Clean(u.Path) == "/" {
			return wrong("A file address is file:// and an absolute path.")
		}
		return nil
	case "":
		return wrong("The address must begin with https://.")
	}
	return wrong("Addresses that begin with %s: are not allowed: use https://.", u.Scheme)
}

func checkGitHost(u *url.URL, allowLocal bool, wrong func(string, ...any) error) error {
	host := strings.TrimSuffix(u.Hostname(), ".")
	if host == "" || strings.Trim(u.Path, "/") == "" {
		return wrong("The address must name a host and a repository, such as https://github.com/owner/name.")
	}
	if isLoopback(host) {
		if allowLocal {
			return nil
		}
		return wrong("The host %s is this machine, not a public one.", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !publicAddress(ip) {
			return wrong("The address %s is not a public one.", host)
		}
		return nil
	}
	lower := strings.ToLower(host)
	for _, suffix := range []string{".local", ".internal", ".localdomain", ".home.arpa", ".lan"} {
		if strings.HasSuffix(lower, suffix) {
			return wrong("The host %s is not a public one.", host)
		}
	}
	if !strings.Contains(host, ".") || onlyDigits(lower[strings.LastIndexByte(lower, '.')+1:]) {
		// Single labels are names of this network; libc also takes 127.1 and
		// 2130706433 for addresses.
		return wrong("The host %s is not a public one.", host)
	}
	return nil
}

func isLoopback(host string) bool {
	lower := strings.ToLower(strings.TrimSuffix(host, "."))
	if lower == "localhost" || strings.HasSuffix(lower, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(lower)
	return err == nil && ip.Unmap().IsLoopback()
}

// notPublic are ranges that netip's own methods do not name.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // NAT64: IPv4 within
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("2002::/16"), // 6to4: IPv4 within
	netip.MustParsePrefix("2001::/32"), // Teredo: IPv4 within
}

func publicAddress(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip.Zone() != "" {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

func onlyDigits(s string) bool {
	if strings.HasPrefix(s, "0x") {
		return true
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
