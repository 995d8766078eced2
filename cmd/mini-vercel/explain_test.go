package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// TestExplainSaysWhatTheEdgeSends compares every explanation with the answer
// itself.
func TestExplainSaysWhatTheEdgeSends(t *testing.T) {
	startUp(t)
	page := "<!doctype html>" + strings.Repeat("<p>a paragraph of some length</p>", 100)
	files := map[string]string{
		"index.html": page, "a.html": "a", "docs/index.html": "docs", "docs/404.html": page, "_app/immutable/old.js": "1", "x.png": "png",
	}
	command(t, "deploy", write(t, t.TempDir(), files), "--project", "my-site", "-y")
	delete(files, "_app/immutable/old.js")
	files["_redirects"] = "/old /a 301\n/r/:name/* /docs/:splat?n=:name\n/alias/* /:splat 200\n/app/* /app/index.html 200\n"
	files["_headers"] = "/*\n  X-All: yes\n  X-All: no\n  Cache-Control: public, max-age=60\n/a\n  ! X-Content-Type-Options\n  Set-Cookie: a=b\n  Set-Cookie: c=d\n  Content-Type: text/plain\n/docs/*\n  X-Docs: :splat\n  Expires: never\n"
	preview := strings.TrimSpace(command(t, "deploy", write(t, t.TempDir(), files), "--project", "my-site", "-y").stdout)
	production := strings.TrimSpace(command(t, "deploy", write(t, t.TempDir(), files), "--project", "my-site", "--prod", "-y").stdout)

	client := browser(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Transport.(*http.Transport).DisableCompression = true
	compare := func(t *testing.T, address, method, encoding, accept string) *controlplane.Explanation {
		t.Helper()
		r := command(t, "explain", address, "--json", "--method", method, "--accept-encoding", encoding, "--accept", accept)
		e := decode[controlplane.Explanation](t, r.stdout)
		if (r.code == 0) != (e.Status < 400) {
			t.Errorf("%s %s is %d, but the exit code %d", method, address, e.Status, r.code)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", encoding)
		req.Header.Set("Accept", accept)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != e.Status || resp.Header.Get("Location") != e.Location {
			t.Errorf("%s %s is answered %d %q, explained %d %q: %s", method, address, resp.StatusCode, resp.Header.Get("Location"), e.Status, e.Location, r.stdout)
			return &e
		}
		if e.Status == http.StatusUnauthorized {
			return &e // what it shows is for who has the password
		}
		said := http.Header{}
		for _, h := range e.Headers {
			if len(h.Values) > 0 {
				said[http.CanonicalHeaderKey(h.Name)] = h.Values
			}
		}
		got := resp.Header.Clone()
		for _, name := range []string{"Date", "Server-Timing", "Connection"} {
			got.Del(name)
		}
		if e.File == nil {
			got.Del("Content-Length") // of a page of the edge's own
		}
		for name := range got {
			if strings.Join(got[name], "|") != strings.Join(said[name], "|") {
				t.Errorf("%s %s (%s): %s is %q, explained as %q", method, address, encoding, name, got[name], said[name])
			}
		}
		for name := range said {
			if _, ok := got[name]; !ok {
				t.Errorf("%s %s (%s): there is no %s, explained as %q", method, address, encoding, name, said[name])
			}
		}
		return &e
	}
	const html = "text/html,*/*;q=0.8"
	for _, base := range []string{production, preview} {
		answersWith(t, base, http.StatusOK)
		for _, path := range []string{
			"/", "/?q", "/index.html?q=1", "/a", "/a.html", "/docs", "/docs/", "/docs/nope", "/nope", "/nope.js", "/x.png", "/old?q", "/r/n/a/b", "/r/n/a/b?q",
			"/alias/a", "/alias/nope", "/app/x", "//a", "/%61", "/%00", "/_app/immutable/old.js", "/_redirects",
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				for _, encoding := range []string{"gzip, br", "identity", "zstd", "identity;q=0"} {
					if method != "GET" && encoding != "gzip, br" {
						continue
					}
					compare(t, base+path, method, encoding, html)
				}
			}
		}
		compare(t, base+"/nope", "GET", "br", "application/json")
	}
	if e := compare(t, production+"/_app/immutable/old.js", "GET", "br", html); e.Status != 200 {
		t.Errorf("a file of an earlier deployment: %+v", e)
	}
	if e := compare(t, production+"/", "GET", "br", html); e.Cache.State != "memory" && e.Cache.State != "disk" {
		t.Errorf("asked for before: %+v", e.Cache)
	}

	// People read it.
	r := command(t, "explain", production+"/r/n/x")
	for _, want := range []string{"302 to /docs/x?n=n\n\n", "\nhost        ", "\nroute       Leads to the deployment ", "\nrule        /r/n/x matches /r/:name/*: :name is \"n\", :splat is \"x\"; it is redirected\n            _redirects:2: /r/:name/* /docs/:splat?n=:name\n", "\nheaders     ", "X-All: yes, no  (_headers:2, _headers:3)\n", "\ncache       "} {
		if r.code != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s%s", want, r.stdout, r.stderr)
		}
	}
	if r := command(t, "explain", "nobody.localhost:8001/"); r.code != 1 || !strings.Contains(r.stderr, "None of your projects answers at nobody.localhost") {
		t.Errorf("%+v", r)
	}

	// What a page preloads is named before it, where the project wants that.
	if r := command(t, "settings", "my-site", "--early-hints"); r.code != 0 || !strings.Contains(r.stdout, "early-hints    true\n") {
		t.Errorf("%+v", r)
	}
	files["a.html"] = "<link rel=modulepreload href=/a.js>a"
	hinted := strings.TrimSpace(command(t, "deploy", write(t, t.TempDir(), files), "--project", "my-site", "-y").stdout)
	answersWith(t, hinted, http.StatusOK)
	if e := compare(t, hinted+"/a", "GET", "br", html); len(e.File.EarlyHints) != 1 {
		t.Errorf("early hints: %+v", e.File)
	}
	if r := command(t, "explain", hinted+"/a"); !strings.Contains(r.stdout, "\n103         Link: </a.js>; rel=modulepreload\n") {
		t.Errorf("early hints:\n%s", r.stdout)
	}

	set := commandWith(t, t.Context(), "a good password\n", "access", "set", "--project", "my-site", "--scope", "previews")
	if set.code != 0 {
		t.Fatal(set)
	}
	answersWith(t, preview, http.StatusUnauthorized)
	if e := compare(t, preview+"/a", "GET", "br", html); !strings.Contains(e.Answer, "with the password 200, /a.html") {
		t.Errorf("%+v", e)
	}
	compare(t, production+"/a", "GET", "br", html)
	command(t, "suspend", "my-site")
	answersWith(t, production, http.StatusForbidden)
	compare(t, production+"/a", "GET", "br", html)
	compare(t, preview+"/a", "GET", "br", "text/plain")
}

func TestExplainUsedWrongly(t *testing.T) {
	isolate(t)
	for name, row := range map[string]struct {
		args []string
		want string
	}{
		"what":           {[]string{"explain"}, "--help"},
		"no address":     {[]string{"explain", "https://"}, "neither a host nor"},
		"another method": {[]string{"explain", "a.localhost", "--method", "brew"}, "--method"},
	} {
		if r := command(t, row.args...); r.code != 2 || !strings.Contains(r.stderr, row.want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
