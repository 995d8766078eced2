package caddymodule_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

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
