package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The test binary is also the program that some tests start.
func TestMain(m *testing.M) {
	if role := os.Getenv("SANDBOX_TEST_ROLE"); role != "" {
		os.Exit(play(role))
	}
	os.Exit(m.Run())
}

func play(role string) int {
	switch role {
	case "attacker":
		return attack()
	case "builder":
		return buildUntilKilled()
	}
	fmt.Fprintln(os.Stderr, "no such role:", role)
	return 2
}

// need skips a test whose tool is missing; continuous integration has them all.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			lack(t, tool+" is not installed")
		}
	}
}

func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// place is a data directory as the platform has it, closed to others, with a
// secret and a workspace in it.
type place struct{ data, workspace, secret string }

func newPlace(t *testing.T, mode Mode) place {
	t.Helper()
	data := filepath.Join(t.TempDir(), "platform-data")
	if err := os.Chmod(filepath.Dir(filepath.Dir(data)), 0o755); err != nil {
		t.Fatal(err)
	}
	p := place{data, filepath.Join(data, "builds", "b1"), filepath.Join(data, "secret")}
	if err := os.MkdirAll(p.workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, p.secret, "platform-secret")
	if err := os.Chmod(p.secret, 0o600); err != nil {
		t.Fatal(err)
	}
	rights := os.FileMode(0o700)
	if mode == ModeUser || mode == ModeTask {
		rights = 0o711 // the build's user must pass
	}
	for _, dir := range []string{data, filepath.Join(data, "builds")} {
		if err := os.Chmod(dir, rights); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// openMode makes a sandbox of a mode, or skips where that is not possible.
func openMode(t *testing.T, mode Mode, limits Limits) (*Sandbox, place) {
	t.Helper()
	switch mode {
	case ModeBubblewrap:
		need(t, "bwrap")
	case ModeUser, ModeTask:
		need(t, "setpriv")
		if os.Geteuid() != 0 {
			t.Skip("only root can run commands as another user")
		}
	}
	p := newPlace(t, mode)
	s, err := New(t.Context(), Config{Mode: string(mode), Hidden: []string{p.data}}, p.workspace, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(p.workspace + ".sandbox"); !os.IsNotExist(err) {
			t.Errorf("the scratch folder is left: %v", err)
		}
		if left := leftGroups(os.Getpid()); len(left) > 0 {
			t.Errorf("control groups are left: %v", left)
		}
		if s.user.id != 0 && len(processesOf(s.user.id)) > 0 {
			t.Errorf("processes are left: %v", processesOf(s.user.id))
		}
	})
	return s, p
}

func leftGroups(pid int) []string {
	var left []string
	parents := groupParents()
	for _, parent := range []string{parents.memory, parents.pids} {
		dirs, _ := filepath.Glob(filepath.Join(parent, fmt.Sprintf("%s%d-*", groupPrefix, pid)))
		left = append(left, dirs...)
	}
	return left
}

// shell runs a script and returns its output, both kinds.
func shell(t *testing.T, s *Sandbox, script string, change ...func(*Command)) (string, Result) {
	t.Helper()
	var out bytes.Buffer
	c := Command{Args: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := s.Run(ctx, c)
	if err != nil {
		t.Fatalf("run %q: %v\n%s", script, err, out.String())
	}
	return out.String(), result
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

var modes = func() []Mode {
	if inTestContainer() {
		return []Mode{ModeTask}
	}
	return []Mode{ModeBubblewrap, ModeTask, ModeUser, ModeNone}
}()

func TestCommandRunsInEveryMode(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			s, p := openMode(t, mode, Limits{})
			if err := os.MkdirAll(filepath.Join(p.workspace, "apps", "web"), 0o755); err != nil {
				t.Fatal(err)
			}
			out, result := shell(t, s, `echo "to stdout"; echo "to stderr" >&2; pwd; echo "$GREETING"; echo built > result; echo x > "$HOME/h" && echo x > "$TMPDIR/t" && cat; exit 7`, func(c *Command) {
				c.Dir = "apps/web"
				c.Env = []string{"GREETING=it's \"two\"\nlines $HOME"}
			})
			want := "to stdout\nto stderr\n" + s.Path() + "/apps/web\nit's \"two\"\nlines $HOME\n"
			if out != want || result.ExitCode != 7 || result.Exceeded != "" {
				t.Errorf("got %q, %+v; want %q", out, result, want)
			}
			if got, err := os.ReadFile(filepath.Join(p.workspace, "apps", "web", "result")); string(got) != "built\n" {
				t.Errorf("the result is %q, %v", got, err)
			}
			if _, result := shell(t, s, `kill -TERM $$`); result.ExitCode != 128+15 {
				t.Errorf("a command that SIGTERM ends has exit code %d", result.ExitCode)
			}
			if _, result := shell(t, s, "", func(c *Command) { c.Args = []string{"no-such-program"} }); result.ExitCode != 127 {
				t.Errorf("a program that is not there has exit code %d", result.ExitCode)
			}
			if _, result := shell(t, s, "test -f result && test -f ~/h && test -f $TMPDIR/t", func(c *Command) { c.Dir = "apps/web" }); result.ExitCode != 0 {
				t.Error("the second command does not see what the first wrote")
			}
		})
	}
}

func TestOutput(t *testing.T) {
	s, _ := openMode(t, ModeNone, Limits{})
	t.Run("stdout and stderr apart", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		if _, err := s.Run(t.Context(), Command{Args: []string{"sh", "-c", "echo a; echo b >&2"}, Stdout: &stdout, Stderr: &stderr}); err != nil {
			t.Fatal(err)
		}
		if stdout.String() != "a\n" || stderr.String() != "b\n" {
			t.Errorf("got %q and %q", stdout.String(), stderr.String())
		}
	})
	t.Run("much", func(t *testing.T) {
		out, _ := shell(t, s, "head -c 5000000 /dev/zero")
		if len(out) != 5_000_000 {
			t.Errorf("got %d bytes", len(out))
		}
	})
	t.Run("discarded", func(t *testing.T) {
		if _, err := s.Run(t.Context(), Command{Args: []string{"sh", "-c", "echo a; echo b >&2"}}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a writer that fails ends neither the command nor is it hidden", func(t *testing.T) {
		result, err := s.Run(t.Context(), Command{Args: []string{"sh", "-c", "head -c 1000000 /dev/zero; exit 3"}, Stdout: brokenWriter{}})
		if err == nil || !strings.Contains(err.Error(), "disk full") || result.ExitCode != 3 {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, fmt.Errorf("disk full") }

func TestCommandIsRefused(t *testing.T) {
	s, _ := openMode(t, ModeNone, Limits{})
	for name, c := range map[string]Command{
		"no arguments":            {},
		"an empty program":        {Args: []string{""}},
		"a directory outside":     {Args: []string{"true"}, Dir: "../.."},
		"an absolute directory":   {Args: []string{"true"}, Dir: "/etc"},
		"a NUL byte":              {Args: []string{"echo", "a\x00b"}},
		"a NUL in the directory":  {Args: []string{"true"}, Dir: "a\x00b"},
		"a bad variable":          {Args: []string{"true"}, Env: []string{"A B=1"}},
		"a variable without =":    {Args: []string{"true"}, Env: []string{"A"}},
		"a variable with a shell": {Args: []string{"true"}, Env: []string{"A;id=1"}},
		"a relative mount":        {Args: []string{"true"}, ReadOnly: []Mount{{Source: "x"}}},
	} {
		if _, err := s.Run(t.Context(), c); err == nil {
			t.Errorf("%s is not refused", name)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), Command{Args: []string{"true"}}); !errors.Is(err, ErrClosed) {
		t.Errorf("run after close: %v", err)
	}
}

func TestProbe(t *testing.T) {
	if i := Probe(t.Context(), Config{Mode: "chroot"}); i.Err() == nil || !strings.Contains(i.Err().Error(), `"chroot"`) {
		t.Errorf("an unknown mode: %v", i.Err())
	}
	if i := Probe(t.Context(), Config{Mode: "none"}); i.Isolated() || len(i.Warnings) < 2 {
		t.Errorf("none: %+v", i)
	}
	need(t, "bwrap")
	i := Probe(t.Context(), Config{})
	if i.Err() != nil || i.Mode != ModeBubblewrap || !i.Isolated() {
		t.Errorf("auto: %+v, %v", i, i.Err())
	}
	if i := Probe(t.Context(), Config{Mode: "strict"}); i.Isolated() != i.Network {
		t.Errorf("strict: %+v, %v", i, i.Err())
	}
	broken, path := t.TempDir(), os.Getenv("PATH")
	if err := os.WriteFile(filepath.Join(broken, "slirp4netns"), []byte("#!/bin/sh\necho no device >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", broken+string(os.PathListSeparator)+path)
	if i := Probe(t.Context(), Config{}); !i.Isolated() || i.Network {
		t.Errorf("auto without a network for builds: %+v, %v", i, i.Err())
	}
	if i := Probe(t.Context(), Config{Mode: "strict"}); i.Isolated() || i.Err() == nil || !strings.Contains(i.Err().Error(), "no device") {
		t.Errorf("strict without a network for builds: %+v, %v", i, i.Err())
	}
	t.Setenv("PATH", t.TempDir())
	if i := Probe(t.Context(), Config{Mode: "strict"}); i.Isolated() || i.Err() == nil {
		t.Errorf("strict without bwrap: %+v", i)
	}
	if i := Probe(t.Context(), Config{Mode: "bubblewrap"}); i.Err() == nil || i.Isolated() {
		t.Errorf("bubblewrap without bwrap: %+v", i)
	}
	if _, err := New(t.Context(), Config{Mode: "bubblewrap"}, t.TempDir(), Limits{}); err == nil {
		t.Error("a sandbox without its program is made")
	}
	if i := Probe(t.Context(), Config{}); i.Isolated() || i.Err() != nil || len(i.Warnings) < 2 {
		t.Errorf("auto with no tools: %+v, %v", i, i.Err())
	}
}
