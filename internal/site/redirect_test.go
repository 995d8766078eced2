package site

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseRedirects(t *testing.T) {
	text := "\ufeff# moved in 2025\r\n" +
		"\r\n" +
		"/old /new 301\r\n" +
		"  /spaces\t \t/in-between   # a comment\n" +
		"no-slash /x\n" +
		"/query?a=b#c /target?x=y#z 308\n" +
		"/caf\u00e9 /\u00fcn\u00ef#\u00e4 303\n" +
		"/blog/:year/* /archive/:year/:splat 307\n" +
		"/rewrite /index.html 200\n" +
		"/out/* https://example.com:8443/a/:splat?from=:splat 302\n" +
		"/u/:name https://:name.example.com/:other\n" +
		"/slashes ///evil.example/x\n" +
		"/bare https://example.com\n" +
		"/fragment /a#b\n" +
		"/app/* /app/index.html 200\n" +
		"/* /index.html 200"
	want := []Redirect{
		{3, "/old", "/new", 301, false},
		{4, "/spaces", "/in-between", 302, false},
		{5, "/no-slash", "/x", 302, false},
		{6, "/query", "/target?x=y#z", 308, false},
		{7, "/caf%C3%A9", "/%C3%BCn%C3%AF#%C3%A4", 303, false},
		{9, "/rewrite", "/index.html", 200, false},
		{12, "/slashes", "/evil.example/x", 302, false},
		{13, "/bare", "https://example.com", 302, false},
		{14, "/fragment", "/a#b", 302, false},
		{8, "/blog/:year/*", "/archive/:year/:splat", 307, false},
		{10, "/out/*", "https://example.com:8443/a/:splat?from=:splat", 302, false},
		{11, "/u/:name", "https://:name.example.com/:other", 302, false},
		{15, "/app/*", "/app/index.html", 200, true},
	}
	r, problems := ParseRedirects(text)
	if len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	if got := r.All(); !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if r.ShellLine() != 16 {
		t.Errorf("the site is an application by line %d", r.ShellLine())
	}
}

func TestRedirectLinesThatAreWrong(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"/a", "a rule is FROM TO [STATUS]; this line has 1 part"},
		{"/a # /b", "has 1 part"},
		{"/a /b 302 Country=us", "has 4 parts"},
		{"/a /b 404", `the status is one of 200, 301, 302, 303, 307 and 308, not "404"`},
		{"/a /b 0x12d", "the status is one of"},
		{"/a /b 301!", "the status is one of"},
		{"/a id=1", `TO is a path that begins with / or an https:// URL, not "id=1"`},
		{"/a http://example.com/", "TO is a path that begins with / or an https:// URL"},
		{"/a javascript:alert(1)", "TO is a path that begins with / or an https:// URL"},
		{"https://example.com/a /b", "FROM is a path"},
		{"/a https://example.com/ 200", "proxying to another host is not offered"},
		{"/a https:///x", "which is none"},
		{"/a https://user@example.com/", "which is none"},
		{"/a https://b\u00fccher.example/", "punycode"},
		{"/:h https://:h/x", "choose the domain"},
		{"/:h https://example.com.:h/x", "choose the domain"},
		{"/:h https://:h:8443/x", "choose the domain"},
		{"/:h https://:h./x", "choose the domain"},
		{"/*/* /b", "FROM has more than one *"},
		{"/:a/:a /b", "FROM names :a twice"},
		{"/a\\b /c", "FROM has a backslash"},
		{"/a /\\evil.example", "TO has a backslash"},
		{"/100% /b", "FROM has a % that"},
		{"/a /100%", "TO has a % that"},
		{"/a /%00", "TO is too long, or has a control character"},
		{"/a\x01 /b", "control character"},
		{"/a\xff /b", "not valid UTF-8"},
		{"/a /a", "leads back to itself"},
		{"/* /x/:splat", "leads back to itself"},
		{"/* /maintenance.html", "leads back to itself"},
		{"/ /index.html 301", "/ is where /index.html answers"},
		{"/docs/ /docs/index", "/docs/ is where /docs/index.html answers"},
	} {
		r, problems := ParseRedirects("# first\n" + tt.line + "\n/last /one")
		if len(problems) != 1 || problems[0].Line != 2 || problems[0].File != "_redirects" || !strings.Contains(problems[0].Reason, tt.want) {
			t.Errorf("%q: problems %v, want %q at line 2", tt.line, problems, tt.want)
		}
		if all := r.All(); len(all) != 1 || all[0].Line != 3 {
			t.Errorf("%q: what is left is %v", tt.line, all)
		}
	}
}

func TestRulesThatDoNotLoop(t *testing.T) {
	for _, text := range []string{
		"/a/* /b/:splat", "/x:y /:y", "/*/index.html /:splat", "/a /A", "/* /down 302\n/down /down.html 200",
		"/:lang/* https://:lang.example.com/:splat", "/a /b\n/b /c", "/docs/ /docs/index.html 200", "/* https://example.com/:splat 301",
	} {
		if _, problems := ParseRedirects(text); len(problems) > 0 {
			t.Errorf("%q: %v", text, problems)
		}
	}
	_, problems := ParseRedirects("/a /b\n/b /a")
	if len(problems) != 2 {
		t.Errorf("two rules that lead to each other: %v", problems)
	}
}

func TestTheSameFromTwice(t *testing.T) {
	r, problems := ParseRedirects("/a /b\n/d/:x /c\n/a /d\n/d/:x /e\n/* /index.html 200\n/* /index.html 200")
	if len(problems) != 3 || problems[0].String() != "_redirects:3: line 1 has the path /a already, and the first one counts" {
		t.Errorf("problems: %v", problems)
	}
	if len(r.All()) != 2 || r.ShellLine() != 5 {
		t.Errorf("left: %v", r.All())
	}
}

func TestWhatMakesAnApplication(t *testing.T) {
	for line, want := range map[string]struct{ root, shell bool }{
		"/* /index.html 200":           {root: true},
		"/* /index.html":               {root: true},
		"/* /index 301":                {root: true},
		"/* / 200":                     {root: true},
		"/app/* /app/index.html 200":   {shell: true},
		"/app/* /app/ 200":             {shell: true},
		"/app/* /app/index":            {shell: true},
		"/app/* /index.html 200":       {},
		"/app/* /app/shell.html 200":   {},
		"/:x/* /index.html 200":        {},
		"/a* /index.html 200":          {},
		"/* https://example.com/ 301":  {},
		"/index.html /index/index 200": {},
	} {
		r, problems := ParseRedirects(line)
		if len(problems) > 0 {
			t.Errorf("%s: %v", line, problems)
		}
		all := r.All()
		if root := r.ShellLine() > 0; root != want.root || root != (len(all) == 0) {
			t.Errorf("%s: an application: %t, want %t", line, root, want.root)
		}
		if len(all) > 0 && all[0].Shell != want.shell {
			t.Errorf("%s: for pages that are not found: %t, want %t", line, all[0].Shell, want.shell)
		}
	}
}

// rulesOf makes n lines of a form, with % as a number.
func rulesOf(n int, form string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(form, "%", fmt.Sprint(i)) + "\n")
	}
	return b.String()
}

func TestRedirectLimits(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		rules      int
		wrong      int    // lines
		want       string // of the first problem
	}{
		{"static rules below the limit", rulesOf(1999, "/s% /t"), 1999, 0, ""},
		{"static rules at the limit", rulesOf(2000, "/s% /t"), 2000, 0, ""},
		{"static rules above the limit", rulesOf(2002, "/s% /t"), 2000, 2, "_redirects:2001: there are more than 2000 rules without"},
		{"dynamic rules below the limit", rulesOf(99, "/d%/* /t"), 99, 0, ""},
		{"dynamic rules at the limit", rulesOf(100, "/d%/:x /t"), 100, 0, ""},
		{"dynamic rules above the limit", rulesOf(101, "/d%/* /t"), 100, 1, "_redirects:101: there are more than 100 rules with"},
		{"both at their limits", rulesOf(100, "/d%/* /t") + rulesOf(2000, "/s% /t"), 2100, 0, ""},
		{"dynamic rules above, static ones behind", rulesOf(101, "/d%/* /t") + "/s /t", 101, 1, ""},
		{"a line below the limit", "/" + strings.Repeat("a", 994) + " /b", 1, 0, ""},
		{"a line at the limit", "/" + strings.Repeat("\u00e9", 996) + " /b", 1, 0, ""},
		{"a line above the limit", "/" + strings.Repeat("a", 997) + " /b", 0, 1, "_redirects:1: the line has 1001 characters, the most is 1000"},
		{"white space does not count", "  /" + strings.Repeat("a", 996) + " /b \t", 1, 0, ""},
		{"a long comment", "#" + strings.Repeat("a", 5000) + "\n/a /b", 1, 0, ""},
	} {
		r, problems := ParseRedirects(tt.text)
		if len(r.All()) != tt.rules || len(problems) != tt.wrong {
			t.Errorf("%s: %d rules and %d problems, want %d and %d", tt.name, len(r.All()), len(problems), tt.rules, tt.wrong)
		}
		if tt.want != "" && (len(problems) == 0 || !strings.HasPrefix(problems[0].String(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, problems, tt.want)
		}
	}
}

// slowRedirect finds what a path leads to as the rules' texts say, one after the
// other and with regular expressions.
func slowRedirect(rules []Redirect, path string) (line int, to string) {
	word := regexp.MustCompile(`:[A-Za-z]\w*`)
	for _, static := range []bool{true, false} {
		for _, rule := range rules {
			if rule.Shell || static != !strings.ContainsAny(word.ReplaceAllString(rule.From, "*"), "*") {
				continue
			}
			var expression strings.Builder
			names := []string{""}
			for rest := rule.From; rest != ""; {
				at := word.FindStringIndex(rest)
				if at == nil {
					at = []int{len(rest), len(rest)}
				}
				switch star := strings.IndexByte(rest, '*'); {
				case star >= 0 && star < at[0]:
					expression.WriteString(regexp.QuoteMeta(rest[:star]) + "(.*)")
					names, rest = append(names, ":splat"), rest[star+1:]
				default:
					expression.WriteString(regexp.QuoteMeta(rest[:at[0]]))
					if at[0] < at[1] {
						expression.WriteString("([^/]+)")
						names = append(names, rest[at[0]:at[1]])
					}
					rest = rest[at[1]:]
				}
			}
			found := regexp.MustCompile("(?s)^" + expression.String() + "$").FindStringSubmatch(path)
			if found == nil {
				continue
			}
			return rule.Line, word.ReplaceAllStringFunc(rule.To, func(name string) string {
				if i := slices.Index(names, name); i > 0 {
					return found[i]
				}
				return name
			})
		}
	}
	return 0, ""
}

// FuzzRedirects reads any file and asks for any path: the rule is the one that a
// slow reading of it finds, and no redirect leads to a host that no rule names.
func FuzzRedirects(f *testing.F) {
	for _, seed := range [][3]string{
		{"/* /:splat 302", "//evil.example/", ""},
		{"/* /:splat 302", "/\\evil.example/", "a=b"},
		{"/:a/* https://:a.example.com/:splat?x=:a#:splat", "/b/c//d", "q"},
		{"/a /b 301\n/:x /a/:x # c\n/a/* /x/:splat 200\n/* /index.html 200", "/a/b", ""},
		{"/app/* /app/index.html 200\n/caf\u00e9 /\u00fc", "/caf%C3%A9", ""},
		{"/%2F%2Fx/:splat* /:splat:", "/%2f", "?"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, text, path, query string) {
		if _, err := DecodePath(path); err != nil || !visible(path) || len(text) > 20_000 {
			return
		}
		r, problems := ParseRedirects(text)
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Reason == "" {
				t.Fatalf("%q: problem %+v", text, p)
			}
		}
		m := mustManifest(t, Meta{}, nil)
		m.SetRules(r, HeaderRules{})
		if encoded, err := m.Encode(); err != nil {
			t.Fatal(err)
		} else if m, err = DecodeManifest(encoded); err != nil {
			t.Fatalf("%q can't be decoded: %v", text, err)
		}
		if !slices.Equal(m.Redirects().All(), r.All()) || m.Redirects().ShellLine() != r.ShellLine() {
			t.Fatalf("%q: decoded as %v, was %v", text, m.Redirects().All(), r.All())
		}
		d := m.Decide(&Request{Method: "GET", Path: path, Query: query})
		line, to := slowRedirect(r.All(), path)
		rule, ok := d.Rule()
		if ok != (line > 0) || ok && rule.Line != line {
			t.Fatalf("%q on %q: line %d, want %d", text, path, rule.Line, line)
		}
		if d.Outcome != Redirected {
			return
		}
		for i := range len(d.Location) {
			if c := d.Location[i]; c <= 0x20 && i < len(d.Location)-len(query) || c == '\\' && i < len(d.Location)-len(query) {
				t.Fatalf("%q on %q: Location %q", text, path, d.Location)
			}
		}
		if strings.HasPrefix(d.Location, "//") || strings.HasPrefix(d.Location, "/\\") {
			t.Fatalf("%q on %q leads to %q", text, path, d.Location)
		}
		if strings.HasPrefix(rule.To, "https://") {
			u, err := url.Parse(d.Location)
			host, _, _ := strings.Cut(strings.TrimPrefix(rule.To, "https://"), "/")
			host, _, _ = strings.Cut(host, "?")
			host, _, _ = strings.Cut(host, "#")
			if end := host[strings.LastIndexByte(host, ':')+1:]; err == nil && !strings.Contains(host, ":") && u.Host != end {
				t.Fatalf("%q on %q leads to %q", text, path, d.Location)
			}
			return
		}
		if plain := string(appendEncoded(nil, to)); query == "" && !strings.ContainsAny(rule.To, "#{}|^<>`\"") && foldFront(plain) != d.Location {
			t.Fatalf("%q on %q: Location %q, want %q", text, path, d.Location, foldFront(plain))
		}
	})
}

// TestRulesWithVeryManyWrongLines: a file that is no rules file at all is not
// read to its end.
func TestRulesWithVeryManyWrongLines(t *testing.T) {
	parse := map[string]func(text string) (rules int, problems []Problem){
		"_redirects": func(text string) (int, []Problem) {
			r, problems := ParseRedirects(text)
			return len(r.All()), problems
		},
		"_headers": func(text string) (int, []Problem) {
			h, problems := ParseHeaders(text)
			return len(h.All()), problems
		},
	}
	last := map[string]string{"_redirects": "/a /b", "_headers": "/a\n  A: b"}
	for file, f := range parse {
		for _, tt := range []struct{ wrong, rules, problems int }{
			{MaxProblems - 1, 1, MaxProblems - 1}, {MaxProblems, 0, MaxProblems + 1}, {MaxProblems + 1, 0, MaxProblems + 1}, {1 << 20, 0, MaxProblems + 1},
		} {
			rules, problems := f(strings.Repeat("x\n", tt.wrong) + last[file])
			if rules != tt.rules || len(problems) != tt.problems {
				t.Errorf("%s with %d wrong lines: %d rules, %d problems", file, tt.wrong, rules, len(problems))
			}
			if end := problems[len(problems)-1]; tt.wrong >= MaxProblems && (end.Line != MaxProblems+1 || !strings.Contains(end.Reason, "not read")) {
				t.Errorf("%s with %d wrong lines ends with %v", file, tt.wrong, end)
			}
		}
	}
}
