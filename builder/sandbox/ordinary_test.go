package sandbox

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOrdinaryUser runs the tests of this package again as a user without
// rights, who finds /dev/net/tun open to all as on most machines.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("all tests run as an ordinary user already")
	}
	need(t, "unshare", "setpriv", "bwrap")
	home := t.TempDir()
	if err := os.Chmod(filepath.Dir(home), 0o755); err != nil {
		t.Fatal(err)
	}
	const id = 54321
	if err := os.Chown(home, id, id); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(home, "sandbox.test")
	if err := os.WriteFile(binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	const script = `mknod "$1/tun" c 10 200 && chmod 666 "$1/tun" && mount --bind "$1/tun" /dev/net/tun && cd "$1" || exit 1
id=$2; shift 2; exec setpriv --reuid $id --regid $id --clear-groups --inh-caps=-all -- "$@"`
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", script, "sh", home, "54321", binary, "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), "HOME="+home, "TMPDIR="+home, "CI=true")
	out, err := cmd.CombinedOutput()
	var summary strings.Builder
	for line := range strings.Lines(string(out)) {
		if err != nil || strings.Contains(line, "SKIP") {
			summary.WriteString(line)
		}
	}
	t.Logf("as user %d:\n%s", id, summary.String())
	if err != nil {
		t.Error(err)
	}
}
