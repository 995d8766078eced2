package controlplane_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// deployRules takes files with rules to READY.
func (p *plane) deployRules(project string, rules site.RuleSources, entries ...site.FileEntry) *controlplane.Deployment {
	p.t.Helper()
	ctx := p.t.Context()
	d, _, err := p.CreateDeployment(ctx, p.me, controlplane.UploadInput{ProjectID: project, Kind: controlplane.KindFiles, Environment: site.Production, Message: "a message\nwith more"})
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range entries {
		if entries[i].ContentType == "" {
			entries[i].ContentType = "text/html; charset=utf-8"
		}
		entries[i].Body = site.BlobEntry{SHA256: site.HashOf([]byte(entries[i].Path)), Size: int64(len(entries[i].Path))}
	}
	m, err := site.NewManifest(site.Meta{Rules: rules}, entries)
	if err != nil {
		p.t.Fatal(err)
	}
	encoded, err := m.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.PutManifest(ctx, actor(p.me), d.ID, encoded); err != nil {
		p.t.Fatal(err)
	}
	next, err := p.Uploads(ctx, actor(p.me), d.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, u := range next.Uploads {
		for _, e := range entries {
			if e.Body.SHA256 == u.SHA256 {
				p.put(u.URL, e.Path)
			}
		}
	}
	ready, err := p.Publish(ctx, actor(p.me), d.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return ready
}

func paths(paths ...string) (entries []site.FileEntry) {
	for _, path := range paths {
		entries = append(entries, site.FileEntry{Path: path, Immutable: strings.HasPrefix(path, "/assets/")})
	}
	return entries
}

func (p *plane) explain(address string, more ...func(*controlplane.ExplainInput)) *controlplane.Explanation {
	p.t.Helper()
	in := controlplane.ExplainInput{URL: address}
	for _, f := range more {
		f(&in)
	}
	e, err := p.Explain(p.t.Context(), p.me, in)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

// text is all that a step says.
func text(e *controlplane.Explanation, step string) string {
	all := ""
	for _, s := range e.Steps {
		if s.Step == step {
			all += s.Text + "\n"
			for _, l := range s.Lines {
				all += l.File + " " + l.Text + "\n"
			}
			all += s.Warning
		}
	}
	return all
}

// decider is the step that the answer comes from.
func decider(e *controlplane.Explanation) string {
	for _, s := range e.Steps {
		if s.Decides {
			return s.Step
		}
	}
	return ""
}

func headerOf(e *controlplane.Explanation, name string) string {
	for _, h := range e.Headers {
		if h.Name == name {
			return strings.Join(h.Values, "|")
		}
	}
	return ""
}

func TestExplainWhatADeploymentAnswers(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	old := p.deployRules(project.ID, site.RuleSources{}, paths("/index.html", "/assets/old.js")...)
	rules := site.RuleSources{
		Redirects: "# moved\n/old  /new?x=1 301 # for good\n/blog/:year/* /posts/:year-:splat\n/alias /a.html 200\n/app/* /app/index.html 200\n",
		Headers:   "/*\n  X-All: yes\n/a\n  Cache-Control: public, max-age=60\n  ! X-Content-Type-Options\n",
	}
	d := p.deployRules(project.ID, rules, paths("/index.html", "/a.html", "/b/index.html", "/404.html", "/app/index.html", "/assets/new.js")...)
	if _, err := p.Promote(t.Context(), p.me, d.ID, controlplane.PromoteInput{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the route is published", func() bool { return p.route("repo.example.test").Deployment == d.ID })

	method := func(m string) func(*controlplane.ExplainInput) {
		return func(in *controlplane.ExplainInput) { in.Method = m }
	}
	for _, tt := range []struct {
		name, path string
		more       func(*controlplane.ExplainInput)
		status     int
		location   string
		decider    string
		file       string
		says       map[string]string // by step
		headers    map[string]string
	}{
		{"a file", "/a", nil, 200, "", "file", "/a.html", map[string]string{
			"host": "the production host of repo", "route": "Leads to the deployment " + d.HostID, "project": "repo is active",
			"deployment": `"a message": 6 files`, "rule": "None of the 4 rules of _redirects matches /a", "file": "/a.html, which answers at /a (htmlHandling is auto-trailing-slash)",
		}, map[string]string{"Cache-Control": "public, max-age=60", "X-All": "yes", "X-Content-Type-Options": "", "ETag": `"` + site.HashOf([]byte("/a.html")).String() + `"`}},
		{"an immutable one", "/assets/new.js", nil, 200, "", "file", "/assets/new.js", nil, map[string]string{"Cache-Control": site.CacheImmutable}},
		{"a static redirect", "/old?q#f", nil, 301, "/new?x=1", "rule", "", map[string]string{"rule": "/old is this rule's path; it is redirected\n_redirects /old  /new?x=1 301 # for good"}, map[string]string{"Location": "/new?x=1", "X-All": "yes"}},
		{"a dynamic one", "/blog/2026/a/b?q", nil, 302, "/posts/2026-a/b?q", "rule", "", map[string]string{"rule": `/blog/2026/a/b matches /blog/:year/*: :year is "2026", :splat is "a/b"`}, nil},
		{"a rewrite", "/alias", nil, 200, "", "file", "/a.html", map[string]string{"rule": "it is rewritten to /a.html"}, nil},
		{"a shell's rule", "/app/x", nil, 200, "", "file", "/app/index.html", map[string]string{"rule": "for pages that nothing else is found for", "file": "The rule names the page"}, nil},
		{"the canonical address", "/b?q", nil, 307, "/b/?q", "file", "", map[string]string{"file": "/b/index.html answers at /b/ (htmlHandling is auto"}, nil},
		{"not found", "/nope", nil, 404, "", "file", "/404.html", map[string]string{"file": "notFound is 404-page (auto, by the files that there are): /404.html is the nearest page"}, map[string]string{"Cache-Control": "no-store", "X-All": "yes"}},
		{"an earlier deployment's file", "/assets/old.js", nil, 200, "", "file", "/assets/old.js", map[string]string{"file": "of the earlier deployment " + old.HostID}, map[string]string{"Cache-Control": site.CacheImmutable}},
		{"another method", "/a", method("POST"), 405, "", "file", "", map[string]string{"file": "can only be read"}, map[string]string{"Allow": "GET, HEAD, OPTIONS", "X-All": ""}},
		{"what may be done", "/a", method("OPTIONS"), 204, "", "file", "", nil, map[string]string{"Allow": "GET, HEAD, OPTIONS", "X-All": "yes"}},
		{"a path that nobody means", "/%00", nil, 400, "", "file", "", nil, nil},
		{"no encoding is acceptable", "/a", func(in *controlplane.ExplainInput) { in.AcceptEncoding = "identity;q=0" }, 406, "", "file", "", nil, map[string]string{"Vary": "Accept-Encoding"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var more []func(*controlplane.ExplainInput)
			if tt.more != nil {
				more = append(more, tt.more)
			}
			e := p.explain("repo.example.test"+tt.path, more...)
			file := ""
			if e.File != nil {
				file = e.File.Path
			}
			if e.Status != tt.status || e.Location != tt.location || decider(e) != tt.decider || file != tt.file {
				t.Fatalf("%d %q by %q, file %q: %+v", e.Status, e.Location, decider(e), file, e)
			}
			for step, want := range tt.says {
				if got := text(e, step); !strings.Contains(got, want) {
					t.Errorf("%s: %q has no %q", step, got, want)
				}
			}
			for name, want := range tt.headers {
				if got := headerOf(e, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if !strings.Contains(e.Cache.Text, "EDGE_URL") {
				t.Errorf("the cache: %+v", e.Cache)
			}
		})
	}
	// The lines that a header comes from, as they were written.
	for _, h := range p.explain("http://repo.example.test/a").Headers {
		if h.Values == nil || h.Lines == nil {
			t.Errorf("%s is null in JSON", h.Name)
		}
		if h.Name == "Cache-Control" && (len(h.Lines) != 1 || h.Lines[0] != controlplane.RuleLine{File: "_headers", Line: 4, Text: "Cache-Control: public, max-age=60"}) {
			t.Errorf("%+v", h)
		}
	}
	// After a day the earlier deployment counts no more.
	p.clock.Advance(25 * time.Hour)
	if e := p.explain("repo.example.test/assets/old.js"); e.Status != 404 {
		t.Errorf("%+v", e)
	}
}

func TestExplainNotFoundModes(t *testing.T) {
	p := newPlane(t).start()
	accept := func(a string) func(*controlplane.ExplainInput) {
		return func(in *controlplane.ExplainInput) { in.Accept = a }
	}
	for name, tt := range map[string]struct {
		rules  site.RuleSources
		files  []string
		path   string
		accept string
		status int
		says   string
	}{
		"a shell by its files": {site.RuleSources{}, []string{"/index.html"}, "/x", "", 200, "single-page-application (auto, by the files that there are): a page is answered by /index.html"},
		"a shell by a rule":    {site.RuleSources{Redirects: "\n/* /index.html 200"}, []string{"/index.html", "/404.html"}, "/x", "", 200, "(_redirects says so): a page is answered by /index.html\n_redirects /* /index.html 200"},
		"a missing script":     {site.RuleSources{}, []string{"/index.html"}, "/x.js", "", 404, "asked for as something else"},
		"no page is accepted":  {site.RuleSources{}, []string{"/index.html"}, "/x", "image/png", 404, "the request accepts none"},
		"none by mini-vercel":  {site.RuleSources{Config: `{"notFound":"none"}`}, []string{"/index.html"}, "/x", "", 404, "none (mini-vercel.json says so)"},
		"no shell":             {site.RuleSources{Config: `{"notFound":"single-page-application"}`}, []string{"/a.html"}, "/x", "", 404, "but there is no /index.html"},
		"no page":              {site.RuleSources{Config: `{"notFound":"404-page"}`}, []string{"/index.html"}, "/x", "", 404, "but there is no 404.html on the way up"},
	} {
		t.Run(name, func(t *testing.T) {
			project := p.project("project")
			d := p.deployRules(project.ID, tt.rules, paths(tt.files...)...)
			e := p.explain(d.DeploymentURL+tt.path, accept(tt.accept))
			if e.Status != tt.status || !strings.Contains(text(e, "file"), tt.says) {
				t.Errorf("%d: %s", e.Status, text(e, "file"))
			}
			if got := headerOf(e, "X-Robots-Tag"); got != "noindex" {
				t.Errorf("a preview: %q", got)
			}
		})
	}
}

func TestExplainHostsThatAreNotServed(t *testing.T) {
	p := newPlane(t) // nothing is published
	project := p.project("repo")
	host := "repo.example.test"
	e := p.explain(host)
	if e.Status != 404 || decider(e) != "route" || !strings.Contains(text(e, "route"), "not published yet") {
		t.Errorf("before it is published: %+v", e)
	}
	p.start()
	eventually(t, "the route is published", func() bool { return p.route(host).Generation > 0 && p.record(project.ID).Generation > 0 })
	if e = p.explain(host); e.Status != 404 || decider(e) != "deployment" || !strings.Contains(e.Answer, "Nothing deployed yet") {
		t.Errorf("nothing deployed: %+v", e)
	}
	d := p.deployRules(project.ID, site.RuleSources{Headers: "/*\n  Edge-Control: cache-maxage=1d"}, paths("/index.html")...)

	// Another host answers instead.
	route := p.route(host)
	other := route
	other.RedirectTo = "www.example.org"
	p.overwrite(site.RouteKey(host), other)
	if e = p.explain("https://Repo.example.test:8443/a%20b?c=d"); e.Status != 308 || e.Location != "https://www.example.org:8443/a%20b?c=d" || decider(e) != "route" {
		t.Errorf("another host: %+v", e)
	}
	// The database is ahead, or behind.
	behind := route
	behind.Generation, behind.Deployment = 1, ""
	p.overwrite(site.RouteKey(host), behind)
	if e = p.explain(host); !strings.Contains(text(e, "route"), "Not published yet: the database leads the host to the deployment "+d.HostID) {
		t.Errorf("the database is ahead: %s", text(e, "route"))
	}
	ahead := route
	ahead.Generation = 1 << 40
	p.overwrite(site.RouteKey(host), ahead)
	if e = p.explain(host); !strings.Contains(text(e, "route"), "The bucket is ahead") || e.Status != 200 {
		t.Errorf("the bucket is ahead: %s", text(e, "route"))
	}
	// Another's route still stands there: nothing of it is told.
	foreign := route
	foreign.Project, foreign.RedirectTo = "another", "secret.example.org"
	p.overwrite(site.RouteKey(host), foreign)
	if e = p.explain(host); e.Status != 404 || e.Location != "" || strings.Contains(text(e, "route"), "secret") {
		t.Errorf("another's route: %+v", e)
	}
	p.overwrite(site.RouteKey(host), route)

	// States of the project.
	record := p.record(project.ID)
	for state, want := range map[site.ProjectState]int{site.ProjectSuspended: 403, site.ProjectDeleted: 410} {
		changed := record
		changed.State = state
		p.overwrite(site.ProjectKey(project.ID), changed)
		if e = p.explain(host); e.Status != want || decider(e) != "project" {
			t.Errorf("%s: %+v", state, e)
		}
	}
	changed := record
	changed.Access = &site.Access{Scope: site.AccessAll, CookieKey: make([]byte, 32), PasswordHash: "x"}
	p.overwrite(site.ProjectKey(project.ID), changed)
	if e = p.explain(host); e.Status != 401 || !strings.Contains(text(e, "access"), "asks for a password (all hosts)") || !strings.Contains(e.Answer, "with the password 200, /index.html") || headerOf(e, "Cache-Control") != "private, no-cache" || headerOf(e, "X-Robots-Tag") != "noindex" || headerOf(e, "Edge-Control") != "" {
		t.Errorf("protected: %+v", e)
	}
	changed.Generation = 1
	changed.Access.Scope = site.AccessPreviews
	p.overwrite(site.ProjectKey(project.ID), changed)
	if e = p.explain(host); e.Status != 200 || text(e, "access") != "" {
		t.Errorf("previews are protected: %+v", e)
	}
	if e = p.explain(d.DeploymentURL); e.Status != 401 {
		t.Errorf("a protected preview: %+v", e)
	}
	p.overwrite(site.ProjectKey(project.ID), record)

	// A host that was given up.
	gone := route
	gone.Gone = true
	p.overwrite(site.RouteKey(host), gone)
	if e = p.explain(host); e.Status != 410 || decider(e) != "route" {
		t.Errorf("a tombstone: %+v", e)
	}
	p.overwrite(site.RouteKey(host), "not a route")
	_, err := p.Explain(t.Context(), p.me, controlplane.ExplainInput{URL: host})
	wantCode(t, err, controlplane.CodeUnavailable)
}

func TestExplainIsForTheOwnerAlone(t *testing.T) {
	p := newPlane(t).start()
	p.project("repo")
	stranger := controlplane.Principal{UserID: "stranger", Scope: controlplane.ScopeAdmin, Admin: true}
	_, theirs := p.Explain(t.Context(), stranger, controlplane.ExplainInput{URL: "repo.example.test"})
	wantCode(t, theirs, controlplane.CodeNotFound)
	_, none := p.Explain(t.Context(), stranger, controlplane.ExplainInput{URL: "none.example.test"})
	wantCode(t, none, controlplane.CodeNotFound)
	if strings.ReplaceAll(theirs.Error(), "repo", "none") != none.Error() {
		t.Errorf("%v, but %v", theirs, none)
	}
	for _, address := range []string{"", "ftp://repo.example.test", "http://", "http://a b/", "http://me@repo.example.test", "http://[::1]/", "http://ü.example.test", "repo.example.test/" + strings.Repeat("a", controlplane.MaxExplainURL), "repo.example.test/%zz"} {
		_, err := p.Explain(t.Context(), p.me, controlplane.ExplainInput{URL: address})
		wantCode(t, err, controlplane.CodeInvalid)
	}
}

func TestExplainAsksTheEdgeThatTheSettingsName(t *testing.T) {
	var asked []*http.Request
	status, said := 200, `edge;desc=memory`
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		w.Header().Set("Server-Timing", said)
		w.WriteHeader(status)
	}))
	t.Cleanup(edge.Close)
	p := newPlane(t, func(p *plane) { p.config.EdgeURL, _ = url.Parse(edge.URL) }).start()
	project := p.project("repo")
	d := p.deployRules(project.ID, site.RuleSources{}, paths("/index.html", "/a b.html")...)
	// Port 1 of the host is not asked, whatever it resolves to.
	address := strings.TrimPrefix(d.DeploymentURL, "http://")
	plain := p.explain("http://" + address)
	if got := text(plain, "host"); !strings.Contains(got, "the host of one deployment of repo") || strings.Contains(got, "https://") {
		t.Errorf("%q", got)
	}
	for said = range map[string]string{"edge;desc=memory": "memory", `cdn;dur=1, edge;desc="disk"`: "disk", "edge;desc=origin": "origin", "edge;desc=stale": "stale"} {
		e := p.explain("https://" + address + ":1/a%20b?q")
		if e.Cache.State == "" || !strings.Contains(said, e.Cache.State) {
			t.Errorf("%s: %+v", said, e.Cache)
		}
	}
	if r := asked[1]; r.Method != "HEAD" || r.Host != address+":1" || r.RequestURI != "/a%20b?q" || r.Header.Get("Accept-Encoding") == "" {
		t.Errorf("asked: %+v", r)
	}
	said = "edge;desc=<b>"
	if e := p.explain(address); e.Cache.State != "" {
		t.Errorf("%+v", e.Cache)
	}
	status, said = 404, "edge;desc=negative"
	if e := p.explain(address); e.Cache.State != "" || !strings.Contains(e.Cache.Text, "404 at the moment") {
		t.Errorf("%+v", e.Cache)
	}
	word, n := accessWord, len(asked)
	if err := p.setAccess(project.ID, site.AccessAll, &word); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record is published", func() bool { return p.record(project.ID).Access != nil })
	if e := p.explain(address); e.Status != 401 || len(asked) != n || !strings.Contains(e.Cache.Text, "password") {
		t.Errorf("protected: %+v", e.Cache)
	}
	if err := p.RemoveAccess(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record is published", func() bool { return p.record(project.ID).Access == nil })
	edge.Close()
	if e := p.explain(address); e.Status != 200 || e.Cache.State != "" || !strings.Contains(e.Cache.Text, "does not answer") {
		t.Errorf("no edge: %+v", e)
	}
}

func TestExplainWhereSitesAreHTTPS(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.SiteScheme, p.config.SitePort = "https", 443 }).start()
	project := p.project("repo")
	d := p.deployRules(project.ID, site.RuleSources{}, paths("/index.html")...)
	host := strings.TrimPrefix(d.DeploymentURL, "https://")
	for address, warned := range map[string]bool{"http://" + host: true, host: false, d.DeploymentURL: false} {
		if e := p.explain(address); strings.Contains(text(e, "host"), "https://") != warned || e.Status != 200 {
			t.Errorf("%s: %s", address, text(e, "host"))
		}
	}
}
