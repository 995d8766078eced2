package site_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func manifestOf(t testing.TB, mode site.HTMLHandling, paths ...string) *site.Manifest {
	t.Helper()
	var entries []site.FileEntry
	for _, p := range paths {
		entries = append(entries, site.FileEntry{Path: p, ContentType: site.ContentType(p), Body: site.BlobEntry{SHA256: site.HashOf([]byte(p)), Size: int64(len(p))}})
	}
	m, err := site.NewManifest(site.Meta{HTMLHandling: mode}, entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestResolve(t *testing.T) {
	files := []string{"/index.html", "/about.html", "/blog/index.html", "/both.html", "/both/index.html", "/bin", "/bin.html", "/404.html"}
	for _, tt := range []struct {
		mode             site.HTMLHandling
		path, file, home string // no file: not found
	}{
		{site.HTMLAuto, "/", "/index.html", "/"},
		{site.HTMLAuto, "/index", "/index.html", "/"},
		{site.HTMLAuto, "/index.html", "/index.html", "/"},
		{site.HTMLAuto, "/about", "/about.html", "/about"},
		{site.HTMLAuto, "/about/", "/about.html", "/about"},
		{site.HTMLAuto, "/about.html", "/about.html", "/about"},
		{site.HTMLAuto, "/about/index", "/about.html", "/about"},
		{site.HTMLAuto, "/about/index.html", "/about.html", "/about"},
		{site.HTMLAuto, "/blog", "/blog/index.html", "/blog/"},
		{site.HTMLAuto, "/blog.html", "/blog/index.html", "/blog/"},
		{site.HTMLAuto, "/both", "/both.html", "/both"},
		{site.HTMLAuto, "/both/", "/both/index.html", "/both/"},
		{site.HTMLAuto, "/both/index", "/both/index.html", "/both/"},
		{site.HTMLAuto, "/bin", "/bin", "/bin"},
		{site.HTMLAuto, "/bin.html", "/bin.html", "/bin.html"},
		{site.HTMLAuto, "/bin/", "", ""},
		{site.HTMLAuto, "/none", "", ""},
		{site.HTMLForce, "/about", "/about.html", "/about/"},
		{site.HTMLForce, "/about/", "/about.html", "/about/"},
		{site.HTMLForce, "/both", "/both/index.html", "/both/"},
		{site.HTMLForce, "/both.html", "/both.html", "/both.html"},
		{site.HTMLForce, "/bin/", "/bin.html", "/bin/"},
		{site.HTMLDrop, "/blog/", "/blog/index.html", "/blog"},
		{site.HTMLDrop, "/both/", "/both.html", "/both"},
		{site.HTMLDrop, "/both/index.html", "/both/index.html", "/both/index.html"},
		{site.HTMLDrop, "/index", "/index.html", "/"},
		{site.HTMLNone, "/", "", ""},
		{site.HTMLNone, "/about", "", ""},
		{site.HTMLNone, "/about.html", "/about.html", "/about.html"},
		{"", "/about/", "/about.html", "/about"},
	} {
		t.Run(string(tt.mode)+tt.path, func(t *testing.T) {
			got := manifestOf(t, tt.mode, files...).Resolve(tt.path)
			if got.Found != (tt.file != "") {
				t.Fatalf("found: %v", got.Found)
			}
			if got.Found && (got.File.Path() != tt.file || got.Home != tt.home) {
				t.Fatalf("got %s at %s, want %s at %s", got.File.Path(), got.Home, tt.file, tt.home)
			}
		})
	}
}

// outcome is what a table built by the text of the rules says of one path.
type outcome struct{ file, home string }

// rulesTable applies the rules of HTML handling one after the other, as they
// are written, to all of a site's paths: slowly, and with a map.
func rulesTable(mode site.HTMLHandling, files []string) map[string]outcome {
	table := map[string]outcome{}
	for _, f := range files { // rule 1
		table[f] = outcome{f, f}
	}
	if mode == site.HTMLNone {
		return table
	}
	type page struct {
		x, file string
		index   bool
	}
	var pages []page
	for _, f := range files {
		if x, ok := strings.CutSuffix(f, "/index.html"); ok {
			pages = append(pages, page{x, f, true})
		} else if x, ok := strings.CutSuffix(f, ".html"); ok {
			pages = append(pages, page{x, f, false})
		}
	}
	slices.SortFunc(pages, func(a, b page) int {
		if len(a.x) != len(b.x) {
			return len(a.x) - len(b.x)
		}
		if a.index == b.index {
			return strings.Compare(a.x, b.x)
		}
		if a.index == (mode != site.HTMLDrop) {
			return -1
		}
		return 1
	})
	given := map[string]string{}
	for _, p := range pages { // rule 2
		home := p.x
		switch {
		case mode == site.HTMLAuto && p.index, mode == site.HTMLForce, p.x == "":
			home = p.x + "/"
		}
		if strings.Contains(home, "//") {
			continue // no request has such a path
		}
		if _, taken := table[home]; taken {
			continue
		}
		table[home] = outcome{p.file, home}
		table[p.file] = outcome{p.file, home}
		given[p.file] = home
	}
	for _, p := range pages { // rule 3
		target := outcome{}
		for _, f := range []string{p.x + "/index.html", p.x + ".html"} {
			if strings.HasSuffix(f, "/index.html") != (f == p.x+"/index.html") {
				continue // an index.html is never an x.html
			}
			if home, ok := given[f]; ok && target.file == "" {
				target = outcome{f, home}
			}
		}
		if target.file == "" {
			continue
		}
		for _, suffix := range []string{"", "/", ".html", "/index", "/index.html"} {
			if _, taken := table[p.x+suffix]; !taken {
				table[p.x+suffix] = target
			}
		}
	}
	return table
}

func checkAgainstRules(t *testing.T, mode site.HTMLHandling, files, requests []string) {
	t.Helper()
	m := manifestOf(t, mode, files...)
	table := rulesTable(mode, files)
	for _, request := range requests {
		want, found := table[request]
		got := m.Resolve(request)
		if got.Found != found || found && (got.File.Path() != want.file || got.Home != want.home) {
			t.Fatalf("%s, files %q, path %q: got found=%v %+v, want found=%v %+v", mode, files, request, got.Found, describe(got), found, want)
		}
		if !found {
			continue
		}
		if again := m.Resolve(got.Home); !again.Found || again.Home != got.Home || again.File != got.File {
			t.Fatalf("%s, files %q: %q redirects to %q, which does not serve that file", mode, files, request, got.Home)
		}
	}
}

func describe(r site.Resolution) string {
	if !r.Found {
		return "nothing"
	}
	return fmt.Sprintf("%s at %s", r.File.Path(), r.Home)
}

// smallPaths are paths whose forms collide in every way that the rules know.
func smallPaths() (files, requests []string) {
	segments := []string{"a", "index", "a.html", "index.html", ".html", "index.html.html"}
	seen := map[string]bool{}
	for _, s := range segments {
		seen["/"+s] = true
		for _, s2 := range segments {
			seen["/"+s+"/"+s2] = true
		}
	}
	for p := range seen {
		files = append(files, p)
	}
	slices.Sort(files)
	all := map[string]bool{"/": true, "/index/index": true, "/b": true}
	for _, f := range files {
		for _, suffix := range []string{"", "/", ".html", "/index", "/index.html"} {
			all[f+suffix] = true
			for _, cut := range []string{"/", ".html", "/index.html", "/index"} {
				if x, ok := strings.CutSuffix(f, cut); ok && x+suffix != "" && x+suffix != ".html" {
					all[x+suffix] = true
				}
			}
		}
	}
	for p := range all {
		if p[0] == '/' && !strings.Contains(p, "//") {
			requests = append(requests, p)
		}
	}
	slices.Sort(requests)
	return files, requests
}

var allModes = []site.HTMLHandling{site.HTMLAuto, site.HTMLForce, site.HTMLDrop, site.HTMLNone}

func TestResolveFollowsTheRulesForSmallSites(t *testing.T) {
	files, requests := smallPaths()
	for _, mode := range allModes {
		for i, a := range files {
			for j, b := range files[i:] {
				checkAgainstRules(t, mode, slices.Compact([]string{a, b}), requests)
				if (i+j)%5 != 0 {
					continue // all threes would take a minute under the race detector
				}
				for _, c := range files[i+j:] {
					set := []string{a, b, c}
					checkAgainstRules(t, mode, slices.Compact(set), requests)
				}
			}
		}
	}
}

func TestResolveFollowsTheRulesForRandomSites(t *testing.T) {
	files, requests := smallPaths()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 2000 {
		var set []string
		for _, f := range files {
			if random.IntN(4) == 0 {
				set = append(set, f)
			}
		}
		checkAgainstRules(t, allModes[n%len(allModes)], set, requests)
	}
}

func TestNotFoundPageIsTheNearest(t *testing.T) {
	m := manifestOf(t, site.HTMLAuto, "/404.html", "/docs/404.html", "/docs/v1/a.html")
	for path, want := range map[string]string{
		"/x": "/404.html", "/docs": "/404.html", "/docs/": "/docs/404.html", "/docs/v1/b/c": "/docs/404.html", "/": "/404.html",
	} {
		if f, ok := m.NotFoundPage(path); !ok || f.Path() != want {
			t.Errorf("%s: got %v, want %s", path, ok, want)
		}
	}
	if _, ok := manifestOf(t, site.HTMLAuto, "/docs/404.html").NotFoundPage("/blog/x"); ok {
		t.Error("found the page of another folder")
	}
}

func TestNotFoundMode(t *testing.T) {
	for _, tt := range []struct {
		set   site.NotFound
		files []string
		want  site.NotFound
	}{
		{"", []string{"/404.html", "/index.html"}, site.NotFoundPage},
		{site.NotFoundAuto, []string{"/index.html"}, site.NotFoundSPA},
		{site.NotFoundAuto, []string{"/docs/404.html"}, site.NotFoundNone},
		{site.NotFoundNone, []string{"/404.html"}, site.NotFoundNone},
		{site.NotFoundSPA, []string{"/404.html"}, site.NotFoundSPA},
	} {
		m := manifestOf(t, site.HTMLAuto, tt.files...)
		m.Meta.NotFound = tt.set
		if got := m.NotFoundMode(); got != tt.want {
			t.Errorf("%q with %q: got %s, want %s", tt.set, tt.files, got, tt.want)
		}
	}
}

func TestResolveDoesNotAllocate(t *testing.T) {
	m := manifestOf(t, site.HTMLAuto, "/index.html", "/about.html", "/blog/index.html", "/app.js")
	for _, path := range []string{"/", "/about", "/blog", "/blog/index.html", "/app.js", "/none/at/all"} {
		if n := testing.AllocsPerRun(100, func() { m.Resolve(path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("/a.html\n/a/index.html", "/a", uint8(0))
	f.Add("/index.html\n/.html", "/", uint8(2))
	f.Fuzz(func(t *testing.T, lines, request string, mode uint8) {
		var files []string
		for line := range strings.SplitSeq(lines, "\n") {
			if site.CheckPath(line) == nil && !slices.Contains(files, line) {
				files = append(files, line)
			}
		}
		path, err := site.DecodePath(request)
		if err != nil || len(files) > 50 {
			return
		}
		checkAgainstRules(t, allModes[int(mode)%len(allModes)], files, []string{path})
	})
}

func BenchmarkResolve(b *testing.B) {
	var files []string
	for i := range 100_000 {
		files = append(files, fmt.Sprintf("/docs/section-%d/page-%d.html", i%300, i))
	}
	m := manifestOf(b, site.HTMLAuto, files...)
	for _, tt := range []struct{ name, path string }{
		{"page", "/docs/section-100/page-70000"}, {"redirect", "/docs/section-100/page-70000.html"}, {"missing", "/docs/section-100/nothing/at/all"},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Resolve(tt.path)
			}
		})
	}
}
