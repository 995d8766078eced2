//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRulesOfAFolderAndOfABuildGoLive(t *testing.T) {
	p := start(t)
	rules := map[string]string{
		"_redirects": "/old/* /docs/:splat 301\n/wrong\n/alias /docs/a.html 200\n/* /index.html 200\n",
		"_headers":   "/docs/*\n  X-Docs: :splat\n  Vary: x\n",
	}
	files := map[string]string{"index.html": "home", "docs/a.html": "a"}
	for name, text := range rules {
		files[name] = text
	}
	dir := folder(t, files)
	checked, _, code := p.run("rules", "check", dir)
	if code != 1 || !strings.Contains(checked, "_redirects:2: ") || !strings.Contains(checked, "sets notFound to") {
		t.Fatalf("rules check: %d\n%s", code, checked)
	}
	serves := func(r result) {
		t.Helper()
		p.serves(r.URL, "/alias", "a")
		p.serves(r.URL, "/any/page", "home")
		if status, _ := p.get(r.URL, "/old/a"); status != http.StatusMovedPermanently {
			t.Errorf("a redirect: %d", status)
		}
		if status, _ := p.get(r.URL, "/missing.js"); status != http.StatusNotFound {
			t.Errorf("a missing script: %d", status)
		}
		if status, _ := p.get(r.URL, "/_redirects"); status == http.StatusMovedPermanently {
			t.Error("the rules are served")
		}
		explained, _, code := p.run("explain", r.URL+"/old/a?q")
		if code != 0 || !strings.HasPrefix(explained, "301 to /docs/a?q\n") || !strings.Contains(explained, "_redirects:1: /old/* /docs/:splat 301") || !strings.Contains(explained, "the edge has it in memory") {
			t.Errorf("explain: %d\n%s", code, explained)
		}
		if explained, _, code := p.run("explain", r.URL+"/missing.js"); code != 1 || !strings.HasPrefix(explained, "404, ") {
			t.Errorf("explain: %d\n%s", code, explained)
		}
		log, _, _ := p.run("logs", r.ID)
		if !strings.Contains(log, "Warning: _redirects:2: ") || !strings.Contains(log, "Warning: _headers:3: ") {
			t.Errorf("the log:\n%s", log)
		}
	}
	serves(p.deploy(0, dir, "--project", "ruled", "--prod"))

	build := script("mkdir -p dist/docs && cp _redirects _headers dist && echo home > dist/index.html && echo a > dist/docs/a.html")
	for name, text := range rules {
		build[name] = text
	}
	source, url := repository(t, build)
	serves(p.deploy(0, "--git", url, "--project", "built", "--prod"))

	if _, stderr, code := p.run("settings", "built", "--strict-rules"); code != 0 {
		t.Fatalf("settings: %d %s", code, stderr)
	}
	change := func(name, text string) {
		if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		commit(t, source, "next")
	}
	change("changed", "x")
	failed := p.deploy(1, "--git", url, "--project", "built", "--prod")
	if d := p.deployment(failed.ID); d.Status != "FAIL" || !strings.Contains(d.Reason, "_redirects:2: ") {
		t.Errorf("with strict rules it is %+v", d)
	}
	change("_redirects", "/old/* /docs/:splat 301\n")
	change("_headers", "/docs/*\n  X-Docs: :splat\n")
	p.deploy(0, "--git", url, "--project", "built", "--prod")
}
