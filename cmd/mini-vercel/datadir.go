package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// dataDir is the directory of the embedded parts, held by one process at a time.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the directory where it is missing and takes it for this
// process. The lock is the kernel's: it goes when the process does, however it
// ends.
func openDataDir(path string) (*dataDir, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR=%s: %w", path, err)
	}
	if err := os.MkdirAll(absolute, 0o700); err != nil {
		return nil, fmt.Errorf("DATA_DIR=%s: %w", path, err)
	}
	lock, err := os.OpenFile(filepath.Join(absolute, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("DATA_DIR=%s: %w", path, err)
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		pid, _ := os.ReadFile(lock.Name())
		lock.Close()
		return nil, fmt.Errorf("another mini-vercel (process %s) runs on %s: stop it first, or choose another directory with --data", strings.TrimSpace(string(pid)), absolute)
	}
	if err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := lock.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(lock, os.Getpid()) // only names the process in an error
	}
	return &dataDir{path: absolute, lock: lock}, nil
}

// join returns the path of something in the directory.
func (d *dataDir) join(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// Close lets another process have the directory.
func (d *dataDir) Close() error { return d.lock.Close() }
