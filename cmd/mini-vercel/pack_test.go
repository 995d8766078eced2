package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// unpacked lists what an archive holds: names, with the targets of links.
func unpacked(t *testing.T, s *sources) (names []string) {
	t.Helper()
	f, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zip)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uname != "" || h.Uid != 0 {
			t.Errorf("%s tells whose it is: %+v", h.Name, h)
		}
		if h.Linkname != "" {
			h.Name += " -> " + h.Linkname
		}
		names = append(names, h.Name)
	}
}

func TestSourcesAreNotPackedWhereGitCantSayWhatToLeaveOut(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"package.json": "{}", ".git/config": "broken", ".gitignore": "*.key\n", "secret.key": "k"})
	s, err := packSources(t.Context(), dir)
	if err == nil {
		s.remove()
		t.Fatal("a secret may be in the archive")
	}
	if !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}

func TestPackedSources(t *testing.T) {
	files := map[string]string{
		"package.json": "{}", "src/a.ts": "a", ".npmrc": "x", ".env": "S=1", ".env.local": "S=1", "src/.envrc": "S",
		"node_modules/x/y.js": "y", "src/node_modules/z.js": "z", ".git/config": "c", "dist/old.js": "o", "secret.key": "k",
		".gitignore": "dist/\n*.key\n",
	}
	always := []string{".gitignore", ".npmrc", "link -> src/a.ts", "package.json", "src/", "src/a.ts"}
	for name, row := range map[string]struct {
		worktree bool
		want     []string
	}{
		"a folder":        {false, append([]string{"dist/", "dist/old.js", "secret.key"}, always...)},
		"a git work tree": {true, always},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, t.TempDir(), files)
			if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil {
				t.Fatal(err)
			}
			if row.worktree {
				git(t, dir, "init", "-q")
			}
			if err := os.Symlink("src/a.ts", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			s, err := packSources(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(row.want)
			if got := unpacked(t, s); !slices.Equal(got, row.want) {
				t.Errorf("%q, want %q", got, row.want)
			}
			bytes, err := os.ReadFile(s.path)
			if err != nil || site.HashOf(bytes) != s.hash || int64(len(bytes)) != s.size {
				t.Errorf("size or hash is not the archive's: %v", err)
			}
			s.remove()
			if exists(s.path) {
				t.Error("the archive is left")
			}
		})
	}
}
