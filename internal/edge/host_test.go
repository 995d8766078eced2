package edge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestHosts(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home", "/404.html": "not here"}))
	b.route(site.Route{Host: "preview--site.example.test", Deployment: "d1", Environment: site.Preview})
	b.route(site.Route{Host: "gone.example.test", Gone: true})
	b.route(site.Route{Host: "empty.example.test"})
	b.route(site.Route{Host: "www.custom.test", Deployment: "d1", RedirectTo: "custom.test"})
	b.route(site.Route{Host: "custom.test", Deployment: "d1"})
	b.route(site.Route{Host: "orphan.example.test", Deployment: "d9"})
	c := newClient(t, newEdge(t, b))
	for _, tt := range []struct {
		name, host, path string
		status           int
		body             string // contained in it
		location         string
		robots           string
	}{
		{"a host", hostName, "/", 200, "home", "", ""},
		{"with a port", hostName + ":8001", "/", 200, "home", "", ""},
		{"with a final dot", hostName + ".", "/", 200, "home", "", ""},
		{"in capitals", "SITE.Example.TEST", "/", 200, "home", "", ""},
		{"a preview", "preview--site.example.test", "/", 200, "home", "", "noindex"},
		{"a preview's 404", "preview--site.example.test", "/x.js", 404, "not here", "", "noindex"},
		{"a custom domain", "custom.test", "/", 200, "home", "", ""},
		{"a domain that leads to another", "www.custom.test", "/a%2Fb?q=1", 308, "", "http://custom.test/a%2Fb?q=1", ""},
		{"with its port", "www.custom.test:8001", "/", 308, "", "http://custom.test:8001/", ""},
		{"a tombstone", "gone.example.test", "/", 410, "This site is gone", "", ""},
		{"nothing deployed", "empty.example.test", "/", 404, "Nothing deployed yet", "", ""},
		{"nobody, below the base domain", "nobody.example.test", "/", 404, "No site is here", "", ""},
		{"the base domain", "example.test", "/", 404, "No site is here", "", ""},
		{"two labels below it", "a.b.example.test", "/", 404, "No site is here", "", ""},
		{"nobody below it, with port and dot", "NOBODY.example.test.:8001", "/", 404, "No site is here", "", ""},
		{"nobody elsewhere", "elsewhere.test", "/", 421, "Misdirected", "", ""},
		{"an address", "127.0.0.1:8001", "/", 421, "Misdirected", "", ""},
		{"an address in brackets", "[::1]:8001", "/", 421, "Misdirected", "", ""},
		{"no host name", "a_b..c", "/", 421, "Misdirected", "", ""},
		{"a route whose manifest is missing", "orphan.example.test", "/", 502, "could not be read", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				got := c.do("GET", tt.host, tt.path)
				if got.StatusCode != tt.status || !strings.Contains(got.body, tt.body) {
					t.Fatalf("got %d %.200q", got.StatusCode, got.body)
				}
				if have := got.Header.Get("Location"); have != tt.location {
					t.Errorf("Location %q, want %q", have, tt.location)
				}
				if have := got.Header.Get("X-Robots-Tag"); have != tt.robots {
					t.Errorf("X-Robots-Tag %q, want %q", have, tt.robots)
				}
			}
		})
	}
	// Hosts without a dot more, and the base domain, cost no read; others one.
	for host, want := range map[string]int{"a.b.example.test": 0, "example.test": 0, "nobody.example.test": 1, "elsewhere.test": 1} {
		if got := b.reads(site.RouteKey(host)); got != want {
			t.Errorf("%s was looked up %d times, want %d", host, got, want)
		}
	}
}

func TestProjectStatesAndAccess(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "secret"}))
	b.route(site.Route{Host: "preview--site.example.test", Deployment: "d1", Environment: site.Preview})
	b.route(site.Route{Host: "gone.example.test", Gone: true})
	c := newClient(t, newEdge(t, b))
	previews, all := protected(site.AccessPreviews), protected(site.AccessAll)
	broken := protected(site.AccessAll)
	broken.CookieKey = broken.CookieKey[1:]
	for _, tt := range []struct {
		name                string
		record              site.Project
		production, preview int
	}{
		{"active", site.Project{}, 200, 200},
		{"suspended", site.Project{State: site.ProjectSuspended}, 403, 403},
		{"active again", site.Project{}, 200, 200},
		{"previews protected", site.Project{Access: previews}, 200, 401},
		{"all protected", site.Project{Access: all}, 401, 401},
		{"protected by what is not known", site.Project{Access: &site.Access{Scope: site.AccessAll}}, 403, 403},
		{"open again", site.Project{}, 200, 200},
		{"protected with a short key", site.Project{Access: broken}, 403, 403},
		{"a scope of the future", site.Project{Access: protected("some")}, 403, 403},
		{"suspended and protected", site.Project{State: site.ProjectSuspended, Access: all}, 403, 403},
		{"a state of the future", site.Project{State: "frozen"}, 403, 403},
		{"deleted and protected", site.Project{State: site.ProjectDeleted, Access: all}, 410, 410},
	} {
		b.project(tt.record)
		eventually(t, tt.name, func() bool {
			production, preview := c.get("/"), c.do("GET", "preview--site.example.test", "/")
			if strings.Contains(production.body, "secret") != (production.StatusCode == 200) {
				t.Fatalf("%s: %d %q", tt.name, production.StatusCode, production.body)
			}
			if gone := c.do("GET", "gone.example.test", "/"); gone.StatusCode != 410 {
				t.Fatalf("%s: the tombstone answers %d", tt.name, gone.StatusCode)
			}
			if production.StatusCode == 403 && strings.Contains(production.body, "suspended") != strings.HasPrefix(tt.name, "suspended") && tt.name != "a state of the future" {
				return false
			}
			return production.StatusCode == tt.production && preview.StatusCode == tt.preview
		})
	}
}

func TestNoticesAreTextWhereHTMLIsNotAccepted(t *testing.T) {
	b := newBucket(t)
	c := newClient(t, newEdge(t, b))
	for accept, want := range map[string]string{
		"":                                "text/html; charset=utf-8",
		"*/*":                             "text/html; charset=utf-8",
		"text/html,application/xml;q=0.9": "text/html; charset=utf-8",
		"application/json":                "text/plain; charset=utf-8",
		"text/html;q=0, */*":              "text/plain; charset=utf-8",
		"image/*":                         "text/plain; charset=utf-8",
	} {
		got := c.do("GET", "nobody.example.test", "/", "Accept: "+accept)
		if have := got.Header.Get("Content-Type"); have != want || strings.Contains(got.body, "<") != strings.HasPrefix(want, "text/html") {
			t.Errorf("Accept %q: got %s %.40q", accept, have, got.body)
		}
		if strings.Contains(got.body, "http://") || strings.Contains(got.body, "https://") || strings.Contains(got.body, "src=") {
			t.Errorf("the page loads something: %s", got.body)
		}
	}
}

func TestNotFoundModes(t *testing.T) {
	shell := map[string]string{"/index.html": "shell", "/app.js": "js", "/docs/404.html": "no doc"}
	page := map[string]string{"/index.html": "home", "/404.html": "custom"}
	for _, tt := range []struct {
		name    string
		mode    site.NotFound
		files   map[string]string
		method  string
		path    string
		headers []string
		status  int
		body    string
	}{
		{"auto takes the 404 page", "", page, "GET", "/x", nil, 404, "custom"},
		{"auto takes the shell", "", shell, "GET", "/x/y?z", nil, 200, "shell"},
		{"auto takes none", "", map[string]string{"/a.html": "a"}, "GET", "/x", nil, 404, "Page not found"},
		{"none", site.NotFoundNone, page, "GET", "/x", nil, 404, "Page not found"},
		{"a page with a dot", "", shell, "GET", "/u/john.doe", nil, 200, "shell"},
		{"an html page", "", shell, "GET", "/old/page.html", nil, 200, "shell"},
		{"HEAD of a page", "", shell, "HEAD", "/x", nil, 200, ""},
		{"POST", "", shell, "POST", "/x", nil, 404, "Page not found"},
		{"OPTIONS", "", shell, "OPTIONS", "/x", nil, 404, "Page not found"},
		{"a missing script", "", shell, "GET", "/assets/old.js", []string{"Sec-Fetch-Dest: document"}, 404, "Page not found"},
		{"asked for as a script", "", shell, "GET", "/x", []string{"Sec-Fetch-Dest: script"}, 404, "Page not found"},
		{"asked for as an image", "", shell, "GET", "/x", []string{"Sec-Fetch-Dest: image"}, 404, "Page not found"},
		{"asked for as a font", "", shell, "GET", "/x", []string{"Sec-Fetch-Dest: font"}, 404, "Page not found"},
		{"asked for as a document", "", shell, "GET", "/x", []string{"Sec-Fetch-Dest: document"}, 200, "shell"},
		{"no html accepted", "", shell, "GET", "/x", []string{"Accept: application/json"}, 404, "Page not found"},
		{"anything accepted", "", shell, "GET", "/x", []string{"Accept: application/json, */*;q=0.1"}, 200, "shell"},
		{"a shell without an index", site.NotFoundSPA, map[string]string{"/404.html": "custom"}, "GET", "/x", nil, 404, "Page not found"},
		{"a 404 page further up", site.NotFoundPage, shell, "GET", "/docs/a/b", nil, 404, "no doc"},
		{"no 404 page on the way", site.NotFoundPage, shell, "GET", "/blog", nil, 404, "Page not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBucket(t)
			b.deploy("d1", site.Meta{NotFound: tt.mode}, texts(tt.files))
			c := newClient(t, newEdge(t, b))
			got := c.do(tt.method, hostName, tt.path, tt.headers...)
			if got.StatusCode != tt.status || !strings.Contains(got.body, tt.body) {
				t.Fatalf("got %d %.200q", got.StatusCode, got.body)
			}
			if got.StatusCode == 404 && got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q", got.Header.Get("Cache-Control"))
			}
			if got.StatusCode == 200 && got.Header.Get("Etag") != etag("shell") {
				t.Errorf("Etag %q", got.Header.Get("Etag"))
			}
		})
	}
}

func TestAssetGrace(t *testing.T) {
	b := newBucket(t)
	now := time.Now()
	old := files{
		"/index.html":        {body: "old home"},
		"/assets/old-1.js":   {body: "old script", immutable: true},
		"/assets/a b-1.js":   {body: "spaced", immutable: true},
		"/plain.txt":         {body: "may change"},
		"/assets/both-1.css": {body: "old both", immutable: true},
	}
	b.upload("d1", site.Meta{}, old)
	b.upload("d0", site.Meta{}, files{"/assets/older-1.js": {body: "older script", immutable: true}})
	b.deploy("d2", site.Meta{}, files{"/index.html": {body: "new home"}, "/assets/both-1.css": {body: "new both", immutable: true}})
	current := site.Route{Deployment: "d2", Previous: []site.Previous{
		{Deployment: "deleted", Until: now.Add(time.Hour)}, {Deployment: "d1", Until: now.Add(time.Hour)}, {Deployment: "d0", Until: now.Add(-time.Second)},
	}}
	b.route(current)
	c := newClient(t, newEdge(t, b, func(c *edge.Config) { c.Now = func() time.Time { return now } }))
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"an immutable file of before", "GET", "/assets/old-1.js", 200, "old script"},
		{"its canonical form", "GET", "/assets//old-1.js", 307, ""},
		{"one that is encoded", "GET", "/assets/a%20b-1.js", 200, "spaced"},
		{"POST to it", "POST", "/assets/old-1.js", 405, "can only be read"},
		{"one that is here too", "GET", "/assets/both-1.css", 200, "new both"},
		{"one that may change", "GET", "/plain.txt", 404, "Page not found"},
		{"a page", "GET", "/", 200, "new home"},
		{"after its time", "GET", "/assets/older-1.js", 404, "Page not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				if got := c.do(tt.method, hostName, tt.path); got.StatusCode != tt.status || !strings.Contains(got.body, tt.body) {
					t.Fatalf("got %d %.200q", got.StatusCode, got.body)
				}
			}
		})
	}
	if got := c.get("/assets/old-1.js"); got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("Cache-Control %q", got.Header.Get("Cache-Control"))
	}
	current.Previous = nil // promoted with noGrace, or deleted
	b.route(current)
	eventually(t, "the earlier deployment is off the list", func() bool { return c.get("/assets/old-1.js").StatusCode == 404 })
}
