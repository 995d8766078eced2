package site

import (
	"cmp"
	"sort"
	"strings"
)

// Resolution is where a path leads in one deployment.
type Resolution struct {
	File  File
	Found bool
	// Home is the path, decoded, at which the file answers. Where it differs
	// from the path that was asked for, the answer is a redirect to it. It is
	// not meaningful for the pages of [Manifest.NotFoundPage].
	Home string
}

// Resolve finds the file that a decoded path stands for, and where that file
// answers, by the manifest's HTML handling. It is a few binary searches.
//
// The rules, in which /x stands for any path:
//
//  1. Every file sits at its own path.
//  2. Homes. auto-trailing-slash: /x.html has /x, /x/index.html has /x/.
//     force-trailing-slash: both have /x/, index.html first.
//     drop-trailing-slash: both have /x (the root /), /x.html first. A home that
//     is taken by a file of that very name or by the twin is not given: that
//     file stays at its own path. A file with a home redirects there.
//  3. Of /x, /x/, /x.html, /x/index and /x/index.html, those still free redirect
//     to the home.
//
// A file named index.html is never an /x.html, and a shorter x comes first.
func (m *Manifest) Resolve(path string) Resolution {
	if i, ok := m.Search(path); ok {
		f := File{m, i}
		return Resolution{f, true, m.home(f)}
	}
	if m.Meta.HTMLHandling == HTMLNone {
		return Resolution{}
	}
	if f, ok := m.atHome(path); ok {
		return Resolution{f, true, path}
	}
	// The longer the suffix, the shorter the x.
	for _, suffix := range [...]string{indexFile, "/index", htmlSuffix, "/", ""} {
		x, ok := strings.CutSuffix(path, suffix)
		if !ok {
			continue
		}
		if f, ok := m.pageOf(x); ok {
			return Resolution{f, true, m.home(f)}
		}
	}
	return Resolution{}
}

const (
	htmlSuffix = ".html"
	indexFile  = "/index.html"
)

// home returns the path at which f answers: its own where it has no home.
func (m *Manifest) home(f File) string {
	path := f.Path()
	if !strings.HasSuffix(path, htmlSuffix) || m.Meta.HTMLHandling == HTMLNone {
		return path
	}
	var home string
	if x, ok := strings.CutSuffix(path, indexFile); ok {
		home = path[:len(x)+len("/")]
		if m.Meta.HTMLHandling == HTMLDrop && x != "" {
			home = x
		}
	} else {
		home = strings.TrimSuffix(path, htmlSuffix)
		if m.Meta.HTMLHandling == HTMLForce {
			if strings.HasSuffix(home, "/") {
				return path // its home would end in two slashes
			}
			home += "/"
		}
	}
	if _, taken := m.Search(home); taken {
		return path
	}
	if first, ok := m.atHome(home); !ok || first.i != f.i {
		return path
	}
	return home
}

// atHome finds the file whose home is path, provided that no file has that very
// name.
func (m *Manifest) atHome(path string) (File, bool) {
	x, slash := strings.CutSuffix(path, "/")
	switch mode := m.Meta.HTMLHandling; {
	case mode == HTMLForce && !slash:
		return File{}, false
	case mode == HTMLForce:
		if f, ok := m.lookupJoined(x, indexFile); ok {
			return f, true
		}
		return m.htmlOf(x)
	case mode == HTMLDrop && !slash:
		if f, ok := m.htmlOf(path); ok {
			return f, true
		}
		return m.lookupJoined(path, indexFile)
	case slash && (mode != HTMLDrop || path == "/"):
		if f, ok := m.lookupJoined(x, indexFile); ok {
			return f, true
		}
	}
	return m.htmlOf(path)
}

// pageOf finds the file of x that answers for every form of x, if it has a home.
func (m *Manifest) pageOf(x string) (File, bool) {
	first, second := m.indexOf, m.htmlOf
	if m.Meta.HTMLHandling == HTMLDrop {
		first, second = second, first
	}
	for _, find := range [...]func(string) (File, bool){first, second} {
		if f, ok := find(x); ok && m.home(f) != f.Path() {
			return f, true
		}
	}
	return File{}, false
}

// indexOf finds the file /x/index.html.
func (m *Manifest) indexOf(x string) (File, bool) { return m.lookupJoined(x, indexFile) }

// htmlOf finds the file /x.html, which an index.html never is.
func (m *Manifest) htmlOf(x string) (File, bool) {
	if strings.HasSuffix(x, "/index") {
		return File{}, false
	}
	return m.lookupJoined(x, htmlSuffix)
}

// lookupJoined finds the file whose path is a followed by b.
func (m *Manifest) lookupJoined(a, b string) (File, bool) {
	i := sort.Search(m.Len(), func(i int) bool { return compareJoined(m.path(i), a, b) >= 0 })
	return File{m, i}, i < m.Len() && compareJoined(m.path(i), a, b) == 0
}

// compareJoined compares s with a followed by b, without joining them.
func compareJoined(s, a, b string) int {
	if len(s) <= len(a) {
		if c := cmp.Compare(s, a[:len(s)]); c != 0 || len(s) < len(a) {
			return cmp.Or(c, -1)
		}
		return cmp.Compare("", b)
	}
	if c := cmp.Compare(s[:len(a)], a); c != 0 {
		return c
	}
	return cmp.Compare(s[len(a):], b)
}

// NotFoundMode returns what the deployment answers at a path that it doesn't
// have: never [NotFoundAuto].
func (m *Manifest) NotFoundMode() NotFound {
	switch m.Meta.NotFound {
	case NotFoundPage, NotFoundSPA, NotFoundNone:
		return m.Meta.NotFound
	}
	if _, ok := m.Lookup(notFoundFile); ok {
		return NotFoundPage
	}
	if _, ok := m.Lookup(indexFile); ok {
		return NotFoundSPA
	}
	return NotFoundNone
}

const notFoundFile = "/404.html"

// NotFoundPage finds the nearest 404.html going up from a decoded path.
func (m *Manifest) NotFoundPage(path string) (File, bool) {
	for i := strings.LastIndexByte(path, '/'); i >= 0; i = strings.LastIndexByte(path, '/') {
		path = path[:i]
		if f, ok := m.lookupJoined(path, notFoundFile); ok {
			return f, true
		}
	}
	return File{}, false
}

// Shell finds the page that a single-page application answers with everywhere.
func (m *Manifest) Shell() (File, bool) { return m.Lookup(indexFile) }
