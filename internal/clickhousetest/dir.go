package clickhousetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// memory is where files are in memory. ClickHouse makes thousands of small ones,
// which a busy disk removes slowly.
const memory = "/dev/shm"

// newDir makes a directory for a server: in memory where there is room for some
// gigabytes, else where tests have theirs. It is removed after the test, or by
// the next one where this process is killed.
func newDir(t testing.TB) string {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < 4<<30 {
		return t.TempDir()
	}
	left, err := filepath.Glob(filepath.Join(memory, "mini-vercel-clickhouse-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range left {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "mini-vercel-clickhouse-%d-", &pid); err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			os.RemoveAll(dir)
		}
	}
	dir, err := os.MkdirTemp(memory, fmt.Sprintf("mini-vercel-clickhouse-%d-", os.Getpid())) //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
