//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAHostileBuildFindsNothing looks around from inside a build, and publishes
// what it saw.
func TestAHostileBuildFindsNothing(t *testing.T) {
	p := start(t, "SOME_PLATFORM_SECRET=do-not-show-7531")
	port := portOf(p.api)
	// What it looks for stands in a file, so that no command line names it.
	files := script("sh look.sh")
	files["look.sh"] = strings.Join([]string{
		"mkdir -p dist",
		"env > dist/env.txt",
		"cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' > dist/environ.txt",
		"cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' > dist/cmdline.txt",
		"ls -laR /root /home /srv '" + p.data + "' '" + p.config + "' > dist/ls.txt 2>/dev/null",
		"cat /etc/shadow > dist/shadow.txt 2>&1",
		"find / -name 'master.key' -o -name credentials.json -o -name '*.sock' > dist/find.txt 2>/dev/null",
		"bash -c 'echo > /dev/tcp/127.0.0.1/" + port + "' 2>/dev/null && echo reached > dist/loopback.txt || echo no > dist/loopback.txt",
		"(id -u; grep -E 'NoNewPrivs|CapEff|CapBnd' /proc/self/status) > dist/id.txt",
		"echo done > dist/index.html",
	}, "\n")
	_, url := repository(t, files)
	r := p.deploy(0, "--git", url, "--branch", "main", "--project", "hostile")
	see := func(name string) string {
		_, body := p.get(r.URL, "/"+name)
		return body
	}
	for _, name := range []string{"env.txt", "environ.txt", "cmdline.txt", "ls.txt", "find.txt"} {
		body := see(name)
		for _, secret := range []string{"do-not-show-7531", p.token(), "MINI_VERCEL_CLAIM", "master.key", "credentials.json", "mva_", "mvc_"} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows %s:\n%s", name, secret, tail(body, 2000))
			}
		}
	}
	if strings.Contains(see("environ.txt"), p.data) || strings.Contains(see("env.txt"), p.data) {
		t.Errorf("the environment names the data directory")
	}
	if body := see("shadow.txt"); strings.Contains(body, "root:") {
		t.Errorf("/etc/shadow can be read: %s", body)
	}
	if body := see("loopback.txt"); strings.TrimSpace(body) != "no" {
		t.Errorf("the control plane can be reached from a build: %s", body)
	}
	if id := see("id.txt"); strings.HasPrefix(id, "0\n") || !strings.Contains(id, "NoNewPrivs:\t1") || !strings.Contains(id, "CapEff:\t0000000000000000") {
		t.Errorf("a build's identity: %s", id)
	}
}

func TestASymlinkOutOfTheOutputIsRefused(t *testing.T) {
	p := start(t)
	_, url := repository(t, script("mkdir dist && echo hi > dist/index.html && ln -s /etc/passwd dist/passwd.txt"))
	r := p.deploy(1, "--git", url, "--branch", "main", "--project", "links")
	if !strings.Contains(r.Error, "passwd.txt") {
		t.Errorf("the reason does not name the link: %s", r.Error)
	}
	dir := folder(t, map[string]string{"index.html": "hi"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "passwd.txt")); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := p.run("deploy", dir, "--project", "links2", "-y")
	if code == 0 || !strings.Contains(stderr, "passwd.txt") {
		t.Errorf("a folder with such a link: %d %s", code, stderr)
	}
}

// TestALogChangesNothing prints what could break a log: control sequences,
// invalid UTF-8, endless lines, the platform's own events, and far too much.
func TestALogChangesNothing(t *testing.T) {
	p := start(t)
	_, url := repository(t, script(strings.Join([]string{
		`printf '[{\"v\":1,\"type\":\"failed\",\"reason\":\"fooled\",\"seq\":1}]\n'`,
		`printf 'pipeline completed\033[2J\033]0;title\007\377\376\n'`,
		`head -c 10000000 /dev/zero | tr '\\0' x`,
		`echo`,
		`yes 'the same line again and again, until there are many of them' | head -c 200000000`,
		`mkdir dist && echo fine > dist/index.html`,
	}, " && ")))
	r := p.deploy(0, "--git", url, "--branch", "main", "--project", "loud")
	p.serves(r.URL, "/", "fine")
	stdout, _, code := p.run("logs", r.ID)
	if code != 0 || len(stdout) > 17<<20 {
		t.Fatalf("logs: %d, %d bytes", code, len(stdout))
	}
	if !strings.Contains(stdout, "limit") {
		t.Errorf("the log does not say that it was cut: %s", tail(stdout, 500))
	}
	if strings.Contains(stdout, "\x1b]0;") || strings.Contains(stdout, "\xff") {
		t.Errorf("control sequences came through")
	}
	if size := usage(t, p.data); size > 120<<20 {
		t.Errorf("the data directory takes %d bytes", size)
	}
}

func TestGitURLsThatAreRefused(t *testing.T) {
	p := start(t, "ALLOW_LOCAL_GIT=0")
	for _, url := range []string{
		"ext::sh -c id", "--upload-pack=touch /tmp/x", "file:///etc", "ssh://git@example.com/x.git", "git@example.com:x.git",
		"http://example.com/x.git", "https://user:password@example.com/x.git", "https://127.0.0.1/x.git", "https://localhost/x.git",
		"https://169.254.169.254/x.git", "https://[::1]/x.git", "https://10.0.0.1/x.git",
	} {
		var problem struct{ Detail string }
		code := p.call(http.MethodPost, "/projects", map[string]any{"name": "refused", "gitURL": url}, &problem)
		if code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", url, code, problem.Detail)
		}
	}
}

// usage returns the bytes of all files below dir.
func usage(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // it has just been removed
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
