package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Get opens an object. The body of a whole object is an *os.File.
func (d *Dir) Get(ctx context.Context, key string, opts GetOptions) (*Object, error) {
	if err := checkRead(ctx, key); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if opts.Offset < 0 || opts.Length < 0 {
		return nil, fmt.Errorf("get %s: a range of %d bytes from %d", key, opts.Length, opts.Offset)
	}
	if opts.IfNoneMatch != "" {
		info, err := d.stat(key)
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", key, err)
		}
		if info.ETag == opts.IfNoneMatch {
			return nil, fmt.Errorf("get %s: %w", key, ErrNotModified)
		}
	}
	f, info, err := d.open(key)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if info.ETag == opts.IfNoneMatch {
		return nil, errors.Join(fmt.Errorf("get %s: %w", key, ErrNotModified), f.Close())
	}
	if opts.Offset == 0 && (opts.Length == 0 || opts.Length >= info.Size) {
		return &Object{Info: info, Body: f}, nil
	}
	length := max(info.Size-opts.Offset, 0)
	if opts.Length > 0 {
		length = min(length, opts.Length)
	}
	return &Object{Info: info, Body: fileSection{io.NewSectionReader(f, opts.Offset, length), f}}, nil
}

// Stat describes an object by one system call.
func (d *Dir) Stat(ctx context.Context, key string) (Info, error) {
	if err := checkRead(ctx, key); err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	info, err := d.stat(key)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return info, nil
}

func checkRead(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return CheckKey(key)
}

// stat looks by path, not from the root's descriptor: it reads no bytes, so a
// link planted in the bucket could show nothing but a size.
func (d *Dir) stat(key string) (Info, error) {
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Lstat(d.objectPath(key), &st) }); err != nil {
		return Info{}, absent(err)
	}
	if !isRegular(&st) {
		return Info{}, fs.ErrNotExist
	}
	return infoOf(key, &st), nil
}

func (d *Dir) open(key string) (*os.File, Info, error) {
	f, err := d.root.OpenFile(objectsDir+"/"+key, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, Info{}, absent(err)
	}
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return nil, Info{}, errors.Join(err, f.Close())
	}
	if !isRegular(&st) {
		return nil, Info{}, errors.Join(fs.ErrNotExist, f.Close())
	}
	return f, infoOf(key, &st), nil
}

// absent gives the one error that a missing object has: "a/b" is also missing
// where "a" is an object.
func absent(err error) error {
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return fs.ErrNotExist
	}
	return err
}

// fileSection is a part of a file as a body.
type fileSection struct {
	*io.SectionReader
	file *os.File
}

func (s fileSection) Close() error { return s.file.Close() }

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
