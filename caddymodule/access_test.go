package caddymodule_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestWhoTriesAPasswordIsWhoCaddySays: the limit of tries is for the client's
// address, which a proxy may tell, and nobody else.
func TestWhoTriesAPasswordIsWhoCaddySays(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "secret"})
	hash := site.PasswordHash{MemoryKiB: 64, Time: 1, Threads: 1, Salt: []byte("saltsaltsalt")}
	hash.Key = argon2.IDKey([]byte("open sesame"), hash.Salt, hash.Time, hash.MemoryKiB, hash.Threads, site.PasswordKeySize)
	b.putJSON(site.ProjectKey("p1"), site.Project{ID: "p1", State: site.ProjectActive, Generation: 2, Access: &site.Access{
		Scope: site.AccessAll, PasswordHash: hash.String(), CookieKey: make([]byte, site.AccessKeySize),
	}})
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	}
	start(t, o)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	try := func(addr, forwarded, password string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, "http://"+addr+edge.AccessPath, strings.NewReader(url.Values{"password": {password}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "a.localhost"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", forwarded)
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}

	o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	trusting := load(t, o, nil)["edge"]
	for range 5 {
		if got := try(trusting, "203.0.113.1", "wrong"); got != 401 {
			t.Fatalf("a wrong password: %d", got)
		}
	}
	if got := try(trusting, "203.0.113.1", "open sesame"); got != 429 {
		t.Errorf("the sixth try: %d", got)
	}
	if got := try(trusting, "203.0.113.2", "open sesame"); got != 303 {
		t.Errorf("another client of the same proxy: %d", got)
	}

	// The proxy has appended whom it saw to what its client claimed.
	if got := try(trusting, "198.51.100.7, 203.0.113.1", "open sesame"); got != 429 {
		t.Errorf("who claims to be another, by a proxy that is trusted: %d", got)
	}

	// The edge has outlived the reload, and believes nobody now.
	client.CloseIdleConnections()
	o.TrustedProxies = nil
	plain := load(t, o, nil)["edge"]
	for n, forwarded := range []string{"203.0.113.3", "203.0.113.4", "203.0.113.5", "203.0.113.6", "203.0.113.7"} {
		if got := try(plain, forwarded, "wrong"); got != 401 {
			t.Fatalf("try %d: %d", n, got)
		}
	}
	if got := try(plain, "203.0.113.8", "open sesame"); got != 429 {
		t.Errorf("who only claims to be another: %d", got)
	}
}

// TestAProxyThatTakesHTTPSOff: what it says counts where it is trusted, and
// nowhere else.
func TestAProxyThatTakesHTTPSOff(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	b.putJSON(site.RouteKey("b.localhost"), site.Route{Host: "b.localhost", Project: "p1", Environment: site.Production, RedirectTo: "a.localhost", Generation: 1})
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(), HTTPS: caddymodule.HTTPS{HSTS: time.Hour},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	}
	start(t, o)
	redirecting := func(config map[string]any) {
		server := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)["edge"].(map[string]any)
		server["routes"] = []any{map[string]any{"handle": []any{map[string]any{"handler": "mini_vercel", "redirect_port": 443}}}}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(addr, host, proto string) (int, http.Header) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http://"+addr+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		if proto != "" {
			r.Header.Set("X-Forwarded-Proto", proto)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	for _, tt := range []struct {
		name    string
		proxies []netip.Prefix
		proto   string
		secure  bool
	}{
		{"trusted", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "https", true},
		{"trusted, and HTTP", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "http", false},
		{"trusted, and silent", []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "", false},
		{"another", []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "https", false},
		{"none", nil, "https", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			defer client.CloseIdleConnections()
			o.TrustedProxies = tt.proxies
			addr := load(t, o, nil)["edge"]
			want := "http://a.localhost/x"
			if tt.secure {
				want = "https://a.localhost/x"
			}
			_, header := ask(addr, "b.localhost", tt.proto)
			if got := header.Get("Location"); got != want {
				t.Errorf("the other host is at %s, want %s", got, want)
			}
			if got := header.Get("Strict-Transport-Security") != ""; got != tt.secure {
				t.Errorf("HSTS: %v", got)
			}
			client.CloseIdleConnections()
			addr = load(t, o, redirecting)["edge"]
			if status, header := ask(addr, "a.localhost", tt.proto); (header.Get("Location") != "https://a.localhost/x") != tt.secure {
				t.Errorf("where HTTP is sent on to HTTPS: %d %v", status, header)
			}
		})
	}
}
