package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes a repository with a commit for each set of files.
func repository(t *testing.T, dir string, commits ...map[string]string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q", "-b", "main")
	for i, files := range commits {
		write(t, dir, files)
		git(t, dir, "add", "-A")
		git(t, dir, "commit", "-q", "--allow-empty", "-m", fmt.Sprintf("commit %d", i+1))
	}
	return dir
}

func newGit(t *testing.T) (*Git, *[]string) {
	t.Helper()
	said := &[]string{}
	return &Git{Scratch: t.TempDir(), Say: func(format string, args ...any) { *said = append(*said, fmt.Sprintf(format, args...)) }}, said
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestCloneTakesOneCommit(t *testing.T) {
	dir := repository(t, t.TempDir(), map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "two"})
	first, second := git(t, dir, "rev-parse", "HEAD~1"), git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "checkout", "-q", "-b", "feature/x")
	write(t, dir, map[string]string{"a.txt": "three"})
	git(t, dir, "commit", "-qam", "on a branch")
	git(t, dir, "checkout", "-q", "main")
	for _, c := range []struct{ name, branch, commit, want, message string }{
		{"the default branch", "", "", "two", "commit 2"},
		{"a branch", "feature/x", "", "three", "on a branch"},
		{"a commit", "", first, "one", "commit 1"},
		{"a commit of a branch", "main", first, "one", "commit 1"},
		{"a short commit", "main", second[:8], "two", "commit 2"},
		{"in capitals", "", strings.ToUpper(second), "two", "commit 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, said := newGit(t)
			to := filepath.Join(t.TempDir(), "build")
			facts, err := g.Clone(t.Context(), site.GitSource{URL: "file://" + dir, Branch: c.branch, Commit: c.commit, AllowLocal: true}, to)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, to, "a.txt"); got != c.want || facts.Message != c.message || facts.Author != "Ada" || len(facts.Commit) != 40 {
				t.Errorf("%q %+v", got, facts)
			}
			if len(*said) != 1 || !strings.Contains((*said)[0], c.message) {
				t.Errorf("%q", *said)
			}
			if c.commit == "" && git(t, to, "rev-list", "--count", "HEAD") != "1" {
				t.Error("the history came along")
			}
			if left, _ := os.ReadDir(g.Scratch); len(left) != 0 {
				t.Errorf("%v was left behind", left)
			}
		})
	}
}

func TestWhyACloneFails(t *testing.T) {
	dir := repository(t, t.TempDir(), map[string]string{"a.txt": "one"})
	empty := repository(t, t.TempDir())
	for _, c := range []struct {
		name string
		from site.GitSource
		want string
	}{
		{"no such branch", site.GitSource{URL: "file://" + dir, Branch: "other"}, `has no branch "other"`},
		{"no such commit", site.GitSource{URL: "file://" + dir, Commit: strings.Repeat("ab", 20)}, "no commit abab"},
		{"no such short commit", site.GitSource{URL: "file://" + dir, Commit: "abcdef"}, "no commit abcdef"},
		{"not a commit", site.GitSource{URL: "file://" + dir, Commit: "--upload-pack=id"}, "is no commit"},
		{"not a branch", site.GitSource{URL: "file://" + dir, Branch: "--upload-pack=id"}, "no name for a branch"},
		{"a ref", site.GitSource{URL: "file://" + dir, Branch: "main:refs/heads/x"}, "no name for a branch"},
		{"no repository", site.GitSource{URL: "file://" + t.TempDir()}, "no git repository"},
		{"empty", site.GitSource{URL: "file://" + empty}, "is empty"},
		{"not local", site.GitSource{URL: "https://127.0.0.1:1/x"}, "can't be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, _ := newGit(t)
			c.from.AllowLocal = true
			if _, err := g.Clone(t.Context(), c.from, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestNothingOfARepositoryRuns(t *testing.T) {
	trap := filepath.Join(t.TempDir(), "trap")
	dir := repository(t, t.TempDir(), map[string]string{
		".gitattributes": "*.txt filter=evil\n*.bin filter=lfs\n", "a.txt": "one", "b.bin": "pointer",
		".gitconfig": "[core]\n\thooksPath = hooks\n", "hooks/post-checkout": "#!/bin/sh\ntouch " + trap,
	})
	// The configuration of the machine and of the user, and the environment.
	home := t.TempDir()
	write(t, home, map[string]string{".gitconfig": "[filter \"evil\"]\n\tsmudge = touch " + trap + "\n[core]\n\thooksPath = " + dir + "/hooks\n\tsshCommand = touch " + trap + "\n"})
	if err := os.Chmod(filepath.Join(dir, "hooks/post-checkout"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
	t.Setenv("GIT_CONFIG_VALUE_0", dir+"/hooks")
	t.Setenv("GIT_TEMPLATE_DIR", dir)
	g, said := newGit(t)
	to := filepath.Join(t.TempDir(), "build")
	if _, err := g.Clone(t.Context(), site.GitSource{URL: "file://" + dir, AllowLocal: true}, to); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(trap); err == nil {
		t.Error("a hook or a filter was run")
	}
	if !strings.Contains(strings.Join(*said, "\n"), `Git LFS is not supported: 1 files, such as "b.bin"`) {
		t.Errorf("%q", *said)
	}
}

func TestCloneOverHTTPSGoesToThePinnedAddress(t *testing.T) {
	f := newForge(t)
	repository(t, filepath.Join(f.root, "x"), map[string]string{"a.txt": "one"})
	to := filepath.Join(t.TempDir(), "build")
	facts, err := f.g.Clone(t.Context(), site.GitSource{URL: f.address("x"), Branch: "main"}, to)
	if err != nil || read(t, to, "a.txt") != "one" || facts.Branch != "main" {
		t.Fatalf("%+v %v", facts, err)
	}
	branches, standard, err := f.g.Branches(t.Context(), site.GitSource{URL: f.address("x")})
	if err != nil || len(branches) != 1 || standard != "main" {
		t.Errorf("%v %q %v", branches, standard, err)
	}
}

// rebinding answers with a public address first, and with loopback after that.
type rebinding struct{ asked atomic.Int64 }

func TestANameIsResolvedOnce(t *testing.T) {
	f := newForge(t)
	repository(t, filepath.Join(f.root, "x"), map[string]string{"a.txt": "one"})
	// The name server says loopback only when nobody checks any more.
	r := &rebinding{}
	f.g.Network = Network{Resolver: resolverFunc(func() []netip.Addr {
		if r.asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("203.0.113.77")} // leads nowhere
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})}
	ctx, cancel := timeout(t, 1500*time.Millisecond)
	defer cancel()
	_, err := f.g.Clone(ctx, site.GitSource{URL: f.address("x"), Branch: "main"}, filepath.Join(t.TempDir(), "build"))
	if err == nil || f.requests.Load() != 0 || r.asked.Load() != 1 {
		t.Errorf("%v; %d requests, %d look-ups", err, f.requests.Load(), r.asked.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	f := newForge(t)
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer inner.Close()
	f.handler = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, inner.URL+r.URL.Path+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return true
	}
	_, err := f.g.Clone(t.Context(), site.GitSource{URL: f.address("x")}, filepath.Join(t.TempDir(), "build"))
	if err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
		t.Error(err)
	}
}

func TestCredentialsAreUsedAndNotShown(t *testing.T) {
	f := newForge(t)
	f.password = "hunter2-secret"
	repository(t, filepath.Join(f.root, "x"), map[string]string{"a.txt": "one"})
	to := filepath.Join(t.TempDir(), "build")
	if _, err := f.g.Clone(t.Context(), site.GitSource{URL: f.address("x"), Password: f.password}, to); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".git/config", ".git/FETCH_HEAD"} {
		if strings.Contains(read(t, to, name), f.password) {
			t.Errorf("%s has the password", name)
		}
	}
	_, err := f.g.Clone(t.Context(), site.GitSource{URL: f.address("x")}, filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "does not exist or is private") {
		t.Error(err)
	}
	_, err = f.g.Clone(t.Context(), site.GitSource{URL: f.address("x"), Password: "wrong-password"}, filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(err.Error(), "refuses the clone credentials") || strings.Contains(err.Error(), "wrong-password") {
		t.Error(err)
	}
}

func TestACloneEndsWithItsContext(t *testing.T) {
	f := newForge(t)
	f.handler = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	ctx, cancel := timeout(t, 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := f.g.Clone(ctx, site.GitSource{URL: f.address("x")}, filepath.Join(t.TempDir(), "build"))
	if err == nil || time.Since(began) > 4*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestAFileLargerThanTheDiskEndsTheClone(t *testing.T) {
	dir := repository(t, t.TempDir(), map[string]string{"a.bin": strings.Repeat("x", 1<<20)})
	g, _ := newGit(t)
	g.FileBytes = 64 << 10
	if _, err := g.Clone(t.Context(), site.GitSource{URL: "file://" + dir, AllowLocal: true}, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error(err)
	}
}

func TestAnOldGitIsRefused(t *testing.T) {
	for said, good := range map[string]bool{
		"git version 2.39.5\n": true, "git version 2.37.0 (Apple Git-1)": true, "git version 3.0.1": true,
		"git version 2.36.6": false, "git version 1.9": false, "": false, "busybox": false,
	} {
		if err := checkVersion(said); good != (err == nil) {
			t.Errorf("%q: %v", said, err)
		}
	}
}

func TestGitsMemoryIsBounded(t *testing.T) {
	dir := repository(t, t.TempDir(), map[string]string{"a.bin": strings.Repeat("x", 64<<20)})
	g, _ := newGit(t)
	g.MemoryBytes = 32 << 20
	if _, err := g.Clone(t.Context(), site.GitSource{URL: "file://" + dir, AllowLocal: true}, filepath.Join(t.TempDir(), "x")); err == nil || !strings.Contains(err.Error(), "more memory") {
		t.Error(err)
	}
	g.MemoryBytes = 1 << 30
	if _, err := g.Clone(t.Context(), site.GitSource{URL: "file://" + dir, AllowLocal: true}, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Error(err)
	}
}
