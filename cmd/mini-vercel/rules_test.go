package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestRulesCheck(t *testing.T) {
	isolate(t) // it asks nobody
	for _, tt := range []struct {
		name     string
		files    map[string]string
		code     int
		out      []string // in this order
		stderr   string
		complete bool // out is all of it
	}{
		{"rules of every kind", map[string]string{
			"mini-vercel.json": `{"htmlHandling":"none","strictRules":true,"earlyHints":true,"immutable":["a/**"]}`,
			"_redirects":       "/old /new 301\n/blog/:y/* /b/:splat\n/x /y 200\n/app/* /app/index.html 200\n/* /index.html 200\n",
			"_headers":         "/*\n  X-A: b\n  ! Server-Timing\n",
		}, 0, []string{
			"mini-vercel.json\n",
			"    htmlHandling  none\n",
			"    strictRules   true\n",
			"    earlyHints    true\n",
			"    immutable     a/**\n",
			"_redirects\n",
			"  1  /old        301 to                        /new\n",
			"  3  /x          is answered by                /y\n",
			"  2  /blog/:y/*  302 to                        /b/:splat\n",
			"  4  /app/*      pages that are not found are  /app/index.html\n",
			"  5  /*          sets notFound to              single-page-application\n",
			"_headers\n",
			"  1  /*\n",
			"  2    sets     X-A: b\n",
			"  3    removes  Server-Timing\n",
		}, "", true},
		{"wrong lines", map[string]string{"_redirects": "/a /b\n/c", "_headers": "/*\n  Vary: x\n  A: b"}, 1, []string{
			"  1  /a  302 to  /b\n", "  3    sets  A: b\n", "DIR/_redirects:2: a rule is FROM TO [STATUS]", "DIR/_headers:2: the header Vary can't be set",
		}, "Error: 2 lines are wrong\n", false},
		{"what a line has is told as it is", map[string]string{"_redirects": "/a http://b.example"}, 1, []string{`DIR/_redirects:1: TO is a path that begins with / or an https:// URL, not "http://b.example"`}, "Error: 1 line is wrong\n", false},
		{"a wrong setting", map[string]string{"mini-vercel.json": `{"notfound":1}`, "_redirects": "/a /b"}, 1, []string{"/a  302 to  /b\n", `DIR/mini-vercel.json: unknown key "notfound"`}, "Error: 1 line is wrong\n", false},
		{"strict changes nothing here", map[string]string{"mini-vercel.json": `{"strictRules":true}`, "_redirects": "/a /b\n/c"}, 1, []string{"/a  302 to  /b\n", "_redirects:2"}, "Error: 1 line is wrong\n", false},
		{"no rules", map[string]string{"index.html": "x"}, 0, []string{"DIR has none of _redirects, _headers and mini-vercel.json"}, "", false},
		{"what moves the cursor is not printed", map[string]string{"_redirects": "/a\x1b[2J /b"}, 1, []string{"_redirects:1: the line has a control character"}, "Error: 1 line is wrong\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, t.TempDir(), tt.files)
			r := command(t, "rules", "check", dir)
			out := strings.ReplaceAll(r.stdout, dir, "DIR")
			if r.code != tt.code || r.stderr != tt.stderr {
				t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
			}
			if strings.Contains(out, "\x1b") {
				t.Errorf("it prints %q", out)
			}
			if tt.complete && out != strings.Join(tt.out, "") {
				t.Errorf("it prints\n%s\nwant\n%s", out, strings.Join(tt.out, ""))
			}
			for rest, i := out, 0; i < len(tt.out); i++ {
				_, after, ok := strings.Cut(rest, tt.out[i])
				if !ok {
					t.Fatalf("it prints\n%s\nwithout %q", out, tt.out[i])
				}
				rest = after
			}
		})
	}
	if r := command(t, "rules", "check", filepath.Join(t.TempDir(), "nowhere")); r.code != 2 || !strings.Contains(r.stderr, "there is no folder") {
		t.Errorf("a folder that is not there: %+v", r)
	}
	if r := command(t, "rules", "check"); r.code != 2 {
		t.Errorf("no folder: %+v", r)
	}
	if r := command(t, "rules"); r.code != 0 || !strings.Contains(r.stdout, "check") {
		t.Errorf("no command: %+v", r)
	}
	big := write(t, t.TempDir(), map[string]string{"_headers": strings.Repeat("#", maxRulesFile+1)})
	if r := command(t, "rules", "check", big); r.code != 1 || !strings.Contains(r.stderr, "the most is") {
		t.Errorf("a file that is too large: %d %s", r.code, r.stderr)
	}
}

// askSite asks the edge of an address that a command printed.
func askSite(t *testing.T, address, path string) (*http.Response, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+u.Port())
		}},
	}
	r, err := client.Get(address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return r, body.String()
}

func TestRulesAndSettingsGoLive(t *testing.T) {
	startUp(t)
	dir := write(t, filepath.Join(t.TempDir(), "ruled"), map[string]string{
		"index.html": "home", "about.html": "about", "404.html": "no",
		"_redirects": "/old/* /about?from=:splat 301\n/wrong\n/alias /about.html 200\n", "_headers": "/*\n  X-Frame-Options: DENY\n  Vary: x\n",
	})
	r := command(t, "deploy", dir, "--json", "-y")
	one := decode[outcome](t, r.stdout)
	if r.code != 0 || !strings.Contains(r.stderr, "Warning: _redirects:2: a rule is FROM TO [STATUS]") || !strings.Contains(r.stderr, "Warning: _headers:3: the header Vary") {
		t.Fatalf("deploy: %+v", r)
	}
	if p := command(t, "promote", one.ID[:8], "-y"); p.code != 0 || strings.Contains(p.stderr, "Warning") {
		t.Errorf("promoted, it warns of its rules once more: %+v", p)
	}
	if l := command(t, "logs", one.ID[:8]); !strings.Contains(l.stdout, "Warning: _redirects:2: ") || !strings.Contains(l.stdout, "Warning: _headers:3: ") {
		t.Errorf("the log is %+v", l)
	}
	for path, want := range map[string]struct {
		status         int
		location, body string
	}{
		"/old/x": {301, "/about?from=x", ""}, "/alias": {200, "", "about"}, "/nope": {404, "", "no"}, "/about": {200, "", "about"}, "/_headers": {404, "", "no"},
	} {
		a, body := askSite(t, one.URL, path)
		if a.StatusCode != want.status || a.Header.Get("Location") != want.location || body != want.body || a.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %d %v %q", path, a.StatusCode, a.Header, body)
		}
	}

	t.Run("settings", func(t *testing.T) {
		if r := command(t, "settings"); r.code != 0 || !strings.Contains(r.stdout, "not-found      auto\n") || !strings.Contains(r.stdout, "html-handling  auto-trailing-slash\n") || !strings.Contains(r.stdout, "strict-rules   false\n") || !strings.Contains(r.stdout, "early-hints    false\n") {
			t.Errorf("show: %+v", r)
		}
		for args, want := range map[string]string{
			"--html-handling slash": `--html-handling "slash" is not one of auto-trailing-slash, force-trailing-slash, drop-trailing-slash, none`,
			"--not-found 404":       `--not-found "404" is not one of auto, 404-page, single-page-application, none`,
			"--strict-rules=maybe":  "invalid argument",
		} {
			if r := command(t, append([]string{"settings", "ruled"}, strings.Fields(args)...)...); r.code != 2 || !strings.Contains(r.stderr, want) {
				t.Errorf("%s: %+v", args, r)
			}
		}
		for _, html := range site.HTMLHandlings {
			for _, notFound := range site.NotFounds {
				r := command(t, "settings", "ruled", "--html-handling", string(html), "--not-found", string(notFound), "--json")
				if s := decode[servingSettings](t, r.stdout); r.code != 0 || s != (servingSettings{"ruled", html, notFound, false, false}) {
					t.Errorf("%s and %s: %+v", html, notFound, r)
				}
			}
		}
		if r := command(t, "settings", "nobody"); r.code != 1 || !strings.Contains(r.stderr, "there is no project") {
			t.Errorf("nobody's: %+v", r)
		}
		r := command(t, "settings", "ruled", "--html-handling", "drop-trailing-slash", "--not-found", "none", "--strict-rules")
		if r.code != 0 || !strings.Contains(r.stdout, "strict-rules   true") || !strings.Contains(r.stderr, "next deployment") {
			t.Fatalf("change: %+v", r)
		}
	})
	t.Run("strict", func(t *testing.T) {
		r := command(t, "deploy", dir, "--json", "-y", "--prod")
		two := decode[outcome](t, r.stdout)
		if r.code != 1 || two.Status != "FAIL" || !strings.Contains(r.stderr, "_redirects:2: ") || !strings.Contains(two.Error, "_redirects:2: ") {
			t.Fatalf("deploy with a wrong line: %+v", r)
		}
		if _, body := askSite(t, one.URL, "/"); body != "home" {
			t.Errorf("what was live answers %q", body)
		}
		write(t, dir, map[string]string{"_redirects": "/old/* /about 301\n"})
		if err := os.Remove(filepath.Join(dir, "_headers")); err != nil {
			t.Fatal(err)
		}
		r = command(t, "deploy", dir, "--json", "-y", "--prod")
		if r.code != 0 {
			t.Fatalf("deploy with right lines: %+v", r)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // until the edge has heard of it
			a, body := askSite(t, one.URL, "/nope")
			if a.StatusCode == 404 && body != "no" && a.Header.Get("X-Frame-Options") == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("with notFound none: %d %v %q", a.StatusCode, a.Header, body)
			}
		}
	})
}

func TestPromoteWithoutGrace(t *testing.T) {
	startUp(t)
	dir := write(t, filepath.Join(t.TempDir(), "graceful"), map[string]string{
		"index.html": "one", "assets/a.js": "a", "mini-vercel.json": `{"immutable":["assets/**"],"notFound":"none"}`,
	})
	if r := command(t, "deploy", dir, "-y"); r.code != 0 {
		t.Fatalf("deploy: %+v", r)
	}
	write(t, dir, map[string]string{"index.html": "two"})
	if err := os.Remove(filepath.Join(dir, "assets", "a.js")); err != nil {
		t.Fatal(err)
	}
	r := command(t, "deploy", dir, "-y", "--prod", "--json")
	two := decode[outcome](t, r.stdout)
	answers := func(path, want string, status int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // until the edge has heard of it
			a, body := askSite(t, two.URL, path)
			if a.StatusCode == status && (want == "" || body == want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d %q", path, a.StatusCode, body)
			}
		}
	}
	answers("/", "two", 200)
	answers("/assets/a.js", "a", 200)
	if r := command(t, "promote", two.ID[:8], "-y", "--no-grace"); r.code != 0 {
		t.Fatalf("promote: %+v", r)
	}
	answers("/assets/a.js", "", 404)
	answers("/", "two", 200)
}
