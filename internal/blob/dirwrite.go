package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Put writes an object to a temporary file, makes that durable, and gives it
// its name.
func (d *Dir) Put(ctx context.Context, key string, body io.Reader, size int64, opts PutOptions) (Info, error) {
	info, err := d.put(ctx, key, body, size, opts)
	if err != nil {
		return Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	return info, nil
}

func (d *Dir) put(ctx context.Context, key string, body io.Reader, size int64, opts PutOptions) (Info, error) {
	if err := checkRead(ctx, key); err != nil {
		return Info{}, err
	}
	if opts.IfNoneMatch && opts.IfMatch != "" {
		return Info{}, errors.New("a write can't ask for an object and for its absence")
	}
	// Asked again when the name is given; here it saves writing the body.
	if err := d.holds(key, opts); err != nil {
		return Info{}, err
	}
	s, err := d.stage(ctx, body, size, opts.SHA256, true)
	if err != nil {
		return Info{}, err
	}
	if err := d.name(ctx, s, key, opts); err != nil {
		return Info{}, errors.Join(err, d.discard(s))
	}
	if err := d.syncParents(key); err != nil {
		return Info{}, err
	}
	s.info.Key = key
	return s.info, nil
}

// holds checks the conditions of a write against the object that is there.
func (d *Dir) holds(key string, opts PutOptions) error {
	if !opts.IfNoneMatch && opts.IfMatch == "" {
		return nil
	}
	info, err := d.stat(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if exists := err == nil; exists && opts.IfNoneMatch || info.ETag != opts.IfMatch && !opts.IfNoneMatch {
		return ErrPrecondition
	}
	return nil
}

// staged is an object that has its bytes and its modification time, but not yet
// its name.
type staged struct {
	temp string // its path in the bucket
	info Info
}

func (d *Dir) discard(s staged) error {
	err := os.Remove(d.path + "/" + s.temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// stage writes a body to a temporary file and checks it.
func (d *Dir) stage(ctx context.Context, body io.Reader, size int64, sum *[32]byte, durable bool) (staged, error) {
	f, name, err := d.temp.create()
	if err != nil {
		return staged{}, err
	}
	s := staged{temp: name}
	err = copyBody(ctx, f, body, size, sum)
	if err == nil {
		err = d.stamp(f, &s)
	}
	if err == nil && durable {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return staged{}, errors.Join(err, d.discard(s))
	}
	return s, nil
}

// stamp sets the modification time, which is a part of the ETag.
func (d *Dir) stamp(f *os.File, s *staged) error {
	t, err := unix.TimeToTimespec(d.nextWrite())
	if err != nil {
		return err
	}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, f.Name(), []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set the time of %s: %w", f.Name(), err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.Name(), err)
	}
	s.info = infoOf("", &st)
	return nil
}

const copyBufferSize = 64 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// copyBody copies exactly size bytes. A small body is one write.
func copyBody(ctx context.Context, w io.Writer, body io.Reader, size int64, want *[32]byte) error {
	buf := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buf)
	hash := sha256.New()
	copied := int64(0)
	for done := false; !done; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fill(body, buf[:])
		done = errors.Is(err, io.EOF)
		if err != nil && !done {
			return fmt.Errorf("read the body: %w", err)
		}
		if copied += int64(n); copied > size {
			return fmt.Errorf("%w: the body has more than %d bytes", ErrContent, size)
		}
		if want != nil {
			_, _ = hash.Write(buf[:n])
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
	}
	if copied < size {
		return fmt.Errorf("%w: the body has %d bytes of %d", ErrContent, copied, size)
	}
	if want != nil {
		if got := hash.Sum(nil); !bytes.Equal(got, want[:]) {
			return fmt.Errorf("%w: the body's sha256 is %x, not %x", ErrContent, got, *want)
		}
	}
	return nil
}

// fill reads until the buffer is full or the body ends. Unlike io.ReadFull it
// keeps a body that broke off apart from one that ended.
func fill(body io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && err == nil; {
		var got int
		got, err = body.Read(buf[n:])
		n += got
		if got > 0 {
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// name gives a staged object its key.
func (d *Dir) name(ctx context.Context, s staged, key string, opts PutOptions) error {
	to := objectsDir + "/" + key
	if opts.IfNoneMatch {
		err := d.withParents(key, func() error { return d.root.Link(s.temp, to) })
		if errors.Is(err, fs.ErrExist) {
			return ErrPrecondition
		}
		if err != nil {
			return err
		}
		return d.discard(s)
	}
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.holds(key, opts); err != nil {
		return err
	}
	return d.withParents(key, func() error { return d.root.Rename(s.temp, to) })
}

// withParents makes the directories of a key where the call finds that they are
// missing: again where a Delete removes them in between.
func (d *Dir) withParents(key string, call func() error) error {
	for attempt := 0; ; attempt++ {
		err := call()
		if attempt == maxParentAttempts || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for i := range len(key) {
			if key[i] != '/' {
				continue
			}
			err := d.root.Mkdir(objectsDir+"/"+key[:i], dirMode)
			if err == nil {
				d.durable.Delete(key[:i])
			} else if !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
}

// maxParentAttempts ends a race that a writer can't lose so often: something
// else is wrong.
const maxParentAttempts = 1000
