package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// List walks the directories that can hold such keys, one at a time, as far as
// the caller reads.
func (d *Dir) List(ctx context.Context, prefix string, opts ListOptions) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		l := lister{ctx: ctx, dir: d, after: opts.After, prefix: prefix, yield: yield}
		if err := checkPrefix(prefix); err != nil {
			l.fail(err)
			return
		}
		l.list(prefix[:strings.LastIndexByte(prefix, '/')+1])
	}
}

type lister struct {
	ctx    context.Context
	dir    *Dir
	prefix string
	after  string
	yield  func(Info, error) bool
}

func (l *lister) fail(err error) bool {
	l.yield(Info{}, fmt.Errorf("list %s: %w", l.prefix, err))
	return false
}

// list yields the objects of one directory, which is named by what its keys
// begin with, and reports whether the walk goes on.
func (l *lister) list(dir string) bool {
	if err := l.ctx.Err(); err != nil {
		return l.fail(err)
	}
	f, err := l.dir.root.OpenFile(strings.TrimSuffix(objectsDir+"/"+dir, "/"), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return true
	}
	if err != nil {
		return l.fail(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	names, err := l.names(fd, dir)
	if err != nil {
		return l.fail(err)
	}
	for _, name := range names {
		key := dir + name
		if strings.HasSuffix(name, "/") {
			if !l.list(key) {
				return false
			}
			continue
		}
		var st unix.Stat_t
		err := ignoringEINTR(func() error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
		if errors.Is(err, fs.ErrNotExist) || err == nil && !isRegular(&st) {
			continue // deleted since the directory was read
		}
		if err != nil {
			return l.fail(err)
		}
		if !l.yield(infoOf(key, &st), nil) {
			return false
		}
	}
	return true
}

// names returns the entries of a directory that matter, in the order of their
// keys. Those of directories end in a slash, which sorts "a-b" before "a/b".
func (l *lister) names(fd int, dir string) ([]string, error) {
	// A file that came from an os.Root would stat every entry here already.
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
			name += "/"
			key := dir + name
			behind := key > l.after || strings.HasPrefix(l.after, key)
			if !behind || !strings.HasPrefix(key, l.prefix) && !strings.HasPrefix(l.prefix, key) {
				continue
			}
		case !e.Type().IsRegular():
			continue
		case l.after != "" && dir+name <= l.after || !strings.HasPrefix(dir+name, l.prefix):
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
