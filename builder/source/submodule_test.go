package source

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

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
