package clickhousetest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mini-vercel/mini-vercel/internal/testdir"
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
	dir, err := testdir.Make(memory, "mini-vercel-clickhouse")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
