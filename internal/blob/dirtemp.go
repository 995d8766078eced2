package blob

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tempDir is where one process writes objects before they get their names: a
// directory of its own, with a lock that ends with the process. Whoever gets
// the lock of such a directory knows that its owner is dead.
type tempDir struct {
	name string // relative to the bucket
	path string
	lock *os.File
	next atomic.Int64
}

const tempLock = "lock"

// open makes a directory below parent and removes those of dead processes.
func (t *tempDir) open(parent string) error {
	// Whoever makes a directory and its lock holds this, so that nobody takes
	// the new directory for an abandoned one in between.
	all, err := os.OpenFile(filepath.Join(parent, tempLock), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	defer all.Close()
	if err := flock(all, unix.LOCK_EX); err != nil {
		return err
	}
	if err := removeAbandoned(parent); err != nil {
		return err
	}
	name := rand.Text()
	t.name, t.path = tmpDir+"/"+name, filepath.Join(parent, name)
	if err := os.Mkdir(t.path, dirMode); err != nil {
		return err
	}
	t.lock, err = os.OpenFile(filepath.Join(t.path, tempLock), os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	return flock(t.lock, unix.LOCK_EX|unix.LOCK_NB)
}

func removeAbandoned(parent string) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := os.OpenFile(filepath.Join(dir, tempLock), os.O_RDWR, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist): // its owner died before it made the lock
		case err != nil:
			return err
		default:
			err := flock(lock, unix.LOCK_EX|unix.LOCK_NB)
			_ = lock.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				continue
			}
			if err != nil {
				return err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (t *tempDir) close() error {
	return errors.Join(os.RemoveAll(t.path), t.lock.Close())
}

// create opens a new file for writing; name is its path in the bucket.
func (t *tempDir) create() (f *os.File, name string, err error) {
	n := strconv.FormatInt(t.next.Add(1), 10)
	f, err = os.OpenFile(t.path+"/"+n, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	return f, t.name + "/" + n, err
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}
