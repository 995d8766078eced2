package edge

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// heldChecks is checks whose work takes as long as a test wants.
func heldChecks() (c *passwordChecks, begun chan struct{}, release chan struct{}) {
	c = newPasswordChecks()
	begun, release = make(chan struct{}, 2*checksQueued), make(chan struct{})
	c.derive = func([]byte, []byte, uint32, uint32, uint8, uint32) []byte {
		begun <- struct{}{}
		<-release
		return make([]byte, site.PasswordKeySize)
	}
	return c, begun, release
}

func TestPasswordsAreCheckedTwoAtOnceAndFewWait(t *testing.T) {
	c, begun, release := heldChecks()
	hash := site.PasswordHash{Key: make([]byte, site.PasswordKeySize)}
	var work sync.WaitGroup
	for range checksQueued {
		work.Go(func() {
			if good, err := c.check(context.Background(), hash, "x"); !good || err != nil {
				t.Errorf("got %v, %v", good, err)
			}
		})
	}
	for len(c.queue) < checksQueued || len(begun) < checksAtOnce {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.check(context.Background(), hash, "x"); !errors.Is(err, errChecksBusy) {
		t.Errorf("one more: %v", err)
	}
	if len(begun) != checksAtOnce {
		t.Errorf("%d at once", len(begun))
	}
	for range checksQueued {
		release <- struct{}{}
		if n := len(begun); n > checksQueued {
			t.Errorf("%d checks", n)
		}
	}
	work.Wait()
	if len(c.queue) != 0 || len(c.slots) != 0 {
		t.Errorf("left over: %d, %d", len(c.queue), len(c.slots))
	}
}

func TestAClientThatLeavesWaitsForNoCheck(t *testing.T) {
	c, begun, release := heldChecks()
	defer close(release)
	hash := site.PasswordHash{Key: make([]byte, site.PasswordKeySize)}
	for range checksAtOnce {
		go c.check(context.Background(), hash, "x")
		<-begun
	}
	ctx, leave := context.WithCancel(context.Background())
	leave()
	if _, err := c.check(ctx, hash, "x"); !errors.Is(err, errChecksBusy) {
		t.Errorf("got %v", err)
	}
}

func TestALongPasswordCostsNoCheck(t *testing.T) {
	c := newPasswordChecks()
	worked := false
	c.derive = func([]byte, []byte, uint32, uint32, uint8, uint32) []byte { worked = true; return nil }
	for length, want := range map[int]bool{maxPasswordBytes - 1: true, maxPasswordBytes: true, maxPasswordBytes + 1: false} {
		worked = false
		if good, err := c.check(context.Background(), site.PasswordHash{Key: []byte{1}}, strings.Repeat("x", length)); good || err != nil || worked != want {
			t.Errorf("%d bytes: %v, %v, worked %v", length, good, err, worked)
		}
	}
}

func TestTheTryLimitIsBounded(t *testing.T) {
	l := newTryLimit()
	now := time.Unix(1_000_000, 0)
	addr := netip.MustParseAddr("10.0.0.0")
	for range triesClients + 500 {
		l.take(netip.PrefixFrom(addr, 32), now)
		addr = addr.Next()
	}
	if n := l.clients.Len(); n != triesClients {
		t.Errorf("%d clients are remembered", n)
	}
	one := clientOf("192.0.2.1")
	for range triesAllowed {
		if wait := l.take(one, now); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	if wait := l.take(one, now.Add(time.Second)); wait != triesWindow-time.Second {
		t.Errorf("wait %v", wait)
	}
	if wait := l.take(one, now.Add(-time.Hour)); wait != 0 {
		t.Errorf("a clock that was set back: wait %v", wait)
	}
}

func TestClients(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "192.0.2.1:80": "192.0.2.1/32", "::ffff:192.0.2.1": "192.0.2.1/32", "[::ffff:192.0.2.1]:80": "192.0.2.1/32",
		"2001:db8::1": "2001:db8::/64", "[2001:db8:0:0:5::1]:80": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
		"": "invalid Prefix", "@": "invalid Prefix", "x:y": "invalid Prefix",
	} {
		if got := clientOf(address).String(); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

// FuzzReturnAddress: whatever is sent, the browser stays on this host.
func FuzzReturnAddress(f *testing.F) {
	for _, seed := range []string{"/", "/a?b#c", "//x", `/\x`, "/\t/x", "https://x", "/%2f/x", AccessPath, ""} {
		f.Add(seed)
	}
	base := &url.URL{Scheme: "https", Host: "site.example.test", Path: "/.mini-vercel/access"}
	f.Fuzz(func(t *testing.T, s string) {
		for _, to := range []string{returnAddress(s), address(s, ""), address("/", s)} {
			if to[0] != '/' || len(to) > maxReturn || strings.ContainsAny(to, "\r\n\t \x00") {
				t.Fatalf("%q became %q", s, to)
			}
			if u, err := base.Parse(to); err == nil && u.Host != base.Host {
				t.Fatalf("%q leads to %q", s, u.Host)
			}
			if len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
				t.Fatalf("%q became %q", s, to)
			}
		}
	})
}

func FuzzParseForm(f *testing.F) {
	f.Add("password=a+b&to=%2F")
	f.Add("password=&password=b;c")
	f.Add("to=/%zz")
	f.Fuzz(func(t *testing.T, body string) {
		password, to, err := parseForm(body)
		if err != nil {
			if password != "" || to != "" {
				t.Fatalf("%q: %q, %q beside %v", body, password, to, err)
			}
			return
		}
		again, toAgain, err := parseForm(url.Values{"password": {password}, "to": {to}}.Encode())
		if err != nil || again != password || toAgain != to {
			t.Fatalf("%q: %q, %q became %q, %q, %v", body, password, to, again, toAgain, err)
		}
	})
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; mv_access=x; mv_access=y")
	f.Add("mv_access==;;")
	f.Fuzz(func(t *testing.T, field string) {
		values := cookies([]string{field, field}, accessCookiePlain)
		if len(values) > mostCookies {
			t.Fatalf("%d values", len(values))
		}
		for _, v := range values {
			if !strings.Contains(field, accessCookiePlain+"="+v) || strings.Contains(v, ";") {
				t.Fatalf("%q has no %q", field, v)
			}
		}
	})
}

func FuzzCutShareToken(f *testing.F) {
	f.Add("a=1&mv_share=x&b")
	f.Add("mv_share=&mv_share=y")
	f.Fuzz(func(t *testing.T, query string) {
		token, rest, found := cutShareToken(query)
		if !found && (token != "" || rest != query) || strings.Contains(token, "&") {
			t.Fatalf("%q: %q, %q, %v", query, token, rest, found)
		}
		if _, again, more := cutShareToken(rest); more || again != rest {
			t.Fatalf("%q leaves %q", query, rest)
		}
	})
}

func TestWhatIsPrivateIsKeptByNoSharedCache(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules http.Header
		want  string
	}{
		{"nothing", http.Header{}, "private, no-cache"},
		{"immutable", http.Header{"Cache-Control": {site.CacheImmutable}}, "private, no-cache"},
		{"a rule", http.Header{"Cache-Control": {"public, s-maxage=99"}}, "private, no-cache"},
		{"two values", http.Header{"Cache-Control": {"no-store", "public"}}, "private, no-cache"},
		{"joined", http.Header{"Cache-Control": {"no-store, public"}}, "private, no-cache"},
		{"never", http.Header{"Cache-Control": {"no-store"}}, "no-store"},
		{"for shared caches", http.Header{
			"Expires": {"Thu, 01 Jan 2099 00:00:00 GMT"}, "Cdn-Cache-Control": {"max-age=9"}, "Cloudflare-Cdn-Cache-Control": {"max-age=9"}, "Surrogate-Control": {"max-age=9"},
		}, "private, no-cache"},
	} {
		a := Answer{Status: http.StatusOK, Private: true}
		for name, value := range tt.rules {
			a.Head = append(a.Head, Field{name, value})
		}
		a.Head = append(a.Head, Field{"X-Other", one("kept")})
		w := &recorder{header: http.Header{}}
		if err := a.write(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		delete(w.header, "Server-Timing")
		if got := w.header.Get("Cache-Control"); got != tt.want || len(w.header) != 2 {
			t.Errorf("%s: %v", tt.name, w.header)
		}
	}
}
