//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestABrowser signs up, creates a project, deploys it, watches the log and
// opens the site, in Chromium.
func TestABrowser(t *testing.T) {
	program := chromium(t)
	p := start(t)
	_, url := repository(t, script("seq -f 'module %g' 4000; for i in 1 2 3 4 5; do echo step $i; sleep 0.3; done; mkdir dist && echo '<h1>from the browser</h1>' > dist/index.html"))
	shots := os.Getenv("SCREENSHOTS") // a directory to keep pictures in
	cmd := browse("browser.mjs", "CHROMIUM="+program, "SETUP="+p.setup, "REPOSITORY="+url, "SCREENSHOTS="+shots)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	p.serves("from-browser.localhost", "/", "<h1>from the browser</h1>")
}

// browse is a script that drives the browser. The browser ends with it, and it
// ends where this process is killed.
func browse(script string, env ...string) *exec.Cmd {
	cmd := exec.Command("node", script)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// chromium is the browser, without which the test is skipped; under CI=true it
// fails.
func chromium(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err == nil {
		return program
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("chromium is not installed")
	}
	t.Skip("chromium is not installed")
	return ""
}
