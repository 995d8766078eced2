package source

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"net/url"
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

// forge serves the repositories below a folder over HTTPS, as a public one
// would, at git.example.
type forge struct {
	*httptest.Server
	g        *Git
	said     *[]string
	root     string
	password string
	handler  func(w http.ResponseWriter, r *http.Request) bool
	requests atomic.Int64
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := &forge{root: t.TempDir()}
	backend := &cgi.Handler{
		Path: filepath.Join(git(t, ".", "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + f.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		if f.handler != nil && f.handler(w, r) {
			return
		}
		if _, password, _ := r.BasicAuth(); password != f.password {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	f.Server.TLS = &tls.Config{}
	f.StartTLS()
	t.Cleanup(f.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(ca, certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	f.g, f.said = newGit(t)
	f.g.extraEnv = []string{"GIT_SSL_CAINFO=" + ca}
	f.g.Network = Network{Resolver: names{"example.com": {"127.0.0.1"}}, trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	return f
}

// address is the repository's public address: the test certificate is for
// example.com.
func (f *forge) address(name string) string {
	u, err := url.Parse(f.Server.URL)
	if err != nil {
		panic(err)
	}
	return "https://example.com:" + u.Port() + "/" + name
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

// withSubmodule commits a submodule that .gitmodules describes as it is told.
func withSubmodule(t *testing.T, dir, commit, place, modules string) {
	t.Helper()
	write(t, dir, map[string]string{".gitmodules": modules})
	git(t, dir, "add", ".gitmodules")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+place)
	git(t, dir, "commit", "-qm", "add a submodule")
}

func TestSubmodulesAreFetched(t *testing.T) {
	f := newForge(t)
	f.password = "hunter2-secret"
	leaf := repository(t, filepath.Join(f.root, "leaf"), map[string]string{"leaf.txt": "leaf"})
	library := repository(t, filepath.Join(f.root, "group/library"), map[string]string{"library.txt": "library"}, map[string]string{"library.txt": "newer"})
	withSubmodule(t, library, git(t, leaf, "rev-parse", "HEAD"), "deep/leaf", "[submodule \"leaf\"]\n\tpath = deep/leaf\n\turl = ../../leaf\n")
	app := repository(t, filepath.Join(f.root, "group/app"), map[string]string{"app.txt": "app"})
	withSubmodule(t, app, git(t, library, "rev-parse", "HEAD"), "themes/library",
		"[submodule \"library\"]\n\tpath = themes/library\n\turl = "+f.address("group/library")+"\n[submodule \"gone\"]\n\tpath = gone\n\turl = file:///etc\n")
	to := filepath.Join(t.TempDir(), "build")
	if _, err := f.g.Clone(t.Context(), site.GitSource{URL: f.address("group/app"), Branch: "main", Password: f.password}, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"app.txt": "app", "themes/library/library.txt": "newer", "themes/library/deep/leaf/leaf.txt": "leaf"} {
		if got := read(t, to, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestSubmodulesThatAreRefused(t *testing.T) {
	f := newForge(t)
	secret := repository(t, t.TempDir(), map[string]string{"secret.txt": "secret"})
	commit := git(t, secret, "rev-parse", "HEAD")
	for i, c := range []struct{ name, place, modules, want string }{
		{"on this machine", "sub", "path = sub\n\turl = file://" + secret, "not allowed"},
		{"a path", "sub", "path = sub\n\turl = " + secret, "no scheme"},
		{"a path upwards", "sub", "path = sub\n\turl = ../../../../.." + secret, "leaves the host"},
		{"a helper", "sub", "path = sub\n\turl = ext::touch${IFS}/tmp/x", "remote helpers"},
		{"an option", "sub", "path = sub\n\turl = --upload-pack=id", "begins with -"},
		{"on loopback", "sub", "path = sub\n\turl = https://127.0.0.2/x", "not a public address"},
		{"a line break in it", "sub", "path = sub\n\turl = \"https://example.com/x\\nurl = file:///etc\"", "control character"},
		{"a command", "sub", "path = sub\n\turl = https://127.0.0.2/x\n\tupdate = !touch /tmp/x", "not a public address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprintf("app%d", i)
			app := repository(t, filepath.Join(f.root, name), map[string]string{"app.txt": "app"})
			withSubmodule(t, app, commit, c.place, "[submodule \"sub\"]\n\t"+c.modules+"\n")
			for _, from := range []site.GitSource{{URL: f.address(name)}, {URL: "file://" + app, AllowLocal: true}} {
				g := *f.g
				g.Network.trusted = nil
				if !from.AllowLocal {
					g.Network.trusted = f.g.Network.trusted
				}
				_, err := g.Clone(t.Context(), from, filepath.Join(t.TempDir(), "build"))
				if err == nil || !strings.Contains(err.Error(), `submodule "sub"`) {
					t.Errorf("%s: %v", from.URL, err)
				}
				if !from.AllowLocal && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
		})
	}
}

func TestModulePathsThatAreRefused(t *testing.T) {
	for _, name := range []string{"..", "../x", "/x", ".git", "a/.git/hooks", ".GIT/x", ".git ./x", "a//b", "a/../b", ".", "x\r"} {
		if checkModulePath(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"a", "a/b", ".github/x", "a.git"} {
		if err := checkModulePath(name); err != nil {
			t.Error(err)
		}
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
	g.LimitBytes = 64 << 10
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
