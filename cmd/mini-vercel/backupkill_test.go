package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// kills is in how many places a command is killed, from its beginning to its end.
const kills = 12

// process is a command of this program in a process of its own, which ctx kills
// with SIGKILL.
func process(ctx context.Context, env []string, args ...string) error {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(append(os.Environ(), asCommand+"=1"), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c.Run()
}

// killedEverywhere lets a command run once, and then kills it at even times of
// what it took; after each it calls back.
func killedEverywhere(t *testing.T, env []string, args []string, after func(part int, err error)) {
	t.Helper()
	began := time.Now()
	if err := process(t.Context(), env, args...); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	took := time.Since(began)
	after(-1, nil)
	for part := range kills {
		ctx, cancel := context.WithTimeout(t.Context(), took*time.Duration(part+1)/kills)
		err := process(ctx, env, args...)
		cancel()
		after(part, err)
	}
}

// TestKilledBackup has a backup that was there before, by the API and offline.
func TestKilledBackup(t *testing.T) {
	isolate(t)
	data := t.TempDir()
	_, stop := startUpOn(t, data)
	site := write(t, filepath.Join(t.TempDir(), "my-site"), map[string]string{"index.html": "one"})
	for range 3 {
		command(t, "deploy", site, "-y")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "platform.backup")
	check := func(what string) func(int, error) {
		return func(part int, err error) {
			t.Helper()
			whole, readErr := os.ReadFile(file)
			if readErr != nil {
				t.Fatalf("%s, killed in part %d (%v): %v", what, part, err, readErr)
			}
			if info, readErr := controlplane.ReadBackup(bytes.NewReader(whole), nil); readErr != nil || info.Rows == 0 {
				t.Fatalf("%s, killed in part %d (%v): half a backup has the name: %v", what, part, err, readErr)
			}
			entries, readErr := os.ReadDir(dir)
			if readErr != nil {
				t.Fatal(readErr)
			}
			for _, e := range entries {
				if name := e.Name(); name != "platform.backup" && !strings.HasPrefix(name, ".mini-vercel-backup-") {
					t.Errorf("%s leaves %s", what, name)
				}
			}
		}
	}
	killedEverywhere(t, nil, []string{"backup", file}, check("backup"))
	// Killed in the middle, it does not keep others from theirs.
	if r := command(t, "backup", file); r.code != 0 {
		t.Errorf("%+v", r)
	}
	stop()
	killedEverywhere(t, nil, []string{"backup", "--offline", file, "--data", data}, check("backup --offline"))
}

// TestKilledRestore leaves nothing or everything.
func TestKilledRestore(t *testing.T) {
	isolate(t)
	data := t.TempDir()
	_, stop := startUpOn(t, data)
	site := write(t, filepath.Join(t.TempDir(), "my-site"), map[string]string{"index.html": "one"})
	for range 3 {
		command(t, "deploy", site, "-y")
	}
	file := filepath.Join(t.TempDir(), "platform.backup")
	command(t, "backup", file)
	stop()
	key, err := os.ReadFile(filepath.Join(data, "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	loseDatabase(t, data)
	for name, engine := range map[string]struct {
		env  func(t *testing.T) []string
		lose func(t *testing.T, env []string)
	}{
		"SQLite": {func(*testing.T) []string { return nil }, func(t *testing.T, _ []string) { loseDatabase(t, data) }},
		"PostgreSQL": {func(t *testing.T) []string {
			return []string{"MASTER_KEY=" + strings.TrimSpace(string(key)), "DATABASE_URL=" + pgtest.Database(t)}
		}, func(t *testing.T, env []string) { env[1] = "DATABASE_URL=" + pgtest.Database(t) }},
	} {
		t.Run(name, func(t *testing.T) {
			env := engine.env(t)
			full := int64(0)
			killedEverywhere(t, env, []string{"restore", file, "--data", data}, func(part int, err error) {
				n, readErr := backupRows(t, data, env...)
				if part < 0 {
					full = n
				}
				if readErr != nil || n != 0 && n != full || full == 0 {
					t.Fatalf("killed in part %d (%v): %d of %d rows, %v", part, err, n, full, readErr)
				}
				if n == full {
					engine.lose(t, env)
				}
			})
			if err := process(t.Context(), env, "restore", file, "--data", data); err != nil {
				t.Errorf("after the kills: %v", err)
			}
			engine.lose(t, env)
		})
	}
}
