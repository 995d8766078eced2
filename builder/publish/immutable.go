package publish

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// immutables decides which files of a folder keep their bytes for ever, so that
// browsers may keep them for a year.
type immutables struct {
	globs   []string        // of mini-vercel.json
	folders []string        // with a slash at the end
	hashed  bool            // in folders, only names that end in a hash
	sources map[string]bool // every end of a path in the sources, from a slash on
	index   string          // the text of index.html, for Vite's layout
}

// onlyHashed are folders that build tools give to files whose path changes
// with their content, and to nothing else.
var onlyHashed = []string{"_next/static/", "_astro/", "_app/immutable/", "_nuxt/"}

const maxIndex = 1 << 20

func newImmutables(root *os.Root, folder *Folder, globs []string, rule *FrameworkRule) (*immutables, error) {
	m := &immutables{globs: globs, folders: onlyHashed}
	for _, g := range globs {
		if !doublestar.ValidatePattern(g) {
			return nil, fmt.Errorf("mini-vercel.json: immutable: %q is not a valid pattern", g)
		}
	}
	if rule == nil {
		for i := range folder.files {
			f := &folder.files[i]
			if f.name != "index.html" || f.size > maxIndex {
				continue
			}
			in, err := openUnchanged(root, f)
			if err != nil {
				return nil, err
			}
			text, err := io.ReadAll(in)
			in.Close()
			if err != nil {
				return nil, fmt.Errorf("file %q: %w", f.name, cause(err))
			}
			m.index = string(text)
		}
		return m, nil
	}
	m.hashed = true
	m.folders = nil
	for _, f := range rule.Folders {
		m.folders = append(m.folders, strings.Trim(f, "/")+"/")
	}
	m.sources = make(map[string]bool, len(rule.Sources))
	for _, name := range rule.Sources {
		for {
			m.sources[name] = true
			_, rest, ok := strings.Cut(name, "/")
			if !ok {
				break
			}
			name = rest
		}
	}
	return m, nil
}

// has reports whether the file of that name, relative to the folder, is
// immutable.
func (m *immutables) has(name string) bool {
	for _, g := range m.globs {
		if doublestar.MatchUnvalidated(g, name) {
			return true
		}
	}
	for _, f := range m.folders {
		if strings.HasPrefix(name, f) || f == "/" {
			return !m.hashed || endsInHash(path.Base(name)) && !m.sources[name]
		}
	}
	return !m.hashed && m.viteAsset(name)
}

// viteAsset reports whether name is one that Vite gives, assets/NAME-HASH8.EXT,
// and the site's page refers to it.
func (m *immutables) viteAsset(name string) bool {
	base, ok := strings.CutPrefix(name, "assets/")
	if !ok || strings.Contains(base, "/") || !endsInHash(base) {
		return false
	}
	stem := strings.TrimSuffix(base, path.Ext(base))
	n := len(stem) - 8
	return n > 1 && stem[n-1] == '-' && isHash(stem[n:]) && strings.Contains(m.index, name)
}

// endsInHash reports whether the name of a file, without its extension and a
// final .min or .lean, ends in a hash of its content as build tools write it: a
// dot and at least eight hexadecimal digits; or, behind the last dot or hyphen,
// or as the last eight characters where one stands before them, at least eight
// characters of base64url among which are a letter, and a digit or a capital
// other than the first. A name that is nothing but hexadecimal digits of both
// kinds, as Next.js gives, is a hash as well.
func endsInHash(base string) bool {
	stem := strings.TrimSuffix(base, path.Ext(base))
	stem = strings.TrimSuffix(strings.TrimSuffix(stem, ".min"), ".lean")
	if i := strings.LastIndexByte(stem, '.'); i >= 0 && isHex(stem[i+1:]) {
		return true
	}
	if i := strings.LastIndexAny(stem, ".-"); i >= 0 && isHash(stem[i+1:]) {
		return true
	}
	if isHex(stem) && isHash(stem) {
		return true
	}
	n := len(stem) - 8
	return n > 0 && (stem[n-1] == '.' || stem[n-1] == '-') && isHash(stem[n:])
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return len(s) >= 8
}

func isHash(s string) bool {
	letter, mixed := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			letter = true
		case c >= 'A' && c <= 'Z':
			letter = true
			mixed = mixed || i > 0
		case c >= '0' && c <= '9':
			mixed = mixed || i > 0
		case c != '-' && c != '_':
			return false
		}
	}
	return len(s) >= 8 && letter && mixed
}

// SourceFiles lists the files of a project's sources, relative to dir and with
// slashes, for [FrameworkRule]. It must be called before the first command of a
// build runs, so that what the build writes is not taken for a source.
func SourceFiles(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules"):
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err == nil {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the sources: %w", err)
	}
	return names, nil
}
