package builder

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/builder/framework"
)

// TestProgramsSideBySide takes what a project asks for from the machine, and
// nothing from the npm registry.
func TestProgramsSideBySide(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	shelf := t.TempDir()
	for _, version := range []string{"20.99.9", "22.9.0", "22.99.10", "22.99.9", "24.99.0", "nonsense"} {
		writeProgram(t, shelf+"/node/"+version+"/bin/node", fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] && echo v%s && exit\nexec %s \"$@\"\n", version, node))
	}
	for _, version := range []string{"8.99.0", "9.99.0"} {
		writeProgram(t, shelf+"/pnpm/"+version+"/bin/pnpm", "#!/bin/sh\n[ \"$1\" = run ] && mkdir dist && echo pnpm "+version+" $(node --version) >dist/index.html\nexit 0\n")
	}
	files := map[string]string{"package.json": script("unused"), ".nvmrc": "22\n", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}
	r := newPlane(t, gitJob(repository(t, files))).build(func(c *Config) { c.SideBySide, c.Sandbox = shelf, "none" })
	r.succeeds()
	if got := strings.TrimSpace(r.file("/index.html")); got != "pnpm 9.99.0 v22.99.10" {
		t.Errorf("built with %q\n%s", got, r.log)
	}
	if !strings.Contains(r.log, "Using node 22.99.10") || strings.Contains(r.log, "Getting") {
		t.Error(r.log)
	}
}

func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	writeFiles(t, "/", map[string]string{path: text})
	if out, err := exec.Command("chmod", "755", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestTheNewestVersion(t *testing.T) {
	for want, of := range map[string][]string{
		"":        nil,
		"22.10.0": {"22.9.9", "22.10.0", "22.2.30"},
		"1.0.0":   {"2", "nonsense", "1.0.0"},
	} {
		if got := framework.Newest(of); got != want {
			t.Errorf("%v: got %q, want %q", of, got, want)
		}
	}
}
