package testdir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/testdir"
)

func TestDirectoriesOfTheDeadAreRemoved(t *testing.T) {
	parent := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	stays := map[string]bool{
		fmt.Sprintf("server-%d-x", gone.Process.Pid): false,
		fmt.Sprintf("server-%d-x", os.Getppid()):     true,
		fmt.Sprintf("others-%d-x", gone.Process.Pid): true,
		"server-of-a-person":                         true,
	}
	for name := range stays {
		if err := os.MkdirAll(filepath.Join(parent, name, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := testdir.Make(parent, "server")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := testdir.Make(parent, "server"); err != nil || again == dir {
		t.Errorf("%q %v", again, err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	for name, want := range stays {
		if _, err := os.Stat(filepath.Join(parent, name)); err == nil != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
