package edge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestHeaderRules(t *testing.T) {
	c := ruled(t, "/old /new 301\n/rewritten /page 200", "\ufeff# all\r\n"+`
/*
  X-Frame-Options: DENY
  Access-Control-Allow-Origin: *
  X-Join: one
  ! X-Content-Type-Options
/page
  X-Join: two
  Cache-Control: public, max-age=60
  Set-Cookie: a=1
/p*
  Set-Cookie: b=2
  X-Splat: [:splat]
/page.html
  X-Never: the URL is the one that was asked for
/old
  X-Old: yes
/rewritten
  X-Rewritten: yes
/assets/:name
  Cache-Control: no-cache
  X-Name: :name :other
/types/*
  Content-Type: text/x-mine
  Server-Timing: mine
/bare/*
  ! Content-Type
  ! Cache-Control
  ! Server-Timing
/missing/*
  Cache-Control: public, max-age=9999
  Expires: Thu, 31 Dec 2099 00:00:00 GMT
  CDN-Cache-Control: max-age=9999
  Surrogate-Control: max-age=9999
  X-Missing: :splat
`, files{
		"/page.html": {body: "page", variants: map[site.Encoding]string{site.Gzip: "gz"}}, "/assets/a b.js": {body: "js", immutable: true},
		"/types/t.txt": {body: "0123456789"}, "/bare/b.html": {body: "<p>b</p>"}, "/404.html": {body: "no"}, "/big.bin": {body: strings.Repeat("x", 100)},
	})
	all := map[string]string{"X-Frame-Options": "DENY", "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": ""}
	with := func(more map[string]string) map[string]string {
		out := map[string]string{}
		for _, m := range []map[string]string{all, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	c.check(t, []asked{
		{"all rules that match apply in order", "", "/page", nil, 200, "page", with(map[string]string{
			"X-Join": "one, two", "Cache-Control": "public, max-age=60", "Set-Cookie": "a=1 | b=2", "X-Splat": "[age]", "X-Never": "", "Etag": etag("page"), "Vary": "Accept-Encoding"})},
		{"of every variant", "", "/page", []string{"Accept-Encoding: gzip"}, 200, "gz", with(map[string]string{"X-Join": "one, two", "Content-Encoding": "gzip"})},
		{"HEAD", "HEAD", "/page", nil, 200, "", with(map[string]string{"X-Join": "one, two", "Content-Length": "4"})},
		{"304", "", "/page", []string{"If-None-Match: *"}, 304, "", with(map[string]string{"X-Join": "one, two", "Cache-Control": "public, max-age=60", "Set-Cookie": "a=1 | b=2"})},
		{"206", "", "/page", []string{"Range: bytes=0-1"}, 206, "pa", with(map[string]string{"X-Join": "one, two", "Content-Range": "bytes 0-1/4"})},
		{"204", "OPTIONS", "/page", nil, 204, "", with(map[string]string{"X-Join": "one, two", "Allow": "GET, HEAD, OPTIONS", "Cache-Control": "public, max-age=60"})},
		{"a redirect of the site's", "", "/old", nil, 301, "", with(map[string]string{"X-Old": "yes", "Location": "/new"})},
		{"a redirect to the canonical path", "", "/page.html", nil, 307, "", with(map[string]string{"Location": "/page", "X-Splat": "[age.html]", "X-Never": "the URL is the one that was asked for"})},
		{"404 with a page", "", "/missing/x.js", nil, 404, "no", with(map[string]string{"X-Missing": "x.js", "Cache-Control": "no-store", "Expires": "", "Cdn-Cache-Control": "", "Surrogate-Control": ""})},
		{"another 404 of the same rules", "", "/missing/y.js", nil, 404, "no", with(map[string]string{"X-Missing": "y.js"})},
		{"a rewrite goes by the URL that was asked for", "", "/rewritten", nil, 200, "page", with(map[string]string{"X-Rewritten": "yes", "X-Join": "one", "Set-Cookie": ""})},
		{"placeholders in values keep their encoding", "", "/assets/a%20b.js", nil, 200, "js", with(map[string]string{"X-Name": "a%20b.js :other", "Cache-Control": "no-cache"})},
		{"a value replaces the edge's own", "", "/types/t.txt", nil, 200, "0123456789", map[string]string{"Content-Type": "text/x-mine", "Server-Timing": "mine"}},
		{"in parts too", "", "/types/t.txt", []string{"Range: bytes=0-0,2-2"}, 206, "*", map[string]string{"Server-Timing": "mine"}},
		{"removed headers", "", "/bare/b", nil, 200, "<p>b</p>", map[string]string{"Content-Type": "", "Cache-Control": "", "Server-Timing": ""}},
		{"no rule for 405", "POST", "/page", nil, 405, "*", map[string]string{"X-Frame-Options": "", "Allow": "GET, HEAD, OPTIONS"}},
		{"no rule for 412", "", "/page", []string{`If-Match: "x"`}, 412, "*", map[string]string{"X-Frame-Options": ""}},
		{"no rule for 416", "", "/big.bin", []string{"Range: bytes=999-"}, 416, "*", map[string]string{"X-Frame-Options": ""}},
		{"the file itself is not served", "", "/_headers", nil, 404, "no", nil},
	})
	if a := c.get("/types/t.txt", "Range: bytes=0-0,2-2"); strings.Count(a.body, "Content-Type: text/x-mine") != 2 {
		t.Errorf("the parts are %q", a.body)
	}
}

func TestHeaderRulesForANoticeOfTheEdge(t *testing.T) {
	c := ruled(t, "", "/*\n  X-Frame-Options: DENY\n  Cache-Control: max-age=99", files{"/a.html": {body: "a"}})
	c.check(t, []asked{
		{"a plain 404", "", "/nope", nil, 404, "*", map[string]string{"X-Frame-Options": "DENY", "Cache-Control": "no-store"}},
		{"400", "", "/%00", nil, 400, "*", map[string]string{"X-Frame-Options": ""}},
	})
}

func TestNoHeaderRulesForStorageFailures(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{Rules: site.RuleSources{Headers: "/*\n  X-Frame-Options: DENY\n  Server-Timing: mine\n  Cache-Control: max-age=99"}}, files{"/a.html": {body: "a"}})
	c := newClient(t, newEdge(t, b))
	if a := c.get("/nope"); a.StatusCode != 404 || a.Header.Get("X-Frame-Options") != "DENY" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	b.breaks(func(_ context.Context, key string) error {
		if strings.Contains(key, "/blobs/") {
			return errors.New("away")
		}
		return nil
	})
	if a := c.get("/a"); a.StatusCode != 502 || a.Header.Get("X-Frame-Options") != "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
}

func TestPreviewsStayOutOfSearchEngines(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{Rules: site.RuleSources{Headers: "/*\n  X-Robots-Tag: all\n/removed\n  ! X-Robots-Tag"}}, files{"/index.html": {body: "home"}, "/removed.html": {body: "r"}})
	b.route(site.Route{Host: "preview.example.test", Deployment: "d1", Environment: site.Preview})
	c := newClient(t, newEdge(t, b))
	for range 2 {
		for path, want := range map[string]string{"/": "all", "/removed": "", "/nope": "all"} {
			if got := strings.Join(c.get(path).Header.Values("X-Robots-Tag"), " | "); got != want {
				t.Errorf("production%s: X-Robots-Tag %q, want %q", path, got, want)
			}
			if got := strings.Join(c.do("GET", "preview.example.test", path).Header.Values("X-Robots-Tag"), " | "); got != "noindex" {
				t.Errorf("preview%s: X-Robots-Tag %q", path, got)
			}
		}
	}
}

func TestHeaderRulesByHost(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{Rules: site.RuleSources{Headers: `
/*
  X-All: yes
https://site.example.test/*
  X-Host: production
https://:sub.example.test/docs/:page
  X-Sub: :sub :page
`}}, files{"/index.html": {body: "home"}, "/docs/a.html": {body: "a"}, "/404.html": {body: "no"}})
	hosts := []string{hostName}
	for i := range 20 { // more than a page is prepared for
		host := fmt.Sprintf("h%d.example.test", i)
		b.route(site.Route{Host: host, Deployment: "d1"})
		hosts = append(hosts, host)
	}
	c := newClient(t, newEdge(t, b))
	for range 3 {
		for _, host := range hosts {
			sub, _, _ := strings.Cut(host, ".")
			production := ""
			if host == hostName {
				production = "production"
			}
			for path, want := range map[string]string{"/": "", "/docs/a": sub + " a", "/docs/nope": sub + " nope", "/docs/a.html": sub + " a.html"} {
				a := c.do("GET", strings.ToUpper(host)+":8001", path)
				if a.Header.Get("X-All") != "yes" || a.Header.Get("X-Host") != production || a.Header.Get("X-Sub") != want {
					t.Fatalf("%s%s: %d %v", host, path, a.StatusCode, a.Header)
				}
			}
		}
	}
}

// TestAHotPageWithRulesDoesNotAllocate has rules of every kind that match.
func TestAHotPageWithRulesDoesNotAllocate(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{Rules: site.RuleSources{
		Redirects: "/* /index.html 200\n/old/* /new/:splat\n/rewritten /a.html 200",
		Headers:   "/*\n  X-Frame-Options: DENY\n  Content-Security-Policy: default-src 'self'\n/a\n  X-Name: a\nhttps://:host.example.test/by-host\n  X-Host: :host",
	}}, files{"/index.html": {body: "home"}, "/a.html": {body: "a"}, "/by-host.html": {body: "by host"}})
	e := newEdge(t, b)
	ctx := context.Background()
	w := &sink{header: http.Header{}}
	for path, most := range map[string]float64{"/": 0, "/a": 0, "/by-host": 0, "/some/page": 0, "/rewritten": 0} {
		q := edge.Request{Method: http.MethodGet, Host: hostName, Path: path}
		serve := func() {
			a := e.Answer(ctx, &q)
			if err := a.Write(ctx, w); err != nil || w.status != 200 {
				t.Fatalf("%s: %d, %v", path, w.status, err)
			}
		}
		if n := testing.AllocsPerRun(200, serve); n > most {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
