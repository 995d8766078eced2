package site

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestParseHeaders(t *testing.T) {
	text := "\ufeff# security\r\n" +
		"/*\r\n" +
		"  x-frame-options: DENY\r\n" +
		"\tX-Robots-Tag:noindex , nofollow  \n" +
		"  ! Server-Timing\n" +
		"\n" +
		"  # about this one\n" +
		"/movies/:title/*?a#b\n" +
		"  x-title: :title in \":splat\" at 10:30\n" +
		"Set-Cookie: a=b\n" +
		"https://:project.pages.example/caf\u00e9/*\n" +
		"  x-project: :project\n" +
		"https://Example.COM\n" +
		"  Link: <https://example.com/a>; rel=preload\n"
	want := []HeaderRule{
		{2, "/*", []HeaderField{{3, "X-Frame-Options", "DENY", false}, {4, "X-Robots-Tag", "noindex , nofollow", false}, {5, "Server-Timing", "", true}}},
		{8, "/movies/:title/*", []HeaderField{{9, "X-Title", ":title in \":splat\" at 10:30", false}, {10, "Set-Cookie", "a=b", false}}},
		{11, "https://:project.pages.example/caf%C3%A9/*", []HeaderField{{12, "X-Project", ":project", false}}},
		{13, "https://example.com/", []HeaderField{{14, "Link", "<https://example.com/a>; rel=preload", false}}},
	}
	h, problems := ParseHeaders(text)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if got := h.All(); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestHeaderLinesThatAreWrong(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"  A: b", "_headers:1: a header stands below the URL"},
		{"/*\n  Just text", "_headers:2: a header is written NAME: VALUE"},
		{"/*\n  A:", "_headers:2: the header A has no value"},
		{"/*\n  : b", "_headers:2: the header has no name"},
		{"/*\n  !", "_headers:2: the header has no name"},
		{"/*\n  A b: c", "_headers:2: \"A b\" is not the name of a header"},
		{"/*\n  \u00c4: c", "_headers:2: \"\u00c4\" is not the name of a header"},
		{"/*\n  A: b\x01", "_headers:2: the line has a control character"},
		{"/*\n  A: b\tc", "_headers:2: the value has a tab"},
		{"/*\n  A: \xff", "_headers:2: the line is not valid UTF-8"},
		{"/*\n", "_headers:1: no header stands below the URL"},
		{"/*\n/b\n  A: b", "_headers:1: no header stands below the URL"},
		{"/*/*\n  A: b", "_headers:1: the URL has more than one *"},
		{"/:a/:a\n  A: b", "_headers:1: the URL names :a twice"},
		{"/a b\n  A: b", "_headers:1: the URL has a space"},
		{"/a\\b\n  A: b", "_headers:1: the URL has a backslash"},
		{"/100%\n  A: b", "_headers:1: the URL has a % that"},
		{"http://example.com/\n  A: b", "_headers:1: a rule begins with a path such as /*, or with https://"},
		{"https://example.com:8443/\n  A: b", "_headers:1: a rule is for all ports"},
		{"https://*.example.com/*\n  A: b", "_headers:1: the URL has more than one *"},
		{"https://b\u00fccher.example/\n  A: b", "_headers:1: the URL has the host"},
		{"https:///x\n  A: b", "_headers:1: the URL has the host"},
	} {
		h, problems := ParseHeaders(tt.text)
		if len(problems) != 1 || !strings.HasPrefix(problems[0].String(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, problems, tt.want)
		}
		for _, rule := range h.All() {
			if rule.URL != "/b" {
				t.Errorf("%q leaves %+v", tt.text, rule)
			}
		}
	}
}

func TestHeadersThatNoRuleSets(t *testing.T) {
	for _, name := range []string{
		"Accept-Ranges", "Age", "Allow", "Alt-Svc", "Connection", "Content-Encoding", "Content-Length", "Content-Range", "Date", "ETag", "Keep-Alive",
		"Location", "Proxy-Connection", "Proxy-Authenticate", "proxy-x", "Server", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Vary",
		"X-Accel-Redirect", "x-accel-expires", "X-Sendfile", "X-LIGHTTPD-send-file", "X-Reproxy-URL",
	} {
		for _, form := range []string{"  %s: x", "  ! %s", "%s : x"} {
			h, problems := ParseHeaders("/*\n" + fmt.Sprintf(form, name) + "\n  A: b")
			if len(problems) != 1 || problems[0].Line != 2 || !strings.Contains(problems[0].Reason, "can't be set or removed") {
				t.Errorf("%s: %v", name, problems)
			}
			if all := h.All(); len(all) != 1 || len(all[0].Fields) != 1 {
				t.Errorf("%s: what is left is %+v", name, all)
			}
		}
	}
}

func TestHeaderLimits(t *testing.T) {
	for _, tt := range []struct {
		name, text    string
		rules, fields int
		wrong         int
		want          string
	}{
		{"rules below the limit", rulesOf(99, "/%\n A: b"), 99, 99, 0, ""},
		{"rules at the limit", rulesOf(100, "/%\n A: b"), 100, 100, 0, ""},
		{"rules above the limit", rulesOf(102, "/%\n A: b"), 100, 100, 2, "_headers:201: there are more than 100 rules"},
		{"headers below the limit", "/*\n" + rulesOf(1999, "A%: b"), 1, 1999, 0, ""},
		{"headers at the limit", "/*\n" + rulesOf(2000, "A%: b"), 1, 2000, 0, ""},
		{"headers above the limit", "/*\n" + rulesOf(2001, "A%: b"), 1, 2000, 1, "_headers:2002: there are more than 2000 headers"},
		{"a line below the limit", "/*\n  A: " + strings.Repeat("b", 1996), 1, 1, 0, ""},
		{"a line at the limit", "/*\n  A: " + strings.Repeat("\u00e9", 1997), 1, 1, 0, ""},
		{"a line above the limit", "/*\n  A: " + strings.Repeat("b", 1998), 0, 0, 1, "_headers:2: the line has 2001 characters, the most is 2000"},
		{"bytes at the limit", "/*\n" + rulesOf(131, "  A%: "+strings.Repeat("b", 1988)) + "\n  ! " + strings.Repeat("C", bytesLeft(131, 1988)), 1, 132, 0, ""},
		{"bytes above the limit", "/*\n" + rulesOf(131, "  A%: "+strings.Repeat("b", 1988)) + "\n  ! " + strings.Repeat("C", bytesLeft(131, 1988)+1), 1, 131, 1, "_headers:134: all headers together have more than 256 KiB"},
		{"a URL above the limit", "/" + strings.Repeat("b", 2000) + "\n  A: b", 0, 0, 2, "_headers:1: the line has 2001 characters"},
	} {
		h, problems := ParseHeaders(tt.text)
		if len(h.rules) != tt.rules || len(h.fields) != tt.fields || len(problems) != tt.wrong {
			t.Errorf("%s: %d rules, %d headers and %d problems %v", tt.name, len(h.rules), len(h.fields), len(problems), problems)
		}
		if tt.want != "" && (len(problems) == 0 || !strings.HasPrefix(problems[0].String(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, problems, tt.want)
		}
	}
}

// bytesLeft is what is left of all bytes after that many headers of rulesOf.
func bytesLeft(headers, value int) int {
	left := MaxHeaderBytes
	for i := range headers {
		left -= len(fmt.Sprintf("A%d", i)) + value
	}
	return left
}

// TestHeadersCostLittle: what a site's rules may ask for at most takes memory in
// proportion to the rules, whatever path is asked for.
func TestHeadersCostLittle(t *testing.T) {
	long := "/" + strings.Repeat("p", MaxTargetLength-1)
	for name, text := range map[string]string{
		"one name":        "/*\n" + rulesOf(125, "  X: "+strings.Repeat("v", 1990)),
		"many names":      "/*\n" + rulesOf(2000, "  X%: v"),
		"filled values":   "/*\n" + rulesOf(125, "  X%: "+strings.Repeat(":splat", 330)),
		"a filled cookie": "/*\n" + rulesOf(125, "  Set-Cookie: "+strings.Repeat(":splat", 330)),
	} {
		h, problems := ParseHeaders(text)
		if len(problems) > 0 {
			t.Fatal(name, problems)
		}
		m := mustManifest(t, Meta{}, nil)
		m.SetRules(Redirects{}, h)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := m.Decide(&Request{Method: "GET", Host: "site.example", Path: long})
		edits := d.HeaderEdits()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 4*MaxHeaderBytes {
			t.Errorf("%s: %d KiB were allocated for one answer", name, got>>10)
		}
		if strings.HasPrefix(name, "many") && len(edits) != 2000 {
			t.Errorf("%s: %d headers", name, len(edits))
		}
	}
}

// TestFilledHeaderLimits: of what placeholders fill in, an answer has so many
// bytes; headers beyond are not sent, the others are.
func TestFilledHeaderLimits(t *testing.T) {
	h, problems := ParseHeaders("/*\n  Plain: yes\n  Filled: " + strings.Repeat(":splat", 64) + "\n  Short: x:splat")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	m := mustManifest(t, Meta{}, nil)
	m.SetRules(Redirects{}, h)
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/" + strings.Repeat("p", 1007), []string{"Plain", "Filled", "Short"}}, // 64 * 1007 + 1008 = 65456
		{"/" + strings.Repeat("p", 1008), []string{"Plain", "Filled", "Short"}}, // 64 * 1008 + 1009 = 65521
		{"/" + strings.Repeat("p", 1009), []string{"Plain", "Filled"}},          // 64 * 1009 + 1010 = 65586
		{"/" + strings.Repeat("p", 1024), []string{"Plain", "Filled"}},
		{"/" + strings.Repeat("p", 1025), []string{"Plain"}},
	} {
		d := m.Decide(&Request{Method: "GET", Host: "site.example", Path: tt.path})
		var got []string
		for _, e := range d.HeaderEdits() {
			got = append(got, e.Name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("a path of %d bytes: %v, want %v", len(tt.path), got, tt.want)
		}
	}
}

func TestHeaderEdits(t *testing.T) {
	h, problems := ParseHeaders(`
/*
  X: one
  Cache-Control: max-age=60
  Set-Cookie: a=1
  Y: gone
/a/*
  X: two
  x: three
  Set-Cookie: b=2
  Z: set
  ! Z
  ! Y
/a/:name
  ! Cache-Control
  N: <:name>
https://site.example/a/*
  H: :splat
https://:sub.base.example/*
  S: :sub|:splat
`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, tt := range []struct {
		host, path string
		want       []HeaderEdit
		lines      []int
	}{
		{"other.example", "/", []HeaderEdit{{"X", []string{"one"}}, {"Cache-Control", []string{"max-age=60"}}, {"Set-Cookie", []string{"a=1"}}, {"Y", []string{"gone"}}}, []int{2}},
		{"other.example", "/a/b%20c", []HeaderEdit{{"X", []string{"one, two, three"}}, {"Cache-Control", nil}, {"Set-Cookie", []string{"a=1", "b=2"}}, {"Y", nil}, {"Z", []string{"set"}}, {"N", []string{"<b%20c>"}}}, []int{2, 7, 14}},
		{"site.example", "/a/b/\u00fc", []HeaderEdit{{"X", []string{"one, two, three"}}, {"Cache-Control", []string{"max-age=60"}}, {"Set-Cookie", []string{"a=1", "b=2"}}, {"Y", nil}, {"Z", []string{"set"}}, {"H", []string{"b/%C3%BC"}}}, []int{2, 7, 17}},
		{"x.base.example", "/q", []HeaderEdit{{"X", []string{"one"}}, {"Cache-Control", []string{"max-age=60"}}, {"Set-Cookie", []string{"a=1"}}, {"Y", []string{"gone"}}, {"S", []string{"x|q"}}}, []int{2, 19}},
		{"x.y.base.example", "/", []HeaderEdit{{"X", []string{"one"}}, {"Cache-Control", []string{"max-age=60"}}, {"Set-Cookie", []string{"a=1"}}, {"Y", []string{"gone"}}}, []int{2}},
	} {
		m := mustManifest(t, Meta{}, nil)
		m.SetRules(Redirects{}, h)
		d := m.Decide(&Request{Method: "GET", Host: tt.host, Path: tt.path})
		d.Outcome = Served // nothing is taken out, as of what is not found
		got := d.HeaderEdits()
		for i := range got {
			if len(got[i].Values) == 0 {
				got[i].Values = nil
			}
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s%s: got\n%q\nwant\n%q", tt.host, tt.path, got, tt.want)
		}
		var lines []int
		for _, rule := range d.HeaderRules() {
			lines = append(lines, rule.Line)
		}
		if !slices.Equal(lines, tt.lines) {
			t.Errorf("%s%s: rules of lines %v, want %v", tt.host, tt.path, lines, tt.lines)
		}
	}
}

func TestHeaderRulesKnowWhatTheyDependOn(t *testing.T) {
	h, _ := ParseHeaders("/*\n A: b\n/a/*\n B: :splat\nhttps://x.example/a/:n\n C: d")
	m := mustManifest(t, Meta{}, nil)
	m.SetRules(Redirects{}, h)
	for path, want := range map[string]struct{ vary, byHost bool }{"/": {false, false}, "/a/b": {true, true}, "/a/b/c": {true, false}} {
		d := m.Decide(&Request{Method: "GET", Host: "y.example", Path: path})
		if d.EditsVary() != want.vary || d.EditsByHost() != want.byHost {
			t.Errorf("%s: vary %t, by host %t", path, d.EditsVary(), d.EditsByHost())
		}
	}
}

// slowEdits works out headers as the file's text says: every rule, each line.
func slowEdits(rules []HeaderRule, host, path string) map[string][]string {
	edits := map[string][]string{}
	for _, rule := range rules {
		pathText, hostText, absolute := rule.URL, "", false
		if rest, ok := strings.CutPrefix(rule.URL, "https://"); ok {
			at := strings.IndexByte(rest, '/')
			hostText, pathText, absolute = rest[:at], rest[at:], true
		}
		values := map[string]string{}
		match := func(text, s string, sep byte) bool {
			p, names, err := newPattern(text, nil)
			if err != nil {
				return false
			}
			found := slowPattern(&p, sep).FindStringSubmatch(s)
			for i := range names {
				if found != nil {
					values[names[i]] = string(appendEncoded(nil, found[i+1]))
				}
			}
			return found != nil
		}
		if absolute && !match(hostText, host, '.') || !match(pathText, path, '/') {
			continue
		}
		for _, f := range rule.Fields {
			if f.Remove {
				edits[f.Name] = nil
			}
		}
		for _, f := range rule.Fields {
			if f.Remove {
				continue
			}
			value, rest := "", f.Value
			for {
				start, end := nextPlaceholder(rest, 0, false)
				value += rest[:start]
				if start == len(rest) {
					break
				}
				if v, ok := values[rest[start+1:end]]; ok {
					value += v
				} else {
					value += rest[start:end]
				}
				rest = rest[end:]
			}
			if old := edits[f.Name]; len(old) > 0 && f.Name != "Set-Cookie" {
				value = old[0] + ", " + value
				edits[f.Name] = []string{value}
			} else {
				edits[f.Name] = append(edits[f.Name], value)
			}
		}
	}
	return edits
}

// FuzzHeaders reads any file and asks for any URL: what happens to headers is
// what a slow reading of the file says, and nothing in it breaks a response.
func FuzzHeaders(f *testing.F) {
	for _, seed := range [][3]string{
		{"/*\n  A: b\n  ! C\n/a/:x\n  A: :x\n  Set-Cookie: a=b\n", "a.example", "/a/b"},
		{"https://:h.example/*\n  H: :h:splat :splat\n", "a.example", "/%C3%BC"},
		{"/a\n\n/b\n  Content-Type: text/x\n  ! Content-Type", "x", "/b"},
		{"/*\n  Vary: x\n A\n: b\n", "x", "/"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, text, host, path string) {
		if _, err := DecodePath(path); err != nil || !visible(path) || len(text) > 20_000 {
			return
		}
		if normal, err := NormalHost(host); err != nil || normal != host {
			return
		}
		h, problems := ParseHeaders(text)
		for _, p := range problems {
			if p.Line < 1 || p.Line > strings.Count(text, "\n")+1 || p.Reason == "" {
				t.Fatalf("%q: problem %+v", text, p)
			}
		}
		m := mustManifest(t, Meta{}, nil)
		m.SetRules(Redirects{}, h)
		if encoded, err := m.Encode(); err != nil {
			t.Fatal(err)
		} else if m, err = DecodeManifest(encoded); err != nil {
			t.Fatalf("%q can't be decoded: %v", text, err)
		}
		if !reflect.DeepEqual(m.HeaderRules().All(), h.All()) {
			t.Fatalf("%q: decoded as %v, was %v", text, m.HeaderRules().All(), h.All())
		}
		d := m.Decide(&Request{Method: "GET", Host: host, Path: path})
		d.Outcome = Served
		want := slowEdits(h.All(), host, path)
		got := d.HeaderEdits()
		if len(got) != len(want) {
			t.Fatalf("%q on %s%s: %q, want %q", text, host, path, got, want)
		}
		for _, e := range got {
			if w, ok := want[e.Name]; !ok || !slices.Equal(w, e.Values) {
				t.Fatalf("%q on %s%s: %s is %q, want %q", text, host, path, e.Name, e.Values, w)
			}
			for _, v := range append(e.Values, e.Name) {
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Fatalf("%q: %q breaks a response", text, v)
				}
			}
		}
	})
}
