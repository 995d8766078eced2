package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a [Store] in a directory. Any number of processes may use the same
// directory at once; it must be on one file system with hard links and flock.
// One limit is its own: an object "a" can't exist beside an object "a/b".
//
//	objects/<key>         the objects
//	tmp/<process>/<n>     objects that are being written
//	locks/<stripe>        flock for conditional writes
type Dir struct {
	path string // absolute
	root *os.Root
	signer

	bodyTimeout time.Duration // for each read of an upload's body
	lastWrite   atomic.Int64  // the newest mtime that was given out, Unix nanoseconds
	durable     sync.Map      // directories that are known to survive a loss of power
	locks       [lockStripes]fileLock

	temp tempDir
}

var _ Store = (*Dir)(nil)

// DirOptions are the settings of [OpenDir].
type DirOptions struct {
	// SigningKey signs upload and download URLs. Without one, SignPut and
	// SignGet fail and the handler refuses everything.
	SigningKey []byte
	// BodyTimeout is how long an upload may go without sending a byte; 30
	// seconds where it is 0.
	BodyTimeout time.Duration
	// Now is the clock by which URLs expire; time.Now where it is nil.
	Now func() time.Time
}

const (
	objectsDir = "objects"
	tmpDir     = "tmp"
	locksDir   = "locks"

	dirMode  = 0o700
	fileMode = 0o600
)

// OpenDir opens the bucket in a directory, which it makes where it does not
// exist, and removes what crashed processes left half-written.
func OpenDir(path string, opts DirOptions) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	for _, dir := range []string{path, filepath.Join(path, objectsDir), filepath.Join(path, tmpDir), filepath.Join(path, locksDir)} {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return nil, fmt.Errorf("open bucket: %w", err)
		}
	}
	// Links are resolved once, so that one directory has one identity.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	d := &Dir{path: path, root: root, signer: signer{opts.SigningKey, opts.Now}, bodyTimeout: opts.BodyTimeout}
	if d.now == nil {
		d.now = time.Now
	}
	if d.bodyTimeout <= 0 {
		d.bodyTimeout = bodyTimeout
	}
	if err := d.temp.open(filepath.Join(path, tmpDir)); err != nil {
		return nil, errors.Join(fmt.Errorf("open bucket: %w", err), root.Close())
	}
	return d, nil
}

// Close removes the process's temporary directory and frees the files that are
// held. No other method may run then, or be called later.
func (d *Dir) Close() error {
	errs := []error{d.temp.close(), d.root.Close()}
	for i := range d.locks {
		errs = append(errs, d.locks[i].close())
	}
	return errors.Join(errs...)
}

// Identity names the bucket by its absolute path.
func (d *Dir) Identity() string { return "dir:" + d.path }

// objectPath is where an object is; the key has been checked.
func (d *Dir) objectPath(key string) string { return d.path + "/" + objectsDir + "/" + key }

// nextWrite returns a modification time that no other write of this process
// has, so that it tells writes apart even where the inode and the size are the
// same again.
func (d *Dir) nextWrite() time.Time {
	for {
		last, now := d.lastWrite.Load(), time.Now().UnixNano()
		now = max(now, last+1)
		if d.lastWrite.CompareAndSwap(last, now) {
			return time.Unix(0, now)
		}
	}
}

// infoOf describes the object of a file. The ETag is made from what the
// directory entry says, so that a conditional read costs one stat: the inode
// differs from that of the file which a write replaces, the time from that of
// any other write.
func infoOf(key string, st *unix.Stat_t) Info {
	nanos := st.Mtim.Nano()
	etag := make([]byte, 0, 48)
	etag = strconv.AppendUint(etag, st.Ino, 36)
	etag = append(etag, '-')
	etag = strconv.AppendInt(etag, st.Size, 36)
	etag = append(etag, '-')
	etag = strconv.AppendInt(etag, nanos, 36)
	return Info{Key: key, Size: st.Size, ETag: string(etag), Modified: time.Unix(0, nanos)}
}

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }
