package edge_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	previewHost = "a1b2c3d4--site.example.test"
	accessWord  = "correct horse"
)

// protected is what a project's record says of access with accessWord; cheap to
// check.
func protected(scope site.AccessScope) *site.Access {
	h := site.PasswordHash{MemoryKiB: 64, Time: 1, Threads: 1, Salt: []byte("saltsaltsalt")}
	h.Key = argon2.IDKey([]byte(accessWord), h.Salt, h.Time, h.MemoryKiB, h.Threads, site.PasswordKeySize)
	return &site.Access{Scope: scope, PasswordHash: h.String(), CookieKey: bytes.Repeat([]byte{42}, site.AccessKeySize)}
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// door is a protected site and a client before it.
type door struct {
	*client
	bucket *bucket
	edge   *edge.Edge
	clock  *clock
	cookie string
}

func newDoor(t *testing.T, scope site.AccessScope) *door {
	t.Helper()
	b := newBucket(t)
	b.project(site.Project{Access: protected(scope)})
	b.deploy("d1", site.Meta{}, files{
		"/index.html": {body: "secret"}, "/docs/page.html": {body: "secret page", variants: map[site.Encoding]string{site.Brotli: "secret br"}},
		"/app.js": {body: "secret script", immutable: true}, "/404.html": {body: "secret 404"},
	})
	b.route(site.Route{Host: previewHost, Deployment: "d1", Environment: site.Preview})
	k := &clock{now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	e := newEdge(t, b, func(c *edge.Config) { c.Now = k.Now })
	return &door{client: newClient(t, e), bucket: b, edge: e, clock: k}
}

// ask is do with the cookie that the last answer set.
func (d *door) ask(method, path string, headers ...string) answer {
	d.t.Helper()
	if d.cookie != "" {
		headers = append(headers, "Cookie: other=1; "+d.cookie)
	}
	return d.do(method, previewHost, path, headers...)
}

// send posts a form as a browser does, and keeps the cookie.
func (d *door) send(form url.Values, headers ...string) answer {
	d.t.Helper()
	return d.sendBody(form.Encode(), headers...)
}

func (d *door) sendBody(body string, headers ...string) answer {
	d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, d.server.URL+edge.AccessPath, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Host = previewHost
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	for _, c := range resp.Cookies() {
		d.cookie = c.Name + "=" + c.Value
	}
	return answer{resp, string(text), err}
}

// signIn gives the right password.
func (d *door) signIn() {
	d.t.Helper()
	if got := d.send(url.Values{"password": {accessWord}}); got.StatusCode != http.StatusSeeOther || d.cookie == "" {
		d.t.Fatalf("the right password: %d %s", got.StatusCode, got.body)
	}
}

var hiddenTo = regexp.MustCompile(`name="to" type="hidden" value="([^"]*)"`)

func TestAProtectedHostAsksForItsPassword(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	got := d.ask("GET", "/docs/page?q=1&r=%22", "Accept: text/html")
	if got.StatusCode != 401 || strings.Contains(got.body, "secret") {
		t.Fatalf("got %d %s", got.StatusCode, got.body)
	}
	to := hiddenTo.FindStringSubmatch(got.body)
	if to == nil || to[1] != "/docs/page?q=1&amp;r=%22" {
		t.Errorf("returns to %q", to)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Content-Type": "text/html; charset=utf-8",
		"Content-Length": strconv.Itoa(len(got.body)), "X-Content-Type-Options": "nosniff", "Etag": "",
	} {
		if have := got.Header.Get(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	if csp := got.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("Content-Security-Policy %q", csp)
	}
	if d.get("/").body != "secret" {
		t.Error("production is not open")
	}

	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
		html               bool
	}{
		{"a missing path", "GET", "/missing", nil, 401, true},
		{"a path that is none", "GET", "/%00", nil, 401, true},
		{"HEAD", "HEAD", "/", nil, 401, false},
		{"OPTIONS", "OPTIONS", "/", nil, 401, false},
		{"POST", "POST", "/", nil, 401, false},
		{"DELETE of the form's path", "DELETE", edge.AccessPath, nil, 401, false},
		{"a range", "GET", "/", []string{"Range: bytes=0-1"}, 401, true},
		{"an ETag that would be right", "GET", "/", []string{"If-None-Match: " + etag("secret")}, 401, true},
		{"any ETag", "GET", "/", []string{"If-None-Match: *"}, 401, true},
		{"a script", "GET", "/app.js", []string{"Sec-Fetch-Dest: script", "Accept: */*"}, 401, false},
		{"a fetch", "GET", "/", []string{"Sec-Fetch-Dest: empty", "Accept: */*"}, 401, false},
		{"JSON", "GET", "/", []string{"Accept: application/json"}, 401, false},
		{"no encoding", "GET", "/", []string{"Accept-Encoding: *;q=0"}, 401, true},
		{"the form's path", "GET", edge.AccessPath + "?x", nil, 401, true},
		{"an immutable file", "GET", "/app.js", []string{"Accept: text/html"}, 401, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := d.ask(tt.method, tt.path, tt.headers...)
			if got.StatusCode != tt.status || strings.Contains(got.body, "secret") || strings.Contains(got.body, "<form") != tt.html {
				t.Fatalf("got %d %.300s", got.StatusCode, got.body)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Robots-Tag") != "noindex" || got.Header.Get("Etag") != "" || got.Header.Get("Allow") != "" {
				t.Errorf("head %v", got.Header)
			}
			if challenge := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Cookie ") {
				t.Errorf("WWW-Authenticate %q, which may open a browser's dialog", challenge)
			}
		})
	}
}

func TestThePasswordLetsIn(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	wrong := d.send(url.Values{"password": {"wrong"}, "to": {"/docs/page?a=1"}}, "Accept: text/html")
	if wrong.StatusCode != 401 || d.cookie != "" || !strings.Contains(wrong.body, "That is not the password") || !strings.Contains(wrong.body, `value="/docs/page?a=1"`) {
		t.Fatalf("a wrong password: %d %s", wrong.StatusCode, wrong.body)
	}
	if strings.Contains(wrong.body, `"wrong" type`) || strings.Contains(wrong.body, "value=\"wrong\"") {
		t.Error("the page repeats the password")
	}
	right := d.send(url.Values{"password": {accessWord}, "to": {"/docs/page?a=1"}})
	if right.StatusCode != 303 || right.Header.Get("Location") != "/docs/page?a=1" || right.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the right password: %d %v", right.StatusCode, right.Header)
	}
	set := right.Header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "mv_access=") || !strings.HasSuffix(set, "; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax") {
		t.Errorf("on plain HTTP: Set-Cookie %q", set)
	}
	for _, tt := range []struct {
		method, path string
		headers      []string
		status       int
		body, cache  string
	}{
		{"GET", "/", nil, 200, "secret", "private, no-cache"},
		{"GET", "/", nil, 200, "secret", "private, no-cache"},
		{"GET", "/app.js", nil, 200, "secret script", "private, no-cache"},
		{"HEAD", "/app.js", nil, 200, "", "private, no-cache"},
		{"GET", "/app.js", []string{"Range: bytes=0-5"}, 206, "secret", "private, no-cache"},
		{"GET", "/app.js", []string{"If-None-Match: " + etag("secret script")}, 304, "", "private, no-cache"},
		{"GET", "/docs/page", []string{"Accept-Encoding: br"}, 200, "secret br", "private, no-cache"},
		{"GET", "/docs/page.html", nil, 307, "", "private, no-cache"},
		{"OPTIONS", "/", nil, 204, "", "private, no-cache"},
		{"GET", "/missing", nil, 404, "secret 404", "no-store"},
		{"GET", edge.AccessPath, nil, 303, "", "no-store"},
	} {
		got := d.ask(tt.method, tt.path, tt.headers...)
		if got.StatusCode != tt.status || got.body != tt.body || got.Header.Get("Cache-Control") != tt.cache || got.Header.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s %s %v: %d %q %v", tt.method, tt.path, tt.headers, got.StatusCode, got.body, got.Header)
		}
	}
	// The same files on the open host, of the same prepared pages.
	if got := d.get("/app.js"); got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || got.Header.Get("X-Robots-Tag") != "" {
		t.Errorf("production: %v", got.Header)
	}
	// The cookie is good at its host alone.
	d.bucket.project(site.Project{Access: protected(site.AccessAll)})
	eventually(t, "production is protected", func() bool { return d.get("/").StatusCode == 401 })
	if got := d.get("/", "Cookie: "+d.cookie); got.StatusCode != 401 {
		t.Errorf("another host: %d", got.StatusCode)
	}
	if got := d.ask("GET", "/"); got.StatusCode != 200 {
		t.Errorf("a wider scope with the same password ends access: %d", got.StatusCode)
	}
	d.clock.pass(24*time.Hour - time.Second)
	if got := d.ask("GET", "/"); got.StatusCode != 200 {
		t.Errorf("in the last second: %d", got.StatusCode)
	}
	d.clock.pass(time.Second)
	if got := d.ask("GET", "/"); got.StatusCode != 401 {
		t.Errorf("after a day: %d", got.StatusCode)
	}
}

func TestCookiesOnHTTPS(t *testing.T) {
	d := newDoor(t, site.AccessAll)
	server := httptest.NewTLSServer(handler(d.edge))
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport)
	d.server, d.http.Transport = server, transport
	got := d.send(url.Values{"password": {accessWord}})
	if set := got.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-mv_access=") || !strings.HasSuffix(set, "; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("Set-Cookie %q", set)
	}
	if got := d.ask("GET", "/"); got.StatusCode != 200 {
		t.Errorf("with the cookie: %d", got.StatusCode)
	}
	// Another host below the domain could have set a cookie without the prefix.
	d.cookie = strings.TrimPrefix(d.cookie, "__Host-")
	if got := d.ask("GET", "/"); got.StatusCode != 401 {
		t.Errorf("with the cookie of plain HTTP: %d", got.StatusCode)
	}
}

func TestCookiesThatAreNotGood(t *testing.T) {
	d := newDoor(t, site.AccessAll)
	key := protected(site.AccessAll).CookieKey
	until := d.clock.Now().Add(time.Hour)
	good := "mv_access=" + site.AccessToken(key, site.AccessCookie, previewHost, until)
	for _, tt := range []struct {
		name, cookie string
		status       int
	}{
		{"good", good, 200},
		{"among others", "a=b; " + good + "; c=d", 200},
		{"behind a bad one of the name", "mv_access=x; " + good, 200},
		{"behind seven", strings.Repeat("mv_access=x; ", 7) + good, 200},
		{"behind eight", strings.Repeat("mv_access=x; ", 8) + good, 401},
		{"of another key", "mv_access=" + site.AccessToken(bytes.Repeat([]byte{1}, site.AccessKeySize), site.AccessCookie, previewHost, until), 401},
		{"of another host", "mv_access=" + site.AccessToken(key, site.AccessCookie, hostName, until), 401},
		{"a share link's", "mv_access=" + site.AccessToken(key, site.AccessShare, previewHost, until), 401},
		{"expired", "mv_access=" + site.AccessToken(key, site.AccessCookie, previewHost, d.clock.Now()), 401},
		{"empty", "mv_access=", 401},
		{"another name", "x" + good, 401},
		{"the other name", "__Host-" + good, 401},
	} {
		if got := d.ask("GET", "/", "Cookie: "+tt.cookie); got.StatusCode != tt.status {
			t.Errorf("%s: %d", tt.name, got.StatusCode)
		}
	}
}

func TestANewPasswordEndsEveryAccess(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	d.signIn()
	share := "/?" + site.ShareParameter + "=" + site.AccessToken(protected("").CookieKey, site.AccessShare, previewHost, d.clock.Now().Add(time.Hour))
	if got := d.do("GET", previewHost, share); got.StatusCode != 303 {
		t.Fatalf("the link: %d", got.StatusCode)
	}
	renewed := protected(site.AccessPreviews)
	renewed.CookieKey = bytes.Repeat([]byte{43}, site.AccessKeySize)
	d.bucket.project(site.Project{Access: renewed})
	eventually(t, "the cookie is no longer good", func() bool { return d.ask("GET", "/").StatusCode == 401 })
	if got := d.do("GET", previewHost, share); got.StatusCode != 401 || !strings.Contains(got.body, "no longer good") {
		t.Errorf("the link: %d", got.StatusCode)
	}
}

func TestShareLinks(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	key := protected("").CookieKey
	link := func(use site.AccessTokenUse, host string, life time.Duration) string {
		return site.ShareParameter + "=" + site.AccessToken(key, use, host, d.clock.Now().Add(life))
	}
	hour := link(site.AccessShare, previewHost, time.Hour)
	for _, tt := range []struct {
		name, path string
		status     int
		location   string
		maxAge     string
	}{
		{"an hour", "/?" + hour, 303, "/", "3600"},
		{"a month", "/?" + link(site.AccessShare, previewHost, site.MaxShareTime), 303, "/", "86400"},
		{"a page with a query", "/docs/page?a=%26&" + hour + "&b", 303, "/docs/page?a=%26&b", "3600"},
		{"twice the parameter", "/?" + hour + "&mv_share=x", 303, "/", "3600"},
		{"a missing page", "/missing?" + hour, 303, "/missing", "3600"},
		{"two slashes", "//evil.test/x?" + hour, 303, "/evil.test/x", "3600"},
		{"a backslash, which Go has encoded", `/\evil.test?` + hour, 303, "/%5Cevil.test", "3600"},
		{"the form's path", edge.AccessPath + "?" + hour, 303, "/", "3600"},
		{"expired", "/a?" + link(site.AccessShare, previewHost, 0), 401, "", ""},
		{"a cookie's", "/?" + link(site.AccessCookie, previewHost, time.Hour), 401, "", ""},
		{"another host's", "/?" + link(site.AccessShare, hostName, time.Hour), 401, "", ""},
		{"empty", "/?mv_share=", 401, "", ""},
		{"another parameter", "/?x" + hour, 401, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := d.ask("GET", tt.path, "Accept: text/html")
			if got.StatusCode != tt.status || got.Header.Get("Location") != tt.location || strings.Contains(got.body, "secret") {
				t.Fatalf("got %d, Location %q", got.StatusCode, got.Header.Get("Location"))
			}
			set := got.Header.Get("Set-Cookie")
			if (set != "") != (tt.status == 303) || tt.maxAge != "" && !strings.Contains(set, "; Max-Age="+tt.maxAge+";") {
				t.Errorf("Set-Cookie %q", set)
			}
			if got.Header.Get("Cache-Control") != "no-store" || strings.Contains(got.body, "mv_share") && tt.name != "another parameter" {
				t.Errorf("%v, body %s", got.Header, got.body)
			}
			if set != "" {
				cookie, _, _ := strings.Cut(set, ";")
				if in := d.ask("GET", "/", "Cookie: "+cookie); in.StatusCode != 200 || in.body != "secret" {
					t.Errorf("with the cookie: %d", in.StatusCode)
				}
			}
		})
	}
	if got := d.ask("HEAD", "/?"+hour); got.StatusCode != 303 {
		t.Errorf("HEAD: %d", got.StatusCode)
	}
	if got := d.ask("POST", "/?"+hour); got.StatusCode != 401 {
		t.Errorf("POST: %d", got.StatusCode)
	}
	// With access, a link that is no longer good does no harm.
	d.signIn()
	if got := d.ask("GET", "/docs/page?mv_share=old"); got.StatusCode != 303 || got.Header.Get("Location") != "/docs/page" || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("an old link with access: %d %v", got.StatusCode, got.Header)
	}
}

func TestTheFormLeadsNowhereElse(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	for i, tt := range []struct{ to, want string }{
		{"/docs/page?x=1#y", "/docs/page?x=1#y"},
		{"", "/"},
		{"//evil.test", "/"},
		{`/\evil.test`, "/"},
		{`\\evil.test`, "/"},
		{"https://evil.test/", "/"},
		{"evil.test", "/"},
		{"javascript:alert(1)", "/"},
		{"/\t/evil.test", "/"},
		{"/a\r\nSet-Cookie: x=1", "/"},
		{"/ /evil.test", "/"},
		{"/\u2028", "/"},
		{edge.AccessPath, "/"},
		{edge.AccessPath + "?x", "/"},
		{"/" + strings.Repeat("a", 4095), "/" + strings.Repeat("a", 4095)},
		{"/" + strings.Repeat("a", 4096), "/"},
	} {
		got := d.send(url.Values{"password": {accessWord}, "to": {tt.to}}, "X-Test-Client: 192.0.2."+strconv.Itoa(i))
		if got.StatusCode != 303 || got.Header.Get("Location") != tt.want || len(got.Header.Values("Set-Cookie")) != 1 {
			t.Errorf("%q: %d %.60q", tt.to, got.StatusCode, got.Header.Get("Location"))
		}
	}
}

func TestTheFormIsThisHostsOwn(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	for i, tt := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"no browser", nil, 303},
		{"this origin", []string{"Sec-Fetch-Site: same-origin", "Origin: http://" + previewHost}, 303},
		{"this origin, without metadata", []string{"Origin: http://" + previewHost}, 303},
		{"behind a proxy that takes HTTPS off", []string{"Origin: https://" + strings.ToUpper(previewHost)}, 303},
		{"sent again", []string{"Sec-Fetch-Site: none"}, 303},
		{"a neighbour", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"another site", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"another origin", []string{"Origin: http://evil.test"}, 403},
		{"another port", []string{"Origin: http://" + previewHost + ":81"}, 403},
		{"no origin that may be told", []string{"Origin: null"}, 403},
		{"no address", []string{"Origin: %"}, 403},
	} {
		got := d.send(url.Values{"password": {accessWord}}, append(tt.headers, "X-Test-Client: 192.0.2."+strconv.Itoa(i))...)
		if got.StatusCode != tt.status || (got.Header.Get("Set-Cookie") != "") != (tt.status == 303) {
			t.Errorf("%s: %d %v", tt.name, got.StatusCode, got.Header)
		}
	}
}

func TestForms(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	const form = "password=correct+horse&to=/"
	for i, tt := range []struct {
		name, body, media string
		status            int
	}{
		{"a form", form, "application/x-www-form-urlencoded", 303},
		{"with a charset", form, "application/x-www-form-urlencoded; charset=utf-8", 303},
		{"as large as may be", form + strings.Repeat("a", 16<<10-len(form)), "application/x-www-form-urlencoded", 303},
		{"too large", form + strings.Repeat("a", 16<<10-len(form)+1), "application/x-www-form-urlencoded", 413},
		{"far too large", form + strings.Repeat("a", 1<<20), "application/x-www-form-urlencoded", 413},
		{"JSON", `{"password":"correct horse"}`, "application/json", 400},
		{"no type", form, "", 400},
		{"empty", "", "application/x-www-form-urlencoded", 400},
		{"no password", "to=/", "application/x-www-form-urlencoded", 400},
		{"an empty password", "password=", "application/x-www-form-urlencoded", 401},
		{"bad escapes", "password=%zz", "application/x-www-form-urlencoded", 400},
		{"a very long password", "password=" + strings.Repeat("x", 513), "application/x-www-form-urlencoded", 401},
	} {
		got := d.sendBody(tt.body, "Content-Type: "+tt.media, "X-Test-Client: 192.0.2."+strconv.Itoa(i))
		if got.StatusCode != tt.status || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", tt.name, got.StatusCode, got.Header)
		}
	}
	// On an open host it is a path like others.
	if got := d.do("POST", hostName, edge.AccessPath); got.StatusCode != 404 {
		t.Errorf("on an open host: %d", got.StatusCode)
	}
}

func TestFiveTriesAMinute(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	try := func(client, password string) answer {
		return d.send(url.Values{"password": {password}}, "X-Test-Client: "+client, "Accept: text/html")
	}
	for i := range 5 {
		if got := try("198.51.100.7:4000", "wrong"); got.StatusCode != 401 {
			t.Fatalf("try %d: %d", i+1, got.StatusCode)
		}
		d.clock.pass(time.Second)
	}
	// Not even the right one, and from another port.
	got := try("198.51.100.7:4001", accessWord)
	if got.StatusCode != 429 || got.Header.Get("Retry-After") != "55" || got.Header.Get("Set-Cookie") != "" || !strings.Contains(got.body, "Too many tries") || !strings.Contains(got.body, "<form") {
		t.Fatalf("the sixth: %d %v", got.StatusCode, got.Header)
	}
	if got := try("::ffff:198.51.100.7", accessWord); got.StatusCode != 429 {
		t.Errorf("the same address written as IPv6: %d", got.StatusCode)
	}
	if got := try("198.51.100.8", accessWord); got.StatusCode != 303 {
		t.Errorf("another address: %d", got.StatusCode)
	}
	d.clock.pass(55*time.Second - time.Millisecond)
	if got := try("198.51.100.7", accessWord); got.StatusCode != 429 || got.Header.Get("Retry-After") != "1" {
		t.Errorf("a moment too early: %d %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
	d.clock.pass(time.Millisecond)
	if got := try("198.51.100.7", accessWord); got.StatusCode != 303 {
		t.Errorf("a minute after the first: %d", got.StatusCode)
	}
	if got := try("198.51.100.7", accessWord); got.StatusCode != 429 {
		t.Errorf("less than a minute after the second: %d", got.StatusCode)
	}

	// In IPv6 a /64 is one client.
	for i := range 5 {
		try("[2001:db8:1:2::"+strconv.Itoa(i)+"]:4000", "wrong")
	}
	if got := try("2001:db8:1:2:ffff::1", accessWord); got.StatusCode != 429 {
		t.Errorf("the same /64: %d", got.StatusCode)
	}
	if got := try("2001:db8:1:3::1", accessWord); got.StatusCode != 303 {
		t.Errorf("another /64: %d", got.StatusCode)
	}
}

func TestAHashBeyondTheLimitsIsNotChecked(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	greedy := protected(site.AccessPreviews)
	greedy.PasswordHash = strings.Replace(greedy.PasswordHash, "m=64,", "m=4194304,", 1)
	d.bucket.project(site.Project{Access: greedy})
	eventually(t, "the password is not checked", func() bool {
		got := d.send(url.Values{"password": {accessWord}}, "X-Test-Client: 192.0.2."+strconv.Itoa(time.Now().Nanosecond()%256))
		return got.StatusCode == 403 && got.Header.Get("Set-Cookie") == ""
	})
}

func TestProtectionOutlivesARestartWithoutTheBucket(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	dir := t.TempDir()
	withState := func(c *edge.Config) { c.StateDir, c.Now = dir, d.clock.Now }
	first, err := edge.New(edge.Config{Store: d.bucket, BaseDomain: baseName, StateDir: dir, Now: d.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	q := edge.Request{Method: "GET", Host: previewHost, Path: "/"}
	if a := first.Answer(context.Background(), &q); a.Status != 401 {
		t.Fatalf("before: %d", a.Status)
	}
	first.Close()
	d.bucket.breaks(away)
	d.client = newClient(t, newEdge(t, d.bucket, withState))
	if got := d.ask("GET", "/"); got.StatusCode != 401 {
		t.Errorf("without a cookie: %d", got.StatusCode)
	}
	d.signIn()
	if got := d.ask("GET", "/"); got.StatusCode == 401 {
		t.Errorf("with the password: %d", got.StatusCode)
	}
}

// FuzzNothingIsShownUnasked asks a protected host for anything without access:
// nothing of the site is in the answer.
func FuzzNothingIsShownUnasked(f *testing.F) {
	b := newBucket(f)
	b.project(site.Project{Access: protected(site.AccessAll)})
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "secret", "/app.js": "secret", "/404.html": "secret"}))
	e := newEdge(f, b)
	f.Add("GET", "/", "mv_share=x&a", "mv_access=x", "bytes=0-1", "*/*")
	f.Add("POST", edge.AccessPath, "", "", "", "")
	f.Add("OPTIONS", "/app.js", "%", ";;", "*", "text/html")
	f.Fuzz(func(t *testing.T, method, path, query, cookie, ranges, media string) {
		for _, tls := range []bool{false, true} {
			q := edge.Request{Method: method, Host: hostName, Path: path, Query: query, TLS: tls, Range: ranges, IfNoneMatch: ranges, Accept: media, Header: http.Header{"Cookie": {cookie}}}
			a := e.Answer(context.Background(), &q)
			w := &keeper{header: http.Header{}}
			if err := a.Write(context.Background(), w); err != nil {
				t.Fatal(err)
			}
			if form := method == http.MethodPost && path == edge.AccessPath; w.status != http.StatusUnauthorized && (!form || w.status != http.StatusBadRequest) {
				t.Fatalf("%+v: %d", q, w.status)
			}
			if strings.Contains(w.body.String(), "secret") && !strings.Contains(path+query, "secret") || w.header.Get("Etag") != "" || w.header.Get("Set-Cookie") != "" || w.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("%+v: %v %s", q, w.header, w.body.String())
			}
		}
	})
}

// TestNothingIsShownBeforeItsProtection: of a project that was protected and then
// deployed, an edge that can't read the record yet shows what it showed before.
func TestNothingIsShownBeforeItsProtection(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "open"}))
	c := newClient(t, newEdge(t, b))
	if got := c.get("/"); got.body != "open" {
		t.Fatal(got.StatusCode, got.body)
	}
	b.breaks(func(_ context.Context, key string) error {
		if key == site.ProjectKey(projectID) {
			return errAway
		}
		return nil
	})
	b.upload("d2", site.Meta{}, texts(map[string]string{"/index.html": "secret"}))
	before := b.reads(site.RouteKey(hostName))
	b.project(site.Project{Access: protected(site.AccessAll)})
	b.route(site.Route{Deployment: "d2"})
	eventually(t, "the route is read again and again", func() bool { return b.reads(site.RouteKey(hostName)) > before+1 })
	if got := c.get("/"); got.body != "open" {
		t.Errorf("while the record can't be read: %d %s", got.StatusCode, got.body)
	}
	b.breaks(nil)
	eventually(t, "a password is asked for", func() bool { return c.get("/").StatusCode == 401 })
}

// TestAFailureOfAProtectedHostStaysPrivate: what can't be had is no answer for
// others to keep either.
func TestAFailureOfAProtectedHostStaysPrivate(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	d.signIn()
	if got := d.ask("HEAD", "/docs/page"); got.StatusCode != 200 {
		t.Fatalf("got %d", got.StatusCode)
	}
	d.bucket.breaks(away)
	q := edge.Request{Method: "GET", Host: previewHost, Path: "/docs/page", Header: http.Header{"Cookie": {d.cookie}}}
	if a := d.edge.Answer(t.Context(), &q); a.Status != 502 || !a.Private || !a.Noindex {
		t.Errorf("%d, private: %v, not to be indexed: %v", a.Status, a.Private, a.Noindex)
	}
}

// TestRulesOfAProtectedHost: rules show nothing to who has no access, and let
// nobody else keep what they are for.
func TestRulesOfAProtectedHost(t *testing.T) {
	d := newDoor(t, site.AccessPreviews)
	rules := site.RuleSources{
		Headers:   "/*\n  Cache-Control: public, max-age=99\n  CDN-Cache-Control: max-age=99\n  Edge-Control: cache-maxage=99s\n  Akamai-Cache-Control: max-age=99\n  X-Robots-Tag: all\n  X-Own: 1",
		Redirects: "/old /new 301\n/again /index.html 200",
	}
	d.bucket.upload("d2", site.Meta{Rules: rules}, files{"/index.html": {body: "secret"}, "/app.js": {body: "secret", immutable: true}})
	d.bucket.route(site.Route{Host: previewHost, Deployment: "d2", Environment: site.Preview})
	d.bucket.route(site.Route{Deployment: "d2"})
	eventually(t, "the second deployment is there", func() bool { return d.get("/").Header.Get("X-Own") == "1" })
	paths := []string{"/", "/", "/app.js", "/old", "/again", "/missing.js"}
	for _, path := range paths {
		if got := d.ask("GET", path); got.StatusCode != 401 || got.Header.Get("X-Own") != "" || got.Header.Get("Location") != "" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s without access: %d %v", path, got.StatusCode, got.Header)
		}
	}
	eventually(t, "and at the preview", func() bool { d.cookie = ""; return d.ask("GET", "/").StatusCode == 401 })
	d.signIn()
	for i, status := range []int{200, 200, 200, 301, 200, 404} {
		var got answer
		eventually(t, paths[i], func() bool { got = d.ask("GET", paths[i]); return got.StatusCode == status })
		want := "private, no-cache"
		if status == 404 {
			want = "no-store"
		}
		if h := got.Header; h.Get("X-Own") != "1" || h.Get("Cache-Control") != want || h.Get("CDN-Cache-Control")+h.Get("Edge-Control")+h.Get("Akamai-Cache-Control") != "" || h.Get("X-Robots-Tag") != "noindex" {
			t.Errorf("%s with access: %v", paths[i], h)
		}
	}
	// The open host's own rules stay what they are.
	if h := d.get("/app.js").Header; h.Get("Cache-Control") != "public, max-age=99" || h.Get("CDN-Cache-Control") != "max-age=99" {
		t.Errorf("production: %v", h)
	}
}
