package site

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// slowPattern is what a pattern means, as a regular expression: * is (.*), and
// :name is ([^/]+).
func slowPattern(p *pattern, sep byte) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := range p.parts {
		b.WriteString(regexp.QuoteMeta(p.literal(i)))
		switch {
		case p.parts[i].placeholder == endPart:
		case p.text[p.parts[i].end] == '*':
			b.WriteString("(.*)")
		default:
			b.WriteString("([^" + regexp.QuoteMeta(string(sep)) + "]+)")
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// sameAsSlow compares the matcher with the regular expression, captures too, and
// reports how many steps it took.
func sameAsSlow(t *testing.T, text, s string, sep byte) (steps int) {
	t.Helper()
	p, names, err := newPattern(text, nil)
	if err != nil {
		return 0
	}
	var m matcher
	got := m.match(&p, s, sep)
	want := slowPattern(&p, sep).FindStringSubmatch(s)
	if got != (want != nil) {
		t.Fatalf("%q matches %q: %t, want %t", text, s, got, want != nil)
	}
	if got && !slices.Equal(m.captures[:m.count], want[1:]) {
		t.Fatalf("%q on %q: %v are %q, want %q", text, s, names, m.captures[:m.count], want[1:])
	}
	return m.steps
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          []string // nil: no match
	}{
		{"/a", "/a", []string{}},
		{"/a", "/A", nil},
		{"/a", "/a/", nil},
		{"/*", "/", []string{""}},
		{"/*", "/a/b", []string{"a/b"}},
		{"/blog/*", "/blog/", []string{""}},
		{"/blog/*", "/blog", nil},
		{"/blog*", "/blog", []string{""}},
		{"/:a", "/", nil},
		{"/:a", "/x", []string{"x"}},
		{"/:a", "/x/", nil},
		{"/:a/", "/x/", []string{"x"}},
		{"/:year/:month/:day", "/2026/11/26", []string{"2026", "11", "26"}},
		{"/:year-:month.html", "/2026-11-26.html", []string{"2026-11", "26"}},
		{"/:a:b", "/xyz", []string{"xy", "z"}},
		{"/:a:b", "/x", nil},
		{"/*.html", "/a.html/b.html", []string{"a.html/b"}},
		{"/:lang/*/:page", "/de/x/y/z", []string{"de", "x/y", "z"}},
		{"/:lang/*/:page", "/de/x", nil},
		{"/*:x", "/abc", []string{"ab", "c"}},
		{"/:x-*", "/a-b-c/d-e", []string{"a-b", "c/d-e"}},
		{"/:x-*", "/ab/d-e", nil},
		{"/:x*z", "/abcz", []string{"abc", ""}},
		{"/:x*", "/ab/c", []string{"ab", "/c"}},
		{"/v:n/*", "/v/x", nil},
		{"/:wiki:Talk", "/", nil},
		{"/caf%C3%A9/*", "/caf%C3%A9/x", []string{"x"}},
		{"/:a/b/:c/d/*", "/b/b/b/d/", []string{"b", "b", ""}},
		{"/*//:x", "/a//b//c", []string{"a//b", "c"}},
	} {
		p, _, err := newPattern(tt.pattern, nil)
		if err != nil {
			t.Fatal(err)
		}
		var m matcher
		ok := m.match(&p, tt.path, '/')
		if ok != (tt.want != nil) || ok && !slices.Equal(m.captures[:m.count], tt.want) {
			t.Errorf("%s on %s: %t %q, want %q", tt.pattern, tt.path, ok, m.captures[:m.count], tt.want)
		}
		sameAsSlow(t, tt.pattern, tt.path, '/')
	}
}

func TestPatternsOfAsManyPlaceholdersAsThereMayBe(t *testing.T) {
	for _, n := range []int{MaxPlaceholders - 1, MaxPlaceholders} {
		sameAsSlow(t, names("/:n%", n), strings.Repeat("/x", n), '/')
		if _, _, err := newPattern(names("/:n%", n), nil); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestPatternsThatCanNotBe(t *testing.T) {
	for text, want := range map[string]string{
		"/*/*":            "more than one *",
		"/:a/:a":          "names :a twice",
		"/:splat/*":       "more than one *",
		"/:splat/:splat":  "names :splat twice",
		names("/:n%", 33): "has more than 32 placeholders",
	} {
		if _, _, err := newPattern(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestPatternsAreTheirRegularExpressions tries many small patterns on many small
// paths.
func TestPatternsAreTheirRegularExpressions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "/", "-", "ab", "/a", "a/", ":x", ":y", ":z", "*", "//", "-/"}
	letters := "aab//-"
	for range 60_000 {
		var text, path strings.Builder
		text.WriteString("/")
		for range random.IntN(7) {
			text.WriteString(pieces[random.IntN(len(pieces))])
			if random.IntN(2) == 0 {
				text.WriteString("-") // so that a name ends
			}
		}
		path.WriteString("/")
		for range random.IntN(12) {
			path.WriteByte(letters[random.IntN(len(letters))])
		}
		sameAsSlow(t, text.String(), path.String(), '/')
		sameAsSlow(t, strings.ReplaceAll(text.String()[1:], "/", "."), strings.ReplaceAll(path.String()[1:], "/", "."), '.')
	}
}

// TestMatchingIsLinear takes patterns and paths that make backtracking engines
// stand still.
func TestMatchingIsLinear(t *testing.T) {
	for _, tt := range []struct{ pattern, path string }{
		{"/" + names(":n%-", 32), "/" + strings.Repeat("-", 8000)},
		{"/" + names(":n%-", 32) + "x", "/" + strings.Repeat("a-", 4000)},
		{"/" + names(":n%a", 31) + "*b", "/" + strings.Repeat("a", 8000)},
		{"/*" + names("a:n%", 31) + "c", "/" + strings.Repeat("ab", 4000) + "c"},
		{"/" + names(":n%/", 20) + "*" + names(":m%/", 11), "/" + strings.Repeat("a/", 4000)},
		{"/*" + strings.Repeat("a", 900), "/" + strings.Repeat("a", 8000)},
		{"/:x" + strings.Repeat("a", 900) + "b", "/" + strings.Repeat("a", 8000)},
	} {
		p, _, err := newPattern(tt.pattern, nil)
		if err != nil {
			t.Fatal(err)
		}
		var m matcher
		m.match(&p, tt.path, '/')
		if most := 3 * (len(tt.pattern) + len(tt.path)); m.steps > most {
			t.Errorf("%.20s… on %.20s…: %d steps, more than %d", tt.pattern, tt.path, m.steps, most)
		}
	}
}

// names repeats a form with % as a number.
func names(form string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(form, "%", string([]byte{'a' + byte(i/26%26), 'a' + byte(i%26)})))
	}
	return b.String()
}

// FuzzPattern compares the matcher with the regular expression that a pattern
// means, and counts its steps.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"/*", "/a/b"}, {"/:a-:b/*", "/x-y-z/w"}, {"/a*b:c", "/aXbYbZ"}, {"/:x:y*z", "/abcz/z"}, {"/:a//:b", "/a//b"}, {"/*/:a/b", "//a/b/b/b"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		// The regular expression takes characters, and the matcher bytes: rules
		// and what browsers send are ASCII.
		if len(text) > MaxRedirectLine || len(path) > MaxTargetLength || !visible(text+path) {
			return
		}
		for _, sep := range []byte{'/', '.'} {
			if steps, most := sameAsSlow(t, text, path, sep), 3*(len(text)+len(path)); steps > most {
				t.Fatalf("%q on %q: %d steps, more than %d", text, path, steps, most)
			}
		}
	})
}
