package site

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func decideManifest(t testing.TB, rules RuleSources, notFound NotFound, paths ...string) *Manifest {
	t.Helper()
	var entries []FileEntry
	for _, p := range paths {
		entries = append(entries, FileEntry{Path: p})
	}
	m := mustManifest(t, Meta{Rules: rules}, entries)
	if _, err := m.Compile(Serving{NotFound: notFound}); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecide(t *testing.T) {
	m := decideManifest(t, RuleSources{
		Redirects: "/old /new 301\n/r/* /:splat 200\n/app/* /app/index.html 200\n/out/* /:splat",
		Headers:   "/*\n  A: b\n/old\n  C: d",
	}, "", "/index.html", "/a.html", "/404.html", "/app/index.html", "/app/404.html")
	for _, tt := range []struct {
		q        Request
		outcome  Outcome
		status   int
		file     string
		location string
		rule     int // line
		mode     NotFound
		headers  int
	}{
		{Request{Path: "/old", Query: "q"}, Redirected, 301, "", "/new?q", 1, "", 2},
		{Request{Path: "/"}, Served, 200, "/index.html", "", 0, "", 1},
		{Request{Path: "//a", Query: "q"}, Moved, 307, "/a.html", "/a?q", 0, "", 1},
		{Request{Path: "/r/a.html"}, Served, 200, "/a.html", "", 2, "", 1},
		{Request{Path: "/r/%61"}, Served, 200, "/a.html", "", 2, "", 1},
		{Request{Path: "/r/nope"}, Missing, 404, "/404.html", "", 2, NotFoundPage, 1},
		{Request{Path: "/r/app/x"}, Missing, 404, "/app/404.html", "", 2, NotFoundPage, 1},
		{Request{Path: "/app/x"}, Shell, 200, "/app/index.html", "", 3, NotFoundSPA, 1},
		{Request{Path: "/app/x", SecFetchDest: "image"}, Missing, 404, "/app/404.html", "", 0, NotFoundPage, 1},
		{Request{Path: "/app/x", Accept: "image/*"}, Missing, 404, "/app/404.html", "", 0, NotFoundPage, 1},
		{Request{Path: "/app/x", Method: "POST"}, Missing, 404, "/app/404.html", "", 0, NotFoundPage, 1},
		{Request{Path: "/app/x.js"}, Missing, 404, "/app/404.html", "", 0, NotFoundPage, 1},
		{Request{Path: "/a", Method: "OPTIONS"}, Options, 204, "/a.html", "", 0, "", 1},
		{Request{Path: "/a", Method: "PUT"}, NotAllowed, 405, "/a.html", "", 0, "", 1},
		{Request{Path: "/a%00"}, Malformed, 400, "", "", 0, "", 0},
		{Request{Path: "/out/\\evil.example/\u00fc#<x>"}, Redirected, 302, "", "/%5Cevil.example/%C3%BC%23%3Cx%3E", 4, "", 1},
		{Request{Path: "/out///evil.example"}, Redirected, 302, "", "/evil.example", 4, "", 1},
	} {
		if tt.q.Method == "" {
			tt.q.Method = http.MethodGet
		}
		d := m.Decide(&tt.q)
		file := ""
		if d.HasFile {
			file = d.File.Path()
		}
		rule, _ := d.Rule()
		if d.Outcome != tt.outcome || d.Status != tt.status || file != tt.file || d.Location != tt.location || rule.Line != tt.rule || d.Mode != tt.mode || len(d.HeaderRules()) != tt.headers {
			t.Errorf("%+v: outcome %d, %d, file %q, location %q, line %d, mode %q, %d header rules; want %+v",
				tt.q, d.Outcome, d.Status, file, d.Location, rule.Line, d.Mode, len(d.HeaderRules()), tt)
		}
	}
}

func TestCompile(t *testing.T) {
	const spa = "/* /index.html 200"
	for _, tt := range []struct {
		name     string
		rules    RuleSources
		project  Serving
		notFound NotFound
		html     HTMLHandling
		problems int
		err      string
	}{
		{name: "nothing"},
		{name: "the project's", project: Serving{HTMLHandling: HTMLDrop, NotFound: NotFoundNone}, html: HTMLDrop, notFound: NotFoundNone},
		{name: "mini-vercel.json wins", rules: RuleSources{Config: `{"notFound":"404-page","htmlHandling":"none"}`}, project: Serving{HTMLHandling: HTMLDrop, NotFound: NotFoundNone}, html: HTMLNone, notFound: NotFoundPage},
		{name: "a rule wins over the project", rules: RuleSources{Redirects: spa}, project: Serving{NotFound: NotFoundPage}, notFound: NotFoundSPA},
		{name: "a rule decides what is automatic", rules: RuleSources{Redirects: spa, Config: `{"notFound":"auto"}`}, notFound: NotFoundSPA},
		{name: "mini-vercel.json wins over a rule", rules: RuleSources{Redirects: spa, Config: `{"notFound":"404-page"}`}, notFound: NotFoundPage, problems: 1},
		{name: "both say the same", rules: RuleSources{Redirects: spa, Config: `{"notFound":"single-page-application"}`}, notFound: NotFoundSPA},
		{name: "wrong lines are left out", rules: RuleSources{Redirects: "/a", Headers: "/*\n  Vary: x\n  A: b"}, problems: 2},
		{name: "strict", rules: RuleSources{Redirects: "/a", Headers: "/*\n  Vary: x\n  A: b"}, project: Serving{StrictRules: true}, problems: 2, err: "_redirects:1: a rule is FROM TO [STATUS]; this line has 1 part (and 1 more line). With strictRules"},
		{name: "strict by mini-vercel.json", rules: RuleSources{Redirects: "/a", Config: `{"strictRules":true}`}, problems: 1, err: "_redirects:1: "},
		{name: "lenient by mini-vercel.json", rules: RuleSources{Redirects: "/a", Config: `{"strictRules":false}`}, project: Serving{StrictRules: true}, problems: 1},
		{name: "strict, and all is right", rules: RuleSources{Redirects: spa + "\n/a /b"}, project: Serving{StrictRules: true}, notFound: NotFoundSPA},
		{name: "mini-vercel.json is wrong", rules: RuleSources{Config: `{"x":1}`}, err: `mini-vercel.json: unknown key "x"`},
	} {
		m := mustManifest(t, Meta{Rules: tt.rules}, nil)
		problems, err := m.Compile(tt.project)
		if len(problems) != tt.problems || (err != nil) != (tt.err != "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
			t.Errorf("%s: %v, %v", tt.name, problems, err)
		}
		if err == nil && (m.Meta.NotFound != tt.notFound || m.Meta.HTMLHandling != tt.html) {
			t.Errorf("%s: not found %q, HTML %q", tt.name, m.Meta.NotFound, m.Meta.HTMLHandling)
		}
	}
}

// FuzzDecide asks a site with rules for anything: there is one redirect at most,
// never to a host by accident, and it leads to what serves.
func FuzzDecide(f *testing.F) {
	m := decideManifest(f, RuleSources{
		Redirects: "/old/* /:splat\n/r/* /:splat 200\n/host/:name https://:name.example.com/:name\n/*/index /:splat/ 301",
		Headers:   "/*\n  A: :splat",
	}, NotFoundNone, "/index.html", "/a b.html", "/docs/index.html", "/x.css", "/r/y.html")
	for _, path := range []string{"/", "//a%20b", "/old//evil.example", "/old/\\x", "/r/a%20b.html", "/host/x@y", "/host/x%2f", "//evil.example/index", "/docs", "/docs/index.html"} {
		f.Add("GET", path, "q=1", "text/html", "document")
	}
	f.Fuzz(func(t *testing.T, method, path, query, accept, dest string) {
		q := Request{Method: method, Host: "site.example", Path: path, Query: query, Accept: accept, SecFetchDest: dest}
		d := m.Decide(&q)
		if (d.Location != "") != (d.Outcome == Redirected || d.Outcome == Moved) {
			t.Fatalf("%q: outcome %d, Location %q", path, d.Outcome, d.Location)
		}
		if strings.HasPrefix(d.Location, "//") || strings.HasPrefix(d.Location, "/\\") || strings.HasPrefix(d.Location, "https:") && !strings.HasPrefix(path, "/host/") {
			t.Fatalf("%q leads to %q", path, d.Location)
		}
		if d.Outcome != Moved {
			return
		}
		to, _, _ := strings.Cut(d.Location, "?")
		next := m.Decide(&Request{Method: method, Host: q.Host, Path: to, Query: query})
		if _, ruled := next.Rule(); !ruled && next.Outcome != Served {
			t.Fatalf("%q leads to %q, which is outcome %d", path, to, next.Outcome)
		}
	})
}

func TestPlaceholdersOfTheRuleThatDecided(t *testing.T) {
	m := decideManifest(t, RuleSources{Redirects: "/s /t\n/a/:one-:two/* /x\n/app/* /app/index.html 200"}, "", "/app/index.html")
	for path, want := range map[string][]Placeholder{
		"/s":           nil,
		"/none":        nil,
		"/a/1-2/3/%20": {{"one", "1"}, {"two", "2"}, {"splat", "3/%20"}},
		"/app/deep/er": {{"splat", "deep/er"}},
	} {
		d := m.Decide(&Request{Method: http.MethodGet, Path: path})
		if got := d.Placeholders(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestATargetIsNotLongerThanAnAddressCanBe(t *testing.T) {
	m := decideManifest(t, RuleSources{Redirects: "/many/* /" + strings.Repeat(":splat", 100) + "\n/once/* /:splat\n"}, "")
	short, long := strings.Repeat("a", maxFilledTarget/100-1), strings.Repeat("a", maxFilledTarget/100+1)
	most := strings.Repeat("a", MaxTargetLength-len("/once/"))
	for path, want := range map[string]Outcome{"/many/" + short: Redirected, "/many/" + long: Malformed, "/once/" + most: Redirected} {
		d := m.Decide(&Request{Method: "GET", Path: path})
		if d.Outcome != want || len(d.Location) > maxFilledTarget+1 {
			t.Errorf("%d bytes of path: outcome %v, %d bytes of Location", len(path), d.Outcome, len(d.Location))
		}
	}
}
