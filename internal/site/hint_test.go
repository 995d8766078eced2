package site

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCheckHint(t *testing.T) {
	long := func(n int) string {
		return "</" + strings.Repeat("a", n-len("</>; rel=preload")) + ">; rel=preload"
	}
	for link, good := range map[string]bool{
		"</a.js>; rel=modulepreload":                                         true,
		`</f.woff2>; rel=preload; as="font"; type="font/woff2"; crossorigin`: true,
		`<a.css?v=1,2>; rel=preload; as="style"; media="(min-width: 40em)"`:  true,
		`<../a:b.js>; rel=preload; as="script"; crossorigin=use-credentials`: true,
		`<./x.js>; rel=modulepreload; integrity="sha384-aB+/="`:              true,
		long(MaxHintLength):                 true,
		long(MaxHintLength + 1):             false,
		"":                                  false,
		"</a.js>":                           false,
		"<>; rel=preload":                   false,
		"</a.js>; rel=stylesheet":           false,
		"</a.js>; rel=preloads":             false,
		"<//cdn.example/a.js>; rel=preload": false,
		"<https://cdn.example/a.js>; rel=preload":       false,
		"<data:x>; rel=preload":                         false,
		"</\\evil.example>; rel=preload":                false,
		"</a b>; rel=preload":                           false,
		"</ü>; rel=preload":                             false,
		"</a\r\nX: y>; rel=preload":                     false,
		"</a>; rel=preload\r\nX: y":                     false,
		"</a>; rel=preload, <https://x>; rel=canonical": false,
		`</a>; rel=preload; as="x", <//y>; rel=preload`: false,
		`</a>; rel=preload; as="a\"b"`:                  false,
		`</a>; rel=preload; as=script`:                  false,
		`</a>; rel=preload; as=""`:                      false,
		`</a>; rel=preload; onload="x"`:                 false,
		`</a>; rel=preload; rel="next"`:                 false,
		`</a>; rel=preload; crossorigin=anything`:       false,
		`</a>; rel=preload;as="x"`:                      false,
	} {
		if err := CheckHint(link); (err == nil) != good {
			t.Errorf("%.80q: %v", link, err)
		}
	}
}

const (
	hintA = "</a.js>; rel=modulepreload"
	hintB = `</b.css>; rel=preload; as="style"`
)

func hintedManifest(t testing.TB) *Manifest {
	return mustManifest(t, Meta{}, []FileEntry{
		{Path: "/c.html", Hints: []string{hintB}}, {Path: "/a.html", Hints: []string{hintA, hintB}}, {Path: "/b.html"},
	})
}

func hintsIn(t testing.TB, m *Manifest) string {
	t.Helper()
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = DecodeManifest(encoded); err != nil {
		t.Fatal(err)
	}
	all := string(encoded[:len(ManifestMagic)])
	for f := range m.Files() {
		all += fmt.Sprintf("|%s %s", f.Path(), strings.Join(f.Hints(), ","))
	}
	return all
}

func TestHintsTravelInTheManifestWhereTheyAreWanted(t *testing.T) {
	want := "|/a.html " + hintA + "," + hintB + "|/b.html |/c.html " + hintB
	on := true
	for name, tt := range map[string]struct {
		rules    RuleSources
		settings Serving
		want     string
	}{
		"by the project":                 {RuleSources{}, Serving{EarlyHints: true}, hintsMagic + want},
		"with rules":                     {RuleSources{Redirects: "/x /y"}, Serving{EarlyHints: on}, hintsMagic + want},
		"by mini-vercel.json":            {RuleSources{Config: `{"earlyHints":true}`}, Serving{}, hintsMagic + want},
		"not":                            {RuleSources{}, Serving{}, ManifestMagic + "|/a.html |/b.html |/c.html "},
		"not with rules":                 {RuleSources{Redirects: "/x /y"}, Serving{}, rulesMagic + "|/a.html |/b.html |/c.html "},
		"mini-vercel.json wins over all": {RuleSources{Config: `{"earlyHints":false}`}, Serving{EarlyHints: true}, ManifestMagic + "|/a.html |/b.html |/c.html "},
	} {
		m := hintedManifest(t)
		m.Meta.Rules = tt.rules
		if _, err := m.Compile(tt.settings); err != nil {
			t.Fatal(name, err)
		}
		if got := hintsIn(t, m); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if m.Redirects().All() == nil && tt.rules.Redirects != "" {
			t.Errorf("%s: the rules are gone", name)
		}
	}
	f, _ := hintedManifest(t).Lookup("/a.html")
	if e := f.Entry(); !slices.Equal(e.Hints, []string{hintA, hintB}) {
		t.Errorf("%+v", e)
	}
}

func TestHintsAtTheirLimits(t *testing.T) {
	many := make([]string, MaxHints+1)
	for i := range many {
		many[i] = fmt.Sprintf("</%d.js>; rel=modulepreload", i)
	}
	if _, err := NewManifest(Meta{}, []FileEntry{{Path: "/a", Hints: many[:MaxHints]}}); err != nil {
		t.Error(err)
	}
	if _, err := NewManifest(Meta{}, []FileEntry{{Path: "/a", Hints: many}}); err == nil || !strings.Contains(err.Error(), "/a") {
		t.Errorf("one too many: %v", err)
	}
	if _, err := NewManifest(Meta{}, []FileEntry{{Path: "/a", Hints: []string{"x"}}}); err == nil || !strings.Contains(err.Error(), "/a") {
		t.Errorf("no link: %v", err)
	}
}

func hintsFrame(t *testing.T, columns []byte) []byte {
	t.Helper()
	frame, err := compress(hintsMagic, columns)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestDecodeManifestRefusesDamagedHints(t *testing.T) {
	m := hintedManifest(t)
	columns := columnsOf(t, m)
	if _, err := DecodeManifest(hintsFrame(t, columns)); err != nil {
		t.Fatal(err)
	}
	for n := range columns {
		if _, err := DecodeManifest(hintsFrame(t, columns[:n])); err == nil {
			t.Errorf("cut to %d bytes, it is decoded", n)
		}
	}
	start := len(columns) - len(m.appendHints(nil))
	word := func(at int, v uint32) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[at:], v) }
	}
	text := func(old, new string) func([]byte) {
		return func(b []byte) { copy(b[strings.Index(string(b), old):], new) }
	}
	// 2 links, 2 files, 3 links together.
	files := 4*hintWords + 2*2
	counts := files + 4*2
	links := counts + 2
	for name, damage := range map[string]func([]byte){
		"no links":            word(0, 0),
		"very many links":     word(0, 1<<31),
		"no files":            word(4, 0),
		"more files":          word(4, 4),
		"fewer in all":        word(8, 2),
		"more text":           word(12, 1<<20),
		"a longer link":       func(b []byte) { b[4*hintWords]++ },
		"a file that is none": word(files+4, 3),
		"files out of order":  word(files, 2),
		"a file without any":  func(b []byte) { b[counts] = 0 },
		"another count":       func(b []byte) { b[counts+1] = 2 },
		"too many of a file":  func(b []byte) { b[counts] = MaxHints + 1 },
		"a link that is none": word(links, 2),
		"another host":        text("</a", "<//"),
		"a line's end":        text(".js", "\r\n:"),
	} {
		damaged := slices.Clone(columns)
		damage(damaged[start:])
		if _, err := DecodeManifest(hintsFrame(t, damaged)); err == nil {
			t.Errorf("%s: it is decoded", name)
		}
	}
}

func TestAManifestOf100kFilesWithHintsIsDecodedInFewAllocations(t *testing.T) {
	entries := make([]FileEntry, 100_000)
	for i := range entries {
		name := fmt.Sprintf("/docs/page-%05d", i)
		entries[i] = FileEntry{Path: name + ".html", ContentType: "text/html", Hints: []string{hintA, hintB, "<" + name + ".js>; rel=modulepreload"}}
	}
	m := mustManifest(t, Meta{}, entries)
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	allocs := testing.AllocsPerRun(1, func() {
		if m, err = DecodeManifest(encoded); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 100 {
		t.Errorf("%.0f allocations", allocs)
	}
	if f, _ := m.Lookup("/docs/page-77777.html"); len(f.Hints()) != 3 || f.Hints()[2] != "</docs/page-77777.js>; rel=modulepreload" {
		t.Errorf("%q", f.Hints())
	}
}

func FuzzCheckHint(f *testing.F) {
	f.Add(hintA)
	f.Add(hintB)
	f.Fuzz(func(t *testing.T, link string) {
		if CheckHint(link) != nil {
			return
		}
		for i := range len(link) {
			if link[i] < 0x20 || link[i] >= 0x7f {
				t.Fatalf("%q has a character that no header takes", link)
			}
		}
		if strings.Count(link, "<") != 1 || strings.HasPrefix(link, "<//") || strings.Contains(link, "\\") {
			t.Fatalf("%q may lead elsewhere", link)
		}
	})
}
