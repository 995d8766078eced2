package blob

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockStripes is how many locks all keys share. One lock for each key would
// leave a file behind for each, which nobody could remove without a race.
const lockStripes = 64

// lockRetry is how often a lock that another process holds is tried again.
const lockRetry = time.Millisecond

// fileLock is a lock between goroutines and, by flock, between processes.
type fileLock struct {
	mu   sync.Mutex
	file *os.File // opened when it is first needed
}

// lock keeps others from replacing or deleting the object of that key until
// unlock is called. It is held for a few system calls, never while a body is
// read.
func (d *Dir) lock(ctx context.Context, key string) (unlock func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	stripe := int(h.Sum32() % lockStripes)
	l := &d.locks[stripe]
	l.mu.Lock()
	defer func() {
		if err != nil {
			l.mu.Unlock()
		}
	}()
	if l.file == nil {
		name := filepath.Join(d.path, locksDir, strconv.Itoa(stripe))
		if l.file, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, fileMode); err != nil {
			return nil, err
		}
	}
	for {
		err = flock(l.file, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() {
				_ = unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
				l.mu.Unlock()
			}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock of %s: %w", key, ctx.Err())
		case <-time.After(lockRetry):
		}
	}
}

func (l *fileLock) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
