package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// ArchiveLimits bound what an archive may become.
type ArchiveLimits struct {
	Files      int   // entries of every kind
	FileBytes  int64 // of one file
	TotalBytes int64 // of all files
}

const (
	maxName  = 4096
	maxDepth = 256
	// An archive of text shrinks to a tenth; one that grows two hundredfold,
	// past what is harmless anyway, was made to fill the disk.
	maxRatio   = 200
	freeOfRate = 64 << 20
)

// Unpack unpacks a .tar.gz, .tar.zst, .tar or .zip archive, whatever its name,
// into dir, which is there. If all of it is in one folder, as archives of
// repositories are, that folder's content is unpacked. Errors name the offender.
func Unpack(ctx context.Context, file, dir string, limits ArchiveLimits) error {
	in, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("open the archive: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the sources' directory: %w", err)
	}
	defer root.Close()
	u := &unpacker{ctx: ctx, root: root, limits: limits, packed: info.Size(), seen: map[string]bool{}}
	if err := u.unpack(in); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("the archive can't be unpacked: %w", err)
	}
	return unwrap(root)
}

// unpacker writes the entries of one archive.
type unpacker struct {
	ctx    context.Context
	root   *os.Root
	limits ArchiveLimits
	packed int64

	entries int
	written int64
	seen    map[string]bool // names that are taken; true: by a directory
	links   []link
}

// link is a symbolic link, made when everything else is there: nothing may be
// written through one.
type link struct{ name, target string }

var errKind = errors.New("it is neither a .tar.gz, .tar.zst, .tar nor .zip archive")

func (u *unpacker) unpack(in *os.File) error {
	var head [512]byte
	n, err := io.ReadFull(in, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	if n == 0 {
		return errors.New("it is empty")
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head[:], []byte{0x1f, 0x8b}):
		err = u.gzip(in)
	case bytes.HasPrefix(head[:], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		err = u.zstd(in)
	case bytes.HasPrefix(head[:], []byte("PK\x03\x04")), bytes.HasPrefix(head[:], []byte("PK\x05\x06")):
		err = u.zip(in)
	case string(head[257:262]) == "ustar":
		err = u.tar(in)
	default:
		err = errKind
	}
	if err != nil {
		return err
	}
	if u.entries == 0 {
		return errors.New("it holds no files")
	}
	return u.makeLinks()
}

// name checks an entry's name and returns it in normal form.
func (u *unpacker) name(raw string) (string, error) {
	if u.entries++; u.entries > u.limits.Files {
		return "", fmt.Errorf("it has more than %d entries", u.limits.Files)
	}
	refuse := func(why string) (string, error) { return "", fmt.Errorf("entry %.200q: %s", raw, why) }
	switch {
	case len(raw) > maxName:
		return refuse("its name is too long")
	case !utf8.ValidString(raw):
		return refuse("its name is not UTF-8")
	case strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refuse("its name holds a control character")
	case strings.Contains(raw, `\`):
		return refuse("its name holds a backslash; folders are separated by /")
	case path.IsAbs(raw), len(raw) > 1 && raw[1] == ':' && raw[0] < 0x7f && strings.ContainsAny(raw[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"):
		return refuse("its name is absolute")
	}
	for part := range strings.SplitSeq(raw, "/") {
		if part == ".." {
			return refuse("its name leads out of the archive (..)")
		}
		if len(part) > 255 {
			return refuse("a part of its name is too long")
		}
	}
	name := path.Clean(raw)
	if !filepath.IsLocal(name) {
		return refuse("its name leads out of the archive")
	}
	if strings.Count(name, "/") > maxDepth {
		return refuse(fmt.Sprintf("it is more than %d folders deep", maxDepth))
	}
	return name, u.ctx.Err()
}

func (u *unpacker) dir(name string) error {
	if name == "." {
		return nil
	}
	if isDir, taken := u.seen[name]; taken && !isDir {
		return fmt.Errorf("entry %q: a file has that name, too", name)
	}
	if err := u.parents(name); err != nil {
		return err
	}
	if err := u.root.MkdirAll(name, 0o755); err != nil {
		return fmt.Errorf("entry %q: %w", name, reason(err))
	}
	u.seen[name] = true
	return nil
}

// parents notes the folders above a name.
func (u *unpacker) parents(name string) error {
	for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
		isDir, taken := u.seen[parent]
		if taken && !isDir {
			return fmt.Errorf("entry %q: %q, above it, is no folder", name, parent)
		}
		if taken {
			return nil
		}
		u.seen[parent] = true
	}
	return nil
}

// file writes one file. What the entry itself says of its size is not believed.
func (u *unpacker) file(name string, mode fs.FileMode, in io.Reader) error {
	if name == "." {
		return errors.New(`entry ".": a file needs a name`)
	}
	if _, taken := u.seen[name]; taken {
		return fmt.Errorf("entry %q is there twice", name)
	}
	if err := u.parents(name); err != nil {
		return err
	}
	u.seen[name] = false
	if dir := path.Dir(name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("entry %q: %w", name, reason(err))
		}
	}
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	out, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return fmt.Errorf("entry %q: %w", name, reason(err))
	}
	err = u.copy(name, out, in)
	if closeErr := out.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("entry %q: %w", name, reason(closeErr))
	}
	return err
}

const copyBytes = 1 << 20

func (u *unpacker) copy(name string, out io.Writer, in io.Reader) error {
	size := int64(0)
	for {
		n, err := io.CopyN(out, in, copyBytes)
		size += n
		u.written += n
		switch {
		case u.ctx.Err() != nil:
			return u.ctx.Err()
		case size > u.limits.FileBytes:
			return fmt.Errorf("entry %q is larger than the %s that a file may have", name, megabytes(u.limits.FileBytes))
		case u.written > u.limits.TotalBytes:
			return fmt.Errorf("its files are larger than %s in all (at entry %q)", megabytes(u.limits.TotalBytes), name)
		case u.written > freeOfRate && u.written > maxRatio*u.packed:
			return fmt.Errorf("it grows to more than %d times its size (at entry %q)", maxRatio, name)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("entry %q: %w", name, err)
		}
	}
}

func (u *unpacker) link(name, target string) error {
	if _, taken := u.seen[name]; taken || name == "." {
		return fmt.Errorf("entry %q is there twice", name)
	}
	if target == "" || len(target) > maxName || !utf8.ValidString(target) || strings.ContainsFunc(target, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("entry %q: its target is not allowed", name)
	}
	if path.IsAbs(target) || strings.Contains(target, `\`) || !filepath.IsLocal(path.Join(path.Dir(name), target)) {
		return fmt.Errorf("entry %q: the link leads out of the archive, to %.200q", name, target)
	}
	if err := u.parents(name); err != nil {
		return err
	}
	u.seen[name] = false
	u.links = append(u.links, link{name, target})
	return nil
}

func (u *unpacker) makeLinks() error {
	for _, l := range u.links {
		if dir := path.Dir(l.name); dir != "." {
			if err := u.root.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("entry %q: %w", l.name, reason(err))
			}
		}
		if err := u.root.Symlink(l.target, l.name); err != nil {
			return fmt.Errorf("entry %q: %w", l.name, reason(err))
		}
	}
	for _, l := range u.links {
		// Each target alone stays inside; over another link it may not.
		if _, err := u.root.Stat(l.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("entry %q: the link leads out of the archive, to %.200q", l.name, l.target)
		}
	}
	return nil
}

// unwrap moves the content of a single folder up to where the folder is.
func unwrap(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return fmt.Errorf("read the sources' directory: %w", err)
	}
	if len(entries) != 1 || !entries[0].IsDir() {
		return nil
	}
	const aside = ".mini-vercel-unpacked"
	if err := root.Rename(entries[0].Name(), aside); err != nil {
		return fmt.Errorf("unpack the archive: %w", err)
	}
	inner, err := fs.ReadDir(root.FS(), aside)
	if err != nil {
		return fmt.Errorf("unpack the archive: %w", err)
	}
	for _, entry := range inner {
		if entry.Name() == aside {
			return fmt.Errorf("unpack the archive: the name %q is not allowed", aside)
		}
		if err := root.Rename(path.Join(aside, entry.Name()), entry.Name()); err != nil {
			return fmt.Errorf("unpack the archive: %w", err)
		}
	}
	return root.Remove(aside)
}

// reason takes the paths of this machine out of an error.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func megabytes(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
