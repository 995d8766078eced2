package site

import (
	"bytes"
	"encoding/binary"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

const sampleRedirects = "/a /b 301\n/c /d 200\n/e/:x-:y/* https://example.com/:y?q=:splat\n/app/* /app/index.html 200\n/* /index.html 200"

const sampleHeaders = "/*\n  Xtag: b\n  ! C\nhttps://:sub.example.com/:x/*\n  D: :sub :x :splat\n"

// ruledManifest has rules of every kind.
func ruledManifest(t testing.TB) *Manifest {
	t.Helper()
	m := mustManifest(t, Meta{Rules: RuleSources{Redirects: sampleRedirects, Headers: sampleHeaders}}, sampleEntries()[:3])
	if problems, err := m.Compile(Serving{}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	return m
}

// ruledFrame is frameOf for the second version of the encoding.
func ruledFrame(t testing.TB, columns []byte) []byte {
	frame := frameOf(t, columns)
	copy(frame, rulesMagic)
	return frame
}

func TestRulesTravelInTheManifest(t *testing.T) {
	m := ruledManifest(t)
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.redirects, m.redirects) {
		t.Errorf("redirects\n%+v\nwere\n%+v", got.redirects, m.redirects)
	}
	if !reflect.DeepEqual(got.HeaderRules().All(), m.HeaderRules().All()) {
		t.Errorf("header rules\n%+v\nwere\n%+v", got.HeaderRules().All(), m.HeaderRules().All())
	}
	if got.Meta.NotFound != NotFoundSPA || got.redirects.shell != 5 {
		t.Errorf("not found: %s by line %d", got.Meta.NotFound, got.redirects.shell)
	}
	// Without rules, older edges read it.
	plain, err := mustManifest(t, Meta{}, sampleEntries()).Encode()
	if err != nil || !strings.HasPrefix(string(plain), ManifestMagic) {
		t.Errorf("a manifest without rules begins with %q, %v", plain[:4], err)
	}
}

func TestDecodeManifestRefusesDamagedRules(t *testing.T) {
	m := ruledManifest(t)
	columns := columnsOf(t, m)
	if _, err := DecodeManifest(ruledFrame(t, columns)); err != nil {
		t.Fatal(err)
	}
	rules := m.appendRules(nil)
	start := len(columns) - len(rules)
	for n := range columns {
		if _, err := DecodeManifest(ruledFrame(t, columns[:n])); err == nil {
			t.Errorf("cut to %d bytes, it is decoded", n)
		}
	}
	if _, err := DecodeManifest(frameOf(t, columns)); err == nil {
		t.Error("it is decoded as the first version")
	}
	word := func(i int, v uint32) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[4*i:], v) }
	}
	text := func(old, new string) func([]byte) {
		return func(b []byte) {
			at := bytes.LastIndex(b, []byte(old))
			if at < 0 || len(old) != len(new) {
				t.Fatalf("there is no %q", old)
			}
			copy(b[at:], new)
		}
	}
	lines := rulesWords * 4
	rows := lines + 4*(4+2+3)
	number := func(at int, v uint16) func([]byte) {
		return func(b []byte) { binary.LittleEndian.PutUint16(b[at:], v) }
	}
	for name, damage := range map[string]func([]byte){
		"no redirects":                    word(0, 0),
		"too many redirects":              word(0, 2101),
		"more redirects":                  word(0, 5),
		"too many header rules":           word(1, 101),
		"fewer header rules":              word(1, 1),
		"too many headers":                word(2, 2001),
		"very many headers":               word(2, 1<<31),
		"more parts":                      word(3, 1000),
		"very many parts":                 word(3, 1<<32-1),
		"less text":                       word(4, 3),
		"very much text":                  word(4, 1<<32-1),
		"what is kept for later":          word(6, 1),
		"a rule of line 0":                word(lines/4, 0),
		"another status":                  number(rows, 404),
		"a static rule for the not found": number(rows, 200|shellStatus),
		"a redirect for the not found":    number(rows+30, 302|shellStatus),
		"a longer from":                   number(rows+2, 500),
		"from without parts":              number(rows+4, 0),
		"more parts than there are":       number(rows+4, 60000),
		"to without parts":                number(rows+8, 0),
		"a from that is no path":          text("/a/b", "xa/b"),
		"a to that is no path":            text("/a/b/c/d", "/a/bxc/d"),
		"a to of another scheme":          text("https://example.com/:y", "httpx://example.com/:y"),
		"a rewrite to another host":       number(rows+20, 200),
		"a from with a space":             text("/e/:x", "/e :x"),
		"the same from twice":             text("/a/b/c/d", "/a/b/a/d"),
		"a header with a line break":      text(":sub :x :", ":sub\r:x :"),
		"a header that is not settable":   text("XtagbC", "EtagbC"),
		"a name in lower case":            text("XtagbC", "xtagbC"),
		"a name that is none":             text("XtagbC", "X agbC"),
	} {
		b := bytes.Clone(columns)
		damage(b[start:])
		if bytes.Equal(b, columns) {
			t.Errorf("%s: nothing is damaged", name)
		}
		m, err := DecodeManifest(ruledFrame(t, b))
		if err == nil {
			t.Errorf("%s: decoded as %+v %+v", name, m.Redirects().All(), m.HeaderRules().All())
		}
	}
}

// TestAManifestOf100kFilesWithRulesIsSmall has as many rules as there can be.
func TestAManifestOf100kFilesWithRulesIsSmall(t *testing.T) {
	m := largeManifest(t)
	m.Meta.Rules = RuleSources{
		Redirects: rulesOf(MaxStaticRedirects, "/docs/old-section/page-%.html /docs/new-section/page-% 301") + rulesOf(MaxDynamicRedirects, "/old-%/:lang/* /new/:lang/:splat"),
		Headers:   rulesOf(MaxHeaderRules, "/part-%/*\n  X-Part: :splat\n  ! Server-Timing\n"),
	}
	if problems, err := m.Compile(Serving{}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m = nil
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	allocs := testing.AllocsPerRun(1, func() {
		if m, err = DecodeManifest(encoded); err != nil {
			t.Fatal(err)
		}
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if allocs > 100 {
		t.Errorf("%.0f allocations", allocs)
	}
	resident := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if said := m.MemorySize(); resident > 20<<20 || said < resident*9/10 || said > resident*11/10 {
		t.Errorf("it takes %d bytes, and says %d", resident, said)
	}
	for path, most := range map[string]float64{"/docs/section-001/page-00777/": 0, "/nothing": 0, "/docs/old-section/page-1999.html": 3, "/old-99/de/a/b": 3} {
		q := Request{Method: "GET", Path: path}
		if n := testing.AllocsPerRun(100, func() { m.Decide(&q) }); n > most {
			t.Errorf("%s: %v allocations to decide", path, n)
		}
	}
	runtime.KeepAlive(encoded)
}

// TestRuledManifestFormatIsStable reads what the first code with rules wrote.
func TestRuledManifestFormatIsStable(t *testing.T) {
	encoded, err := os.ReadFile("testdata/manifest-v2")
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(columnsOf(t, got), columnsOf(t, ruledManifest(t))) {
		t.Error("it is read as another manifest than it was")
	}
}

// FuzzDecodeRules turns over the rules of a manifest that is sound otherwise.
func FuzzDecodeRules(f *testing.F) {
	m := ruledManifest(f)
	rules := m.appendRules(nil)
	columns := columnsOf(f, m)
	head := columns[:len(columns)-len(rules)]
	f.Add(rules, "a.example.com", "/e/1-2/3")
	m.SetRules(m.redirects, HeaderRules{})
	f.Add(m.appendRules(nil), "a.example.com", "/app/x")
	f.Fuzz(func(t *testing.T, rules []byte, host, path string) {
		b := append(bytes.Clone(head), rules...)
		binary.LittleEndian.PutUint32(b[4*headerWords:], uint32(len(rules)))
		m, err := DecodeManifest(ruledFrame(t, b))
		if err != nil {
			return
		}
		if !bytes.Equal(columnsOf(t, m), b) {
			t.Fatalf("another manifest after a round trip:\n%q\n%q", b, columnsOf(t, m))
		}
		if _, err := m.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{"GET", "OPTIONS", "POST"} {
			d := m.Decide(&Request{Method: method, Host: host, Path: path, Query: "q"})
			d.Rule()
			d.HeaderRules()
			for _, e := range d.HeaderEdits() {
				if strings.ContainsAny(e.Name+strings.Join(e.Values, ""), "\r\n\x00") {
					t.Fatalf("%+v breaks a response", e)
				}
			}
			d.EditsVary()
			d.EditsByHost()
			if strings.HasPrefix(d.Location, "//") || strings.ContainsAny(d.Location, "\r\n") {
				t.Fatalf("Location %q", d.Location)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	m := mustManifest(b, Meta{}, []FileEntry{{Path: "/index.html"}, {Path: "/a.html"}})
	redirects, _ := ParseRedirects(rulesOf(2000, "/old/% /new/%") + rulesOf(100, "/blog-%/:year/* /archive/:year/:splat"))
	headers, _ := ParseHeaders(rulesOf(100, "/part-%/*\n  A: b"))
	m.SetRules(redirects, headers)
	for name, path := range map[string]string{"file": "/a", "static": "/old/1999", "dynamic": "/blog-99/2026/a/b"} {
		b.Run(name, func(b *testing.B) {
			q := Request{Method: "GET", Path: path}
			b.ReportAllocs()
			for b.Loop() {
				m.Decide(&q)
			}
		})
	}
}
