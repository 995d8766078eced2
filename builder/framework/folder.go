package framework

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
)

// maxFile is the longest file that is read, in bytes: configuration is short.
const maxFile = 4 << 20

// folder is a folder of the sources. Nothing outside of the root is ever read,
// whatever links say.
type folder struct {
	root *os.Root
	name string // relative to the root; "." is the root itself
	pkg  *packageJSON
}

// packageJSON is what matters in a package.json.
type packageJSON struct {
	Name            string            `json:"name"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]any    `json:"dependencies"`
	DevDependencies map[string]any    `json:"devDependencies"`
	Optional        map[string]any    `json:"optionalDependencies"`
	PackageManager  string            `json:"packageManager"`
	Engines         struct {
		Node string `json:"node"`
	} `json:"engines"`
	Workspaces any `json:"workspaces"`
}

// openFolder reads the folder's package.json, if it has one.
func openFolder(root *os.Root, name string) (*folder, error) {
	f := &folder{root: root, name: name}
	content, found, err := f.read("package.json")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(name, "package.json"), err)
	}
	if found {
		f.pkg = &packageJSON{}
		if err := json.Unmarshal(trimBOM(content), f.pkg); err != nil {
			// A field of the wrong type is npm's to complain of.
			var kind *json.UnmarshalTypeError
			if !asError(err, &kind) {
				return nil, fmt.Errorf("%s is not valid JSON: %w", path.Join(name, "package.json"), err)
			}
		}
	}
	return f, nil
}

func trimBOM(b []byte) []byte {
	if len(b) >= 3 && b[0] == 0xef && b[1] == 0xbb && b[2] == 0xbf {
		return b[3:]
	}
	return b
}

// read returns a regular file's content.
func (f *folder) read(name string) (content []byte, found bool, err error) {
	full := path.Join(f.name, name)
	info, err := f.root.Stat(full) // never opens what is no file, such as a pipe
	if err != nil || !info.Mode().IsRegular() {
		return nil, false, nil
	}
	if info.Size() > maxFile {
		return nil, false, fmt.Errorf("it has %d bytes, more than the %d that are read", info.Size(), maxFile)
	}
	file, err := f.root.Open(full)
	if err != nil {
		return nil, false, nil
	}
	defer file.Close()
	content, err = io.ReadAll(io.LimitReader(file, maxFile))
	return content, err == nil, err
}

// text returns a file's content, or nothing.
func (f *folder) text(name string) string {
	content, _, _ := f.read(name)
	return string(content)
}

func (f *folder) has(name string) bool {
	info, err := f.root.Stat(path.Join(f.name, name))
	return err == nil && info.Mode().IsRegular()
}

func (f *folder) isDir(name string) bool {
	info, err := f.root.Stat(path.Join(f.name, name))
	return err == nil && info.IsDir()
}

// find returns the first file whose name matches a pattern; the pattern's
// folders are literal.
func (f *folder) find(pattern string) string {
	dir, base := path.Split(pattern)
	for _, entry := range f.list(dir) {
		if ok, _ := path.Match(base, entry.Name()); ok && f.has(dir+entry.Name()) {
			return dir + entry.Name()
		}
	}
	return ""
}

// maxEntries bounds how much of one folder is listed.
const maxEntries = 10_000

// list returns a folder's entries by name.
func (f *folder) list(name string) []fs.DirEntry {
	if !f.isDir(name) {
		return nil
	}
	dir, err := f.root.Open(path.Join(f.name, name))
	if err != nil {
		return nil
	}
	defer dir.Close()
	entries, _ := dir.ReadDir(maxEntries)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	return entries
}

func (f *folder) uses(name string) bool {
	if f.pkg == nil {
		return false
	}
	for _, list := range []map[string]any{f.pkg.Dependencies, f.pkg.DevDependencies, f.pkg.Optional} {
		if _, ok := list[name]; ok {
			return true
		}
	}
	return false
}

func (f *folder) script(name string) string {
	if f.pkg == nil {
		return ""
	}
	return f.pkg.Scripts[name]
}
