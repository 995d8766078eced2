package runner_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/runner"
	"github.com/mini-vercel/mini-vercel/controlplane/runner/runnertest"
)

// TestMain lets the test's own program be the builder, and a control plane that
// is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "builder":
			os.Exit(beBuilder(os.Args[2:]))
		case "parent":
			os.Exit(beParent(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

// beBuilder does what its arguments say, in turn.
func beBuilder(steps []string) int {
	work := os.Getenv("MINI_VERCEL_WORKSPACE")
	for _, step := range steps {
		name, value, _ := strings.Cut(step, "=")
		switch name {
		case "print":
			fmt.Fprintln(os.Stderr, value)
		case "env":
			if err := os.WriteFile(value, []byte(strings.Join(os.Environ(), "\n")), 0o600); err != nil {
				return 90
			}
		case "lock": // a folder that can't be emptied as it is
			dir := filepath.Join(work, "locked", "in")
			_ = os.MkdirAll(dir, 0o700)
			_ = os.WriteFile(filepath.Join(dir, "file"), nil, 0o400)
			_ = os.Chmod(dir, 0o500)
		case "child": // in a session of its own, deaf to SIGTERM
			cmd := exec.Command("sh", "-c", "trap '' TERM HUP; echo $$ > "+value+"; while :; do sleep 1; done")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				return 91
			}
			for !exists(value) {
				time.Sleep(time.Millisecond)
			}
		case "pid":
			_ = os.WriteFile(value, []byte(strconv.Itoa(os.Getpid())), 0o600)
		case "obey": // takes down its environment, and ends as it is told
			own := filepath.Join(value, filepath.Base(filepath.Dir(work)))
			if err := os.WriteFile(own+".env", []byte(strings.Join(os.Environ(), "\n")), 0o600); err != nil {
				return 92
			}
			for !exists(own + ".end") {
				time.Sleep(2 * time.Millisecond)
			}
			text, _ := os.ReadFile(own + ".end")
			code, _ := strconv.Atoi(string(text))
			return code
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		case "wait":
			time.Sleep(time.Minute)
		case "crash":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "exit":
			code, _ := strconv.Atoi(value)
			return code
		}
	}
	return 0
}

// beParent starts a builder in a folder and then waits to be killed.
func beParent(args []string) int {
	self, _ := os.Executable()
	l, err := runner.New(runner.Options{Command: append([]string{self, "builder"}, args[1:]...), Dir: args[0], Env: []string{"PATH=" + os.Getenv("PATH")}})
	if err != nil {
		return 1
	}
	if _, err := l.Start(context.Background(), controlplane.Builder{Attempt: "orphan.1"}); err != nil {
		return 2
	}
	time.Sleep(time.Minute)
	return 0
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func newRunner(t *testing.T, steps ...string) (*runner.Local, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "builds")
	l, err := runner.New(runner.Options{Command: append([]string{self, "builder"}, steps...), Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return l, dir
}

func start(t *testing.T, l *runner.Local, attempt string) string {
	t.Helper()
	handle, err := l.Start(t.Context(), controlplane.Builder{Attempt: attempt, URL: "http://127.0.0.1:9", Claim: "mvc_once"})
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// pidIn waits for a file that holds a process id.
func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	eventually(t, path, func() bool {
		text, _ := os.ReadFile(path)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	return pid
}

// alive reports whether a process runs; a zombie does not.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(after, "Z")
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Fatalf("%s is not empty: %v %v", dir, entries, err)
	}
}

// localPlace is this machine, where the test's own program is the builder.
type localPlace struct{ builds, orders string }

func (p localPlace) Open(t *testing.T) controlplane.Runner {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := runner.New(runner.Options{Command: []string{self, "builder", "obey=" + p.orders}, Dir: p.builds, Env: []string{"PATH=" + os.Getenv("PATH")}, Grace: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (p localPlace) Env(t *testing.T, attempt string) map[string]string {
	file := filepath.Join(p.orders, attempt+".env")
	env := map[string]string{}
	eventually(t, "the builder takes down its environment", func() bool {
		text, err := os.ReadFile(file)
		for line := range strings.SplitSeq(string(text), "\n") {
			if name, value, ok := strings.Cut(line, "="); ok && name != "PWD" {
				env[name] = value
			}
		}
		return err == nil && env["MINI_VERCEL_WORKSPACE"] != "" && env["HOME"] != ""
	})
	for name := range env {
		if !slices.Contains([]string{"MINI_VERCEL_URL", "MINI_VERCEL_CLAIM", "MINI_VERCEL_WORKSPACE", "PATH", "HOME"}, name) {
			t.Errorf("unexpected %s=%s", name, env[name])
		}
	}
	if dir := filepath.Join(p.builds, attempt); env["MINI_VERCEL_WORKSPACE"] != dir+"/work" || env["HOME"] != dir+"/home" {
		t.Errorf("the environment is %v", env)
	}
	return env
}

func (p localPlace) End(t *testing.T, attempt string, code int) {
	file := filepath.Join(p.orders, attempt+".end")
	if err := errors.Join(os.WriteFile(file+".new", []byte(strconv.Itoa(code)), 0o600), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
}

func (p localPlace) Runs(t *testing.T, attempt string) bool {
	return len(processesIn(filepath.Join(p.builds, attempt, "work"))) > 0
}

// processesIn are those that have a folder for their own.
func processesIn(dir string) (pids []string) {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && strings.TrimSuffix(at, " (deleted)") == dir {
			pids = append(pids, link)
		}
	}
	return pids
}

func TestLocalIsARunner(t *testing.T) {
	runnertest.Run(t, func(t *testing.T) runnertest.Place {
		p := localPlace{builds: filepath.Join(t.TempDir(), "builds"), orders: t.TempDir()}
		t.Cleanup(func() { empty(t, p.builds) })
		return p
	})
}

func TestCrashTellsTheEndOfStderr(t *testing.T) {
	for _, row := range []struct {
		name  string
		steps []string
		code  int
		says  string
	}{
		{"exit code", []string{"print=panic: no room on the disk", "exit=7"}, 7, "panic: no room on the disk"},
		{"signal", []string{"print=so far", "crash"}, -1, `"killed"`},
		{"long output keeps the end", []string{"print=" + strings.Repeat("x", 5000), "print=the last line", "exit=2"}, 2, "the last line"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, dir := newRunner(t, row.steps...)
			start(t, l, "crash.1")
			exit := <-l.Exits()
			if exit.Code != row.code || !strings.Contains(exit.Reason, row.says) || len(exit.Reason) > 4096 || exit.Lost {
				t.Fatalf("exit: %+v", exit)
			}
			empty(t, dir)
		})
	}
}

func TestStopEndsTheWholeTree(t *testing.T) {
	for _, row := range []struct {
		name  string
		steps []string
	}{
		{"a builder that leaves", nil},
		{"a deaf builder", []string{"deaf"}},
		{"a workspace without permissions", []string{"lock", "deaf"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			child, own := filepath.Join(t.TempDir(), "child"), filepath.Join(t.TempDir(), "own")
			l, dir := newRunner(t, append(row.steps, "child="+child, "pid="+own, "wait")...)
			handle := start(t, l, "stop.2")
			pids := []int{pidIn(t, child), pidIn(t, own)}
			if state, err := l.Look(t.Context(), handle); err != nil || !state.Running {
				t.Fatalf("state: %+v %v", state, err)
			}
			if err := l.Stop(t.Context(), handle); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %d lives on", pid)
				}
			}
			empty(t, dir)
			select {
			case exit := <-l.Exits():
				t.Errorf("a builder that was stopped is told as ended by itself: %+v", exit)
			default:
			}
			if state, _ := l.Look(t.Context(), handle); state.Running {
				t.Error("it is said to run")
			}
		})
	}
}

func TestLeftoversOfABuilderThatEndsAreEnded(t *testing.T) {
	child := filepath.Join(t.TempDir(), "child")
	l, dir := newRunner(t, "child="+child, "exit=1")
	start(t, l, "left.1")
	<-l.Exits()
	if pid := pidIn(t, child); alive(pid) {
		t.Errorf("process %d lives on", pid)
	}
	empty(t, dir)
}

func TestKilledControlPlaneLeavesNothing(t *testing.T) {
	self, _ := os.Executable()
	dir, out := filepath.Join(t.TempDir(), "builds"), t.TempDir()
	child, own := filepath.Join(out, "child"), filepath.Join(out, "own")
	parent := exec.Command(self, "parent", dir, "lock", "child="+child, "pid="+own, "wait")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	childPID, builderPID := pidIn(t, child), pidIn(t, own)
	_ = parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "the builder dies with its parent", func() bool { return !alive(builderPID) })
	l, err := runner.New(runner.Options{Command: []string{self, "builder"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if ended, err := l.Sweep(t.Context(), nil); err != nil || ended != 1 {
		t.Fatalf("ended %d, %v", ended, err)
	}
	if alive(childPID) {
		t.Errorf("process %d lives on", childPID)
	}
	empty(t, l.Dir())
}

func TestStartOfAProgramThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "builds")
	missing, err := runner.New(runner.Options{Command: []string{"/nowhere/builder"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Start(t.Context(), controlplane.Builder{Attempt: "a.1"}); err == nil {
		t.Error("started a program that is not there")
	}
	empty(t, dir)
}
