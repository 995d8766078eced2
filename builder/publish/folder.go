package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Folder is what [Scan] found: the files that would be published, by name and
// size, and the texts that steer how they are served.
type Folder struct {
	Dir    string
	Rules  site.RuleSources
	Config site.Config // what Rules.Config says

	files []file
	bytes int64
}

// file is a file of a folder.
type file struct {
	name     string // relative to the folder, with slashes
	real     string // where its bytes are, relative to the folder: another name where a link leads
	size     int64
	modified time.Time
}

// Len returns the number of files.
func (f *Folder) Len() int { return len(f.files) }

// Bytes returns the size of all files.
func (f *Folder) Bytes() int64 { return f.bytes }

// Has reports whether the folder has a file of that name, relative to it and
// with slashes.
func (f *Folder) Has(name string) bool {
	for i := range f.files {
		if f.files[i].name == name {
			return true
		}
	}
	return false
}

// Scan walks dir without reading its files and checks names, links and limits.
// Its errors name the offender and say what to do. .git, node_modules and .env
// files are never part of a folder; other names that begin with a dot are left
// out, but .well-known.
func Scan(ctx context.Context, dir string, limits Limits) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, cause(err))
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, cause(err))
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; name the folder that it is in", dir)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, cause(err))
	}
	defer root.Close()
	w := &walk{ctx: ctx, abs: abs, root: root, limits: limits.withDefaults(), folder: &Folder{Dir: abs}}
	if err := w.dir("", "."); err != nil {
		return nil, err
	}
	if len(w.folder.files) == 0 {
		return nil, fmt.Errorf("folder %s has no files to publish; name the folder that the build writes", dir)
	}
	if w.folder.Rules.Config != "" {
		if w.folder.Config, err = site.ParseConfig([]byte(w.folder.Rules.Config)); err != nil {
			return nil, err
		}
	}
	return w.folder, nil
}

// walk is one pass over a folder.
type walk struct {
	ctx    context.Context
	abs    string
	root   *os.Root
	limits Limits
	folder *Folder
	above  []fs.FileInfo // the directories that lead to the current one, to notice loops of links
}

// dir walks one directory: name is how it is published, real where it is.
func (w *walk) dir(name, real string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	d, err := w.root.Open(real)
	if err != nil {
		return fmt.Errorf("folder %q: %w", shown(name), cause(err))
	}
	info, err := d.Stat()
	if err != nil {
		d.Close()
		return fmt.Errorf("folder %q: %w", shown(name), cause(err))
	}
	for _, a := range w.above {
		if os.SameFile(a, info) {
			d.Close()
			return fmt.Errorf("link %q leads back to a folder above it and would never end; remove it", name)
		}
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return fmt.Errorf("folder %q: %w", shown(name), cause(err))
	}
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	for _, e := range entries {
		if skipped(e.Name()) {
			continue
		}
		if err := w.entry(path.Join(name, e.Name()), path.Join(real, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(name, real string, e fs.DirEntry) error {
	if err := checkName(name); err != nil {
		return err
	}
	mode := e.Type()
	if mode&fs.ModeSymlink != 0 {
		var keep bool
		var err error
		if real, mode, keep, err = w.follow(name, real); err != nil || !keep {
			return err
		}
	}
	switch {
	case mode.IsDir():
		return w.dir(name, real)
	case !mode.IsRegular():
		return fmt.Errorf("%q is neither a file nor a folder (%s); remove it", name, mode.Type())
	}
	info, err := w.root.Lstat(real)
	if err != nil {
		return fmt.Errorf("file %q: %w", name, cause(err))
	}
	if taken, err := w.rule(name, real, info.Size()); taken || err != nil {
		return err
	}
	return w.add(file{name: name, real: real, size: info.Size(), modified: info.ModTime()})
}

// follow resolves a link. Its target must be in the folder, whichever way the
// link is written; one that leads to what is never published is left out.
func (w *walk) follow(name, real string) (string, fs.FileMode, bool, error) {
	target, err := filepath.EvalSymlinks(filepath.Join(w.abs, filepath.FromSlash(real)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", 0, false, fmt.Errorf("link %q leads to nothing; remove it, or make what it names", name)
	case err != nil && strings.Contains(err.Error(), "too many links"):
		return "", 0, false, fmt.Errorf("link %q leads to itself; remove it", name)
	case err != nil:
		return "", 0, false, fmt.Errorf("link %q: %w", name, cause(err))
	}
	rel, err := filepath.Rel(w.abs, target)
	if err != nil || !filepath.IsLocal(rel) {
		return "", 0, false, fmt.Errorf("link %q leads out of the folder that is published; replace it with what it names", name)
	}
	rel = filepath.ToSlash(rel)
	for part := range strings.SplitSeq(rel, "/") {
		if rel != "." && skipped(part) {
			return "", 0, false, nil
		}
	}
	info, err := w.root.Lstat(rel)
	if err != nil {
		return "", 0, false, fmt.Errorf("link %q: %w", name, cause(err))
	}
	return rel, info.Mode(), true, nil
}

// rule takes the files in the folder's root that steer how it is served.
func (w *walk) rule(name, real string, size int64) (taken bool, err error) {
	var into *string
	switch name {
	case site.ConfigName:
		into = &w.folder.Rules.Config
	case site.RedirectsName:
		into = &w.folder.Rules.Redirects
	case site.HeadersName:
		into = &w.folder.Rules.Headers
	default:
		return false, nil
	}
	if size > site.MaxRuleFile {
		return true, fmt.Errorf("file %q has %d bytes; the most for rules is %d", name, size, site.MaxRuleFile)
	}
	f, err := openFile(w.root, real)
	if err != nil {
		return true, fmt.Errorf("file %q: %w", name, cause(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, site.MaxRuleFile))
	if err != nil {
		return true, fmt.Errorf("file %q: %w", name, cause(err))
	}
	*into = strings.ToValidUTF8(string(text), "�")
	return true, nil
}

func (w *walk) add(f file) error {
	if f.size > w.limits.FileBytes {
		return fmt.Errorf("file %q has %s, the most for one file is %s; make it smaller, or raise the setting MAX_FILE_MIB",
			f.name, Bytes(f.size), Bytes(w.limits.FileBytes))
	}
	if len(w.folder.files) == w.limits.Files {
		return fmt.Errorf("the folder has more than %d files, %q is the first beyond; publish the build's output alone, or raise the setting MAX_FILES",
			w.limits.Files, f.name)
	}
	if w.folder.bytes += f.size; w.folder.bytes > w.limits.TotalBytes {
		largest := f
		for _, g := range w.folder.files {
			if g.size > largest.size {
				largest = g
			}
		}
		return fmt.Errorf("the folder has more than %s (%q is its largest file so far, %s); publish less, or raise the setting MAX_DEPLOYMENT_MIB",
			Bytes(w.limits.TotalBytes), largest.name, Bytes(largest.size))
	}
	w.folder.files = append(w.folder.files, f)
	return nil
}

// skipped reports whether a name is never published, wherever it stands.
func skipped(name string) bool {
	return name == "node_modules" || strings.HasPrefix(name, ".") && name != ".well-known"
}

func checkName(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("the name %q is not valid UTF-8 and can't be part of an address; rename it", name)
	}
	for _, r := range path.Base(name) {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("the name %q has a control character and can't be part of an address; rename it", name)
		}
	}
	if len(name)+1 > site.MaxPathLength {
		return fmt.Errorf("the path %q… has %d bytes, the most is %d; shorten it", name[:64], len(name), site.MaxPathLength-1)
	}
	return nil
}

// openFile opens a file below root without following links out of it and
// without waiting for the writer of a pipe that took the file's place.
func openFile(root *os.Root, name string) (*os.File, error) {
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func shown(name string) string {
	if name == "" {
		return "."
	}
	return name
}

// cause drops the operation and the path that the caller names better.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Bytes writes a size for people, in powers of 1,024.
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	return strings.Replace(fmt.Sprintf("%.1f %ciB", v, "BKMGT"[unit]), ".0 ", " ", 1)
}
