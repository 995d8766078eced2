package edge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ruled serves a site with rules.
func ruled(t *testing.T, redirects, headers string, all files) *client {
	t.Helper()
	b := newBucket(t)
	b.deploy("d1", site.Meta{Rules: site.RuleSources{Redirects: redirects, Headers: headers}}, all)
	return newClient(t, newEdge(t, b))
}

// asked is one request and what is wanted of its answer.
type asked struct {
	name, method, path string
	headers            []string
	status             int
	body               string            // "*": any
	want               map[string]string // headers; "": absent
}

func (c *client) check(t *testing.T, all []asked) {
	t.Helper()
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			// The second time it comes out of what was prepared.
			for range 2 {
				a := c.do(tt.method, hostName, tt.path, tt.headers...)
				if a.StatusCode != tt.status || tt.body != "*" && a.body != tt.body {
					t.Fatalf("%s %s: %d %q, want %d %q", tt.method, tt.path, a.StatusCode, a.body, tt.status, tt.body)
				}
				for name, want := range tt.want {
					if got := strings.Join(a.Header.Values(name), " | "); got != want {
						t.Errorf("%s %s: %s is %q, want %q", tt.method, tt.path, name, got, want)
					}
				}
			}
		})
	}
}

func location(to string) map[string]string { return map[string]string{"Location": to} }

func TestRedirects(t *testing.T) {
	c := ruled(t, "\ufeff# comment\r\n\r\n"+`
/plain /target
/moved /target 301   # a comment
/see /target 303
/temporary /target 307
/permanent /target 308
no-slash /target
/from?a=b#c /target
/out https://example.com:8443/x
/query /target?own=1
/fragment /target#part
/asset.html /elsewhere
/caf`+"\u00e9"+` /target
/enc/:x /got/:x
/splat/* /got/:splat?s=:splat
/in/*/between /got/:splat
/part-:a-:b.html /got/:b/:a
/order/x /static
/order/* /first
/order/:y /second
/open/* /:splat
/host/:name https://:name.example.com/hi
/twice/* /twice-more/:splat
/twice-more/* /end/:splat
/Case /target
`, "", texts(map[string]string{"/index.html": "home", "/404.html": "no", "/asset.html": "asset", "/order/x.html": "x", "/twice-more/a.html": "never"}))
	c.check(t, []asked{
		{"302 unless given", "", "/plain", nil, 302, "", map[string]string{"Location": "/target", "Content-Length": "0", "Cache-Control": "public, max-age=0, must-revalidate"}},
		{"301", "", "/moved", nil, 301, "", location("/target")},
		{"303", "", "/see", nil, 303, "", location("/target")},
		{"307", "", "/temporary", nil, 307, "", location("/target")},
		{"308", "", "/permanent", nil, 308, "", location("/target")},
		{"a missing slash is added", "", "/no-slash", nil, 302, "", location("/target")},
		{"the query and fragment of FROM are dropped", "", "/from", nil, 302, "", location("/target")},
		{"to another host", "", "/out", nil, 302, "", location("https://example.com:8443/x")},
		{"the request's query is kept", "", "/plain?a=b&c=%20", nil, 302, "", location("/target?a=b&c=%20")},
		{"the rule's query counts instead", "", "/query?a=b", nil, 302, "", location("/target?own=1")},
		{"a query goes before the fragment", "", "/fragment?a=b", nil, 302, "", location("/target?a=b#part")},
		{"a rule wins over an asset", "", "/asset.html", nil, 302, "", location("/elsewhere")},
		{"matching is on the encoded path", "", "/caf%C3%A9", nil, 302, "", location("/target")},
		{"and on that alone", "", "/caf%c3%a9", nil, 404, "no", location("")},
		{"an encoded slash is no slash", "", "/enc/a%2Fb", nil, 302, "", location("/got/a%2Fb")},
		{"matching is case-sensitive", "", "/case", nil, 404, "no", location("")},
		{"the same in its own case", "", "/Case", nil, 302, "", location("/target")},
		{"no rule", "", "/plain/", nil, 404, "no", location("")},
		{"* is greedy", "", "/in/a/between/b/between", nil, 302, "", location("/got/a/between/b")},
		{"* may be empty", "", "/splat/", nil, 302, "", location("/got/?s=")},
		{"what * is, wherever TO has it", "", "/splat/a/b%20c", nil, 302, "", location("/got/a/b%20c?s=a/b%20c")},
		{"names are parts of segments", "", "/part-1-2-3.html", nil, 302, "", location("/got/3/1-2")},
		{"names hold no slash", "", "/enc/a/b", nil, 404, "no", location("")},
		{"names are not empty", "", "/enc/", nil, 404, "no", location("")},
		{"static rules come first", "", "/order/x", nil, 302, "", location("/static")},
		{"then the first that matches", "", "/order/y", nil, 302, "", location("/first")},
		{"slashes at the front fold", "", "/open//evil.example/x", nil, 302, "", location("/evil.example/x")},
		{"a backslash is none", "", "/open/%5Cevil.example", nil, 302, "", location("/%5Cevil.example")},
		{"a name in a host", "", "/host/blue", nil, 302, "", location("https://blue.example.com/hi")},
		{"one redirect, and the next is asked for", "", "/twice/a", nil, 302, "", location("/twice-more/a")},
		{"HEAD", "HEAD", "/moved", nil, 301, "", location("/target")},
		{"POST", "POST", "/permanent", nil, 308, "", location("/target")},
		{"OPTIONS", "OPTIONS", "/plain", nil, 302, "", location("/target")},
		{"a path that can't be meant", "", "/open/%00", nil, 400, "*", location("")},
		{"the file itself is not served", "", "/_redirects", nil, 404, "no", location("")},
	})
}

func TestRewrites(t *testing.T) {
	c := ruled(t, `
/static /page.html 200
/home / 200
/folder /docs 200
/app/:x/* /shell.html 200
/move/* /:splat 200
/chain /static 200
/gone /nowhere 200
/page.html /taken 200
`, "", files{
		"/index.html": {body: "home"}, "/page.html": {body: "page", variants: map[site.Encoding]string{site.Gzip: "gz"}}, "/docs/index.html": {body: "docs"},
		"/shell.html": {body: "shell"}, "/app/a/b.js": {body: "js"}, "/404.html": {body: "no"}, "/docs/404.html": {body: "no doc"}, "/a b.txt": {body: "0123456789"}, "/static.html": {body: "static"}, "/taken.html": {body: "taken"},
	})
	c.check(t, []asked{
		{"a file under another path", "", "/static?a=b", nil, 200, "page", map[string]string{"Location": "", "Etag": etag("page"), "Content-Type": "text/html; charset=utf-8"}},
		{"negotiated", "", "/static", []string{"Accept-Encoding: gzip"}, 200, "gz", map[string]string{"Content-Encoding": "gzip"}},
		{"not modified", "", "/static", []string{"If-None-Match: " + etag("page")}, 304, "", nil},
		{"a folder", "", "/home", nil, 200, "home", nil},
		{"a folder without its slash, and no further redirect", "", "/folder", nil, 200, "docs", location("")},
		{"a rule wins over an asset", "", "/app/a/b.js", nil, 200, "shell", nil},
		{"an asset's own rule", "", "/page.html", nil, 200, "taken", nil},
		{"placeholders are decoded once", "", "/move/a%20b.txt", nil, 200, "0123456789", location("")},
		{"ranges", "", "/move/a%20b.txt", []string{"Range: bytes=2-3"}, 206, "23", nil},
		{"no second rule", "", "/chain", nil, 200, "static", nil},
		{"nothing is found there", "", "/gone", nil, 404, "no", map[string]string{"Cache-Control": "no-store"}},
		{"the 404 page is the nearest of the new path", "", "/move/docs/x", nil, 404, "no doc", nil},
		{"POST", "POST", "/static", nil, 405, "*", map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"OPTIONS", "OPTIONS", "/static", nil, 204, "", map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"POST to nothing", "POST", "/gone", nil, 404, "no", nil},
		{"a placeholder that hides a control character", "", "/move/%0a", nil, 400, "*", nil},
	})
}

func TestApplicationsByRule(t *testing.T) {
	all := files{"/index.html": {body: "shell"}, "/app.js": {body: "js"}, "/about.html": {body: "about"}, "/404.html": {body: "no"}}
	ruled(t, "/* /index.html 200", "", all).check(t, []asked{
		{"a page that is not there", "", "/u/john.doe", nil, 200, "shell", location("")},
		{"a file stays a file", "", "/app.js", nil, 200, "js", nil},
		{"a page stays a page", "", "/about", nil, 200, "about", nil},
		{"a missing script", "", "/missing.js", nil, 404, "*", nil},
		{"what a script asks for", "", "/x", []string{"Sec-Fetch-Dest: script"}, 404, "*", nil},
		{"what wants no page", "", "/x", []string{"Accept: application/json"}, 404, "*", nil},
	})
	all["/admin/index.html"], all["/admin/a.js"], all["/gone/x.txt"] = file{body: "admin"}, file{body: "a"}, file{body: "x"}
	ruled(t, "/admin/* /admin/index.html 200\n/gone/* /gone/index.html 200", "", all).check(t, []asked{
		{"a part of the site", "", "/admin/users/7", nil, 200, "admin", location("")},
		{"its files", "", "/admin/a.js", nil, 200, "a", nil},
		{"its missing files", "", "/admin/b.js", nil, 404, "no", nil},
		{"its home", "", "/admin/", nil, 200, "admin", nil},
		{"the rest of the site", "", "/users/7", nil, 404, "no", nil},
		{"without the page that it names", "", "/gone/y", nil, 404, "no", nil},
	})
}

func TestARuleOfANewDeploymentWinsOverAPreparedPage(t *testing.T) {
	b := newBucket(t)
	all := texts(map[string]string{"/index.html": "home", "/a.html": "a"})
	b.deploy("d1", site.Meta{}, all)
	c := newClient(t, newEdge(t, b))
	if a := c.get("/a"); a.StatusCode != 200 {
		t.Fatalf("got %d", a.StatusCode)
	}
	b.deploy("d2", site.Meta{Rules: site.RuleSources{Redirects: "/a /b"}}, all)
	eventually(t, "the rule of the new deployment counts", func() bool { return c.get("/a").StatusCode == 302 })
	b.deploy("d3", site.Meta{}, all)
	eventually(t, "and goes with it", func() bool { return c.get("/a").StatusCode == 200 })
}

func TestGraceComesBehindRules(t *testing.T) {
	b := newBucket(t)
	b.upload("d0", site.Meta{Rules: site.RuleSources{Headers: "/*\n  X-By: d0"}}, files{
		"/index.html": {body: "old"}, "/assets/old-12345678.js": {body: "old js", immutable: true}, "/assets/moved-12345678.js": {body: "moved", immutable: true},
	})
	b.upload("d1", site.Meta{Rules: site.RuleSources{
		Redirects: "/assets/moved-12345678.js /elsewhere.js\n/* /index.html 200\n/rewritten.js /assets/old-12345678.js 200", Headers: "/*\n  X-By: d1",
	}}, texts(map[string]string{"/index.html": "new"}))
	b.project(site.Project{})
	b.route(site.Route{Deployment: "d1", Previous: []site.Previous{{Deployment: "d0", Until: time.Now().Add(time.Hour)}}})
	b.route(site.Route{Host: "old.example.test", Deployment: "d0"})
	c := newClient(t, newEdge(t, b))
	c.check(t, []asked{
		{"a file of an earlier deployment, with today's headers", "", "/assets/old-12345678.js", nil, 200, "old js", map[string]string{"X-By": "d1"}},
		{"a rule wins", "", "/assets/moved-12345678.js", nil, 302, "", location("/elsewhere.js")},
		{"a rewrite leads there", "", "/rewritten.js", nil, 200, "old js", location("")},
		{"a page is the shell", "", "/x", nil, 200, "new", nil},
	})
	if a := c.do("GET", "old.example.test", "/assets/old-12345678.js"); a.Header.Get("X-By") != "d0" {
		t.Errorf("the earlier deployment's own host sends %v", a.Header)
	}
}
