package blob_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

func TestDirLinksLeadNowhereElse(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, dir)
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret"), "up": "../.."} {
		if err := os.Symlink(target, filepath.Join(dir, "objects", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"dir/secret", "file", "up/objects/x"} {
		if o, err := d.Get(t.Context(), key, blob.GetOptions{}); err == nil {
			_ = o.Body.Close()
			t.Errorf("get %q leads out of the bucket", key)
		}
	}
	if _, err := d.Put(t.Context(), "dir/planted", strings.NewReader("x"), 1, blob.PutOptions{}); err == nil {
		t.Error("put leads out of the bucket")
	}
	if err := d.Delete(t.Context(), "dir/secret"); err == nil {
		t.Error("delete leads out of the bucket")
	}
	for info, err := range d.List(t.Context(), "", blob.ListOptions{}) {
		t.Errorf("listed: %+v, %v", info, err)
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 {
		t.Errorf("outside: %v, %v", left, err)
	}
	// A link in place of the object is replaced, not followed.
	if _, err := d.Put(t.Context(), "file", strings.NewReader("x"), 1, blob.PutOptions{}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(b) != "secret" {
		t.Errorf("outside: %q, %v", b, err)
	}
}

func TestDirSpecialFilesAreNoObjects(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	if err := unix.Mkfifo(filepath.Join(dir, "objects", "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), "fifo", blob.GetOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get: %v", err)
	}
}

func TestDirWholeObjectsAreFiles(t *testing.T) {
	d := openDir(t, t.TempDir())
	if _, err := d.Put(t.Context(), "object", strings.NewReader("0123"), 4, blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int64{0, 4, 5} {
		o, err := d.Get(t.Context(), "object", blob.GetOptions{Length: length})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := o.Body.(*os.File); !ok {
			t.Errorf("length %d: the body is a %T: it can't be sent by sendfile", length, o.Body)
		}
		_ = o.Body.Close()
	}
}

func TestDirDeleteRemovesEmptyDirectories(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	for _, key := range []string{"a/b/c/1", "a/b/c/2", "a/keep"} {
		if _, err := d.Put(t.Context(), key, strings.NewReader("x"), 1, blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	exists := func(path string) bool {
		_, err := os.Stat(filepath.Join(dir, "objects", path))
		return err == nil
	}
	if err := d.Delete(t.Context(), "a/b/c/1"); err != nil || !exists("a/b/c") {
		t.Errorf("the first of two: %v", err)
	}
	if err := d.Delete(t.Context(), "a/b/c/2"); err != nil || exists("a/b") || !exists("a") {
		t.Errorf("the second of two: %v", err)
	}
	if err := d.Delete(t.Context(), "a/keep"); err != nil || exists("a") || !exists("") {
		t.Errorf("the last: %v", err)
	}
}

func TestDirLockWaitsForAnotherHolder(t *testing.T) {
	dir := t.TempDir()
	d, other := openDir(t, dir), openDir(t, dir)
	if _, err := d.Put(t.Context(), "object", strings.NewReader("x"), 1, blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	// Hold every lock, as another process that is stopped would.
	locks, err := os.ReadDir(filepath.Join(dir, "locks"))
	if err != nil || len(locks) == 0 {
		t.Fatal(locks, err)
	}
	for _, e := range locks {
		f, err := os.Open(filepath.Join(dir, "locks", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := other.Put(ctx, "object", strings.NewReader("y"), 1, blob.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("put under a foreign lock: %v", err)
	}
	if left := tempFiles(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	o, err := other.Get(t.Context(), "object", blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Body.Close()
	if body, err := io.ReadAll(o.Body); err != nil || string(body) != "x" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestDirIdentityIsThatOfTheDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if a, b := openDir(t, dir).Identity(), openDir(t, link).Identity(); a != b {
		t.Errorf("%q and %q are one directory", a, b)
	}
	if a, b := openDir(t, dir).Identity(), openDir(t, t.TempDir()).Identity(); a == b {
		t.Errorf("%q is two directories", a)
	}
}

func TestDirEveryWriteHasAnotherETag(t *testing.T) {
	d := openDir(t, t.TempDir())
	seen := map[string]bool{}
	for i := range 50 {
		if i%7 == 3 {
			if err := d.Delete(t.Context(), "object"); err != nil {
				t.Fatal(err)
			}
		}
		info, err := d.Put(t.Context(), "object", strings.NewReader("the same"), 8, blob.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if seen[info.ETag] {
			t.Fatalf("write %d has the ETag %q of an earlier one", i, info.ETag)
		}
		seen[info.ETag] = true
	}
}
