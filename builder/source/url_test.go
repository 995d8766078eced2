package source

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestURLsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"", "empty"},
		{"ext::sh -c id", "space"},
		{"ext::sh%20-c%20id", "remote helpers"},
		{"https::https://example.com/x.git", "remote helpers"},
		{"--upload-pack=touch /tmp/x", "begins with -"},
		{"--upload-pack=touch${IFS}/tmp/x", "begins with -"},
		{"-oProxyCommand=x", "begins with -"},
		{"file:///etc", "not allowed"},
		{"/etc", "no scheme"},
		{"../x", "no scheme"},
		{"git@example.com:owner/x.git", "https://example.com/owner/x.git"},
		{"example.com/owner/x", "https://example.com/owner/x"},
		{"ssh://git@example.com/x.git", "https://"},
		{"git://example.com/x.git", "https://"},
		{"ftp://example.com/x.git", "scheme"},
		{"http://example.com/x.git", "not encrypted"},
		{"https://user:password@example.com/x.git", "user name"},
		{"https://token@example.com/x.git", "user name"},
		{"https://example.com", "no repository"},
		{"https://example.com/", "no repository"},
		{"https:///x.git", "no host"},
		{"https://example.com/x.git?service=x", "?"},
		{"https://example.com/x.git#main", "#"},
		{"https://example.com/x.git\n--upload-pack=id", "control"},
		{"https://exa mple.com/x.git", "space"},
		{`https://example.com\@127.0.0.1/x.git`, "backslash"},
		{"https://bücher.example/x.git", "ASCII"},
		{"https://127.1/x.git", "usual form"},
		{"https://2130706433/x.git", "usual form"},
		{"https://0x7f000001/x.git", "usual form"},
		{"https://0177.0.0.01/x.git", "usual form"},
		{"https://example.com./x.git", "empty"},
		{"https://example..com/x.git", "empty"},
		{"https://exam$(id)ple.com/x.git", "character"},
		{"https://example.com:0/x.git", "port"},
		{"https://example.com:99999/x.git", "port"},
		{"https://example.com:/x.git", "port"},
		{"https://[fe80::1%25eth0]/x.git", "zone"},
		{"https://example.com/" + strings.Repeat("x", 3000), "longer"},
	} {
		if _, err := ParseURL(c.url, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.url, err, c.want)
		}
	}
	for _, url := range []string{"ext::sh", "--upload-pack=x", "file://host/x", "file:relative", "file:///", "file:///x?y", "https://a:b@localhost/x", "ssh://localhost/x", "/srv/x.git"} {
		if _, err := ParseURL(url, true); err == nil {
			t.Errorf("%q is taken where local repositories are allowed", url)
		}
	}
}

func TestURLsThatAreTaken(t *testing.T) {
	for _, c := range []struct {
		url   string
		local bool
		want  Repository
	}{
		{"https://github.com/owner/x", false, Repository{Scheme: "https", Host: "github.com", Port: 443}},
		{"https://GitHub.com:8443/owner/x.git", false, Repository{Scheme: "https", Host: "github.com", Port: 8443}},
		{"https://[2606:4700::1]/x", false, Repository{Scheme: "https", Host: "2606:4700::1", Port: 443}},
		{"file:///srv/git/x.git", true, Repository{Scheme: "file"}},
		{"http://localhost:3000/owner/x.git", true, Repository{Scheme: "http", Host: "localhost", Port: 3000}},
	} {
		c.want.URL = c.url
		if r, err := ParseURL(c.url, c.local); err != nil || *r != c.want {
			t.Errorf("%q: %+v, %v", c.url, r, err)
		}
	}
}

// names answers as a name server whose answers are prepared.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) (out []netip.Addr, err error) {
	for _, a := range n[host] {
		out = append(out, netip.MustParseAddr(a))
	}
	if out == nil {
		err = errors.New("no such host")
	}
	return out, err
}

func TestHostsOnlyAtPublicAddresses(t *testing.T) {
	resolver := names{
		"public.example": {"93.184.216.34", "2606:4700::1"}, "documentation.example": {"203.0.113.80", "2001:db8::1"},
		"mixed.example": {"93.184.216.34", "127.0.0.1"}, "platform.example": {"93.184.216.99"},
	}
	for i, a := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "192.0.0.192",
		"198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
		"fe80::1", "fc00::1", "fd00:ec2::254", "2002:7f00:1::1", "2001::1", "ff02::1",
	} {
		resolver["bad"+string(rune('a'+i))+".example"] = []string{a}
	}
	n := Network{Resolver: resolver, Blocked: []netip.Prefix{netip.MustParsePrefix("93.184.216.99/32")}}
	for host, addresses := range resolver {
		r, err := ParseURL("https://"+host+"/x.git", false)
		if err != nil {
			t.Fatal(err)
		}
		pinned, err := n.Pin(t.Context(), r, false)
		if good := host == "public.example" || host == "documentation.example"; good != (err == nil) || good && len(pinned) != 2 {
			t.Errorf("%s at %v: %v, %v", host, addresses, pinned, err)
		}
	}
	for _, url := range []string{"https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x", "https://a.localhost/x", "https://missing.example/x", "https://169.254.169.254/x"} {
		r, err := ParseURL(url, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Pin(t.Context(), r, false); err == nil {
			t.Errorf("%s is taken", url)
		}
	}
}

func TestLocalOpensLoopbackAlone(t *testing.T) {
	n := Network{Resolver: names{"private.example": {"10.0.0.1"}, "public.example": {"93.184.216.34"}}}
	for url, good := range map[string]bool{
		"http://127.0.0.1:3000/x": true, "http://localhost/x": true, "https://localhost/x": true, "https://public.example/x": true,
		"http://public.example/x": false, "https://private.example/x": false, "http://private.example/x": false, "https://169.254.169.254/x": false,
	} {
		r, err := ParseURL(url, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Pin(t.Context(), r, true); good != (err == nil) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func FuzzURLsAreReadInOneWay(f *testing.F) {
	for _, seed := range []string{"https://github.com/a/b", "https://a@b/c", "ext::x", "https://[::1]:2/x", "https://a:1:2/x", "file:///x", "https://127.1/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r, err := ParseURL(raw, false)
		if err != nil {
			return
		}
		if r.Scheme != "https" || r.Host == "" || raw[0] == '-' || strings.ContainsAny(raw, " \n\r\t@\\") && strings.Contains(strings.SplitN(raw, "/", 4)[2], "@") {
			t.Errorf("%q: %+v", raw, r)
		}
		authority := strings.SplitN(raw, "/", 4)[2]
		if !strings.HasPrefix(strings.ToLower(strings.TrimPrefix(authority, "[")), r.Host) {
			t.Errorf("%q: the host is %q", raw, r.Host)
		}
	})
}

type resolverFunc func() []netip.Addr

func (f resolverFunc) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return f(), nil
}
