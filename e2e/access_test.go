//go:build e2e

package e2e

import (
	"os"
	"testing"
)

// TestAccessInABrowser protects a project's previews in the dashboard, enters
// the password with JavaScript off, opens a share link, and ends both by a new
// password.
func TestAccessInABrowser(t *testing.T) {
	program := chromium(t)
	p := start(t)
	dir := folder(t, map[string]string{"index.html": "<h1>home</h1>", "docs/index.html": "<h1>docs</h1>"})
	production := p.deploy(0, dir, "--project", "guarded")
	preview := p.deploy(0, dir, "--project", "guarded", "--message", "Try another colour")
	cmd := browse("access.mjs", "CHROMIUM="+program, "SETUP="+p.setup, "PRODUCTION="+production.URL, "PREVIEW="+preview.URL,
		"DEPLOYMENT="+preview.ID[:8], "SCREENSHOTS="+os.Getenv("SCREENSHOTS"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if status, _ := p.get(preview.URL, "/"); status != 401 {
		t.Errorf("the preview answers %d to a stranger", status)
	}
	p.serves(production.URL, "/", "<h1>home</h1>")
}
