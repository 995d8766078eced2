package blob_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// childRole makes the test binary do what another process would: it is set to
// the role, and childDir to the bucket.
const (
	childRole = "BLOB_TEST_CHILD"
	childDir  = "BLOB_TEST_DIR"
)

func TestMain(m *testing.M) {
	switch role := os.Getenv(childRole); role {
	case "":
		os.Exit(m.Run())
	case "stuck-put":
		err := stuckPut(os.Getenv(childDir))
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case "count":
		if err := count(os.Getenv(childDir), childAdds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "no role %q\n", role)
		os.Exit(2)
	}
}

func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// stuckPut writes half an object, says so, and waits to be killed.
func stuckPut(dir string) error {
	d, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		return err
	}
	half := bytes.NewReader(make([]byte, 1<<20))
	_, err = d.Put(context.Background(), "object", io.MultiReader(half, stuckReader{}), 2<<20, blob.PutOptions{})
	return err
}

type stuckReader struct{}

func (stuckReader) Read([]byte) (int, error) {
	fmt.Println("half")
	select {}
}

func TestKillInTheMiddleOfPutLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	old := "the old object"
	if _, err := d.Put(t.Context(), "object", strings.NewReader(old), int64(len(old)), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "stuck-put", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "half\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	if n := len(tempFiles(t, dir)); n != 1 {
		t.Fatalf("%d temporary files while the child writes", n)
	}
	// While it lives, its file is its own.
	second := openDir(t, dir)
	if n := len(tempFiles(t, dir)); n != 1 {
		t.Fatalf("%d temporary files after another process came", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if n := len(tempFiles(t, dir)); n != 1 {
		t.Fatalf("%d temporary files after the kill: the test tests nothing", n)
	}
	third := openDir(t, dir)
	if left := tempFiles(t, dir); len(left) != 0 {
		t.Errorf("left after the next start: %q", left)
	}
	for _, d := range []*blob.Dir{d, second, third} {
		o, err := d.Get(t.Context(), "object", blob.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(o.Body)
		if err = errors.Join(err, o.Body.Close()); err != nil || string(body) != old {
			t.Errorf("the object is %.20q, %v", body, err)
		}
	}
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	abandoned := filepath.Join(dir, "tmp", "ABANDONED")
	unlocked := filepath.Join(dir, "tmp", "UNLOCKED")
	for _, d := range []string{abandoned, unlocked} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, "1"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(abandoned, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	openDir(t, dir)
	if left := tempFiles(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestCloseLeavesNoTemporaryDirectory(t *testing.T) {
	dir := t.TempDir()
	d, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "lock" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

const childAdds = 40

// count adds one to a number in the bucket, by conditional writes.
func count(dir string, times int) error {
	d, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		return err
	}
	for added := 0; added < times; {
		opts, body := blob.PutOptions{IfNoneMatch: true}, ""
		o, err := d.Get(context.Background(), "counter", blob.GetOptions{})
		if err == nil {
			old, err := io.ReadAll(o.Body)
			if err = errors.Join(err, o.Body.Close()); err != nil {
				return err
			}
			opts, body = blob.PutOptions{IfMatch: o.ETag}, string(old)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		body += "x"
		_, err = d.Put(context.Background(), "counter", strings.NewReader(body), int64(len(body)), opts)
		if err == nil {
			added++
		} else if !errors.Is(err, blob.ErrPrecondition) {
			return err
		}
	}
	return d.Close()
}

func TestConditionalWritesHoldBetweenProcesses(t *testing.T) {
	dir := t.TempDir()
	const processes = 4
	var children []*exec.Cmd
	for range processes {
		cmd := child(t, "count", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, cmd)
	}
	for _, cmd := range children {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a child: %v", err)
		}
	}
	info, err := openDir(t, dir).Stat(t.Context(), "counter")
	if err != nil || info.Size != processes*childAdds {
		t.Errorf("%d processes with %d writes each counted to %d, %v", processes, childAdds, info.Size, err)
	}
}

// tempFiles lists what is half-written.
func tempFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "tmp"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "lock" {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
