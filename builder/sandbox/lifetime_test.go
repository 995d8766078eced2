package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// daemons starts processes that try to outlive their parent, with a mark in
// their arguments by which the machine's process list shows them.
func daemons(mark string) string {
	return fmt.Sprintf(`setsid sleep %[1]s.1 & (setsid sh -c 'sleep %[1]s.2 & sleep %[1]s.3 & wait' &) ; (trap '' TERM HUP; nohup sleep %[1]s.4 >/dev/null 2>&1 &); `, mark)
}

// newMark is an argument to sleep that no other process has.
func newMark() string {
	return strconv.Itoa(100_000 + os.Getpid()%100_000 + int(time.Now().UnixNano()%1_000_000)*7)
}

// marked are the processes of the machine that run sleep with a mark.
func marked(mark string) []int {
	var pids []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		text, err := os.ReadFile(file)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && strings.HasPrefix(string(text), "sleep\x00"+mark) && !zombie(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestNothingOutlivesItsCommand(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) { testNothingOutlives(t, mode, true) })
		t.Run(string(mode)+" without control groups", func(t *testing.T) { testNothingOutlives(t, mode, false) })
	}
}

func testNothingOutlives(t *testing.T, mode Mode, groups bool) {
	s, _ := openMode(t, mode, Limits{})
	if !groups {
		s.parents = parentGroups{}
	}
	t.Run("that ends", func(t *testing.T) {
		mark := newMark()
		began := time.Now()
		// The daemons hold the output open, too.
		if _, result := shell(t, s, daemons(mark)+"exit 0"); result.ExitCode != 0 || time.Since(began) > 4*time.Second {
			t.Errorf("%+v after %s", result, time.Since(began))
		}
		if left := marked(mark); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	for _, c := range []struct {
		name string
		end  func(cancel context.CancelCauseFunc)
		want error
	}{
		{"that is cancelled", func(cancel context.CancelCauseFunc) { cancel(errStop) }, errStop},
		{"whose sandbox is closed", func(context.CancelCauseFunc) { s.Close() }, ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := newMark()
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := make(chan error, 1)
			go func() {
				_, err := s.Run(ctx, Command{Args: []string{"sh", "-c", daemons(mark) + "sleep " + mark}})
				done <- err
			}()
			eventually(t, "all run", func() bool { return len(marked(mark)) >= 5 })
			c.end(cancel)
			if err := <-done; !errors.Is(err, c.want) {
				t.Errorf("run: %v", err)
			}
			if left := marked(mark); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

var errStop = errors.New("stop")

func TestDeadlineEndsTheCommand(t *testing.T) {
	s, _ := openMode(t, ModeBubblewrap, Limits{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, Command{Args: []string{"sleep", "60"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run: %v", err)
	}
}

func TestCancelAtAnyMomentLeavesNothing(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			s, _ := openMode(t, mode, Limits{})
			mark := newMark()
			for after := time.Duration(0); after < 40*time.Millisecond; after += 2 * time.Millisecond {
				ctx, cancel := context.WithTimeout(t.Context(), after)
				began := time.Now()
				if _, err := s.Run(ctx, Command{Args: []string{"sleep", mark}, Network: true}); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("run: %v", err)
				}
				cancel()
				if took := time.Since(began); took > outputGrace {
					t.Errorf("cancelled after %s, it took %s", after, took)
				}
			}
			if left := withArgument("sleep\x00" + mark); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestNothingOutlivesABuilderThatIsKilled(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			_, p := openMode(t, mode, Limits{})
			mark := newMark()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "SANDBOX_TEST_ROLE=builder", "SANDBOX_TEST_MODE="+string(mode), "SANDBOX_TEST_MARK="+mark, "SANDBOX_TEST_WORKSPACE="+p.workspace)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "running\n" {
				t.Fatalf("the builder said %q, %v", line, err)
			}
			eventually(t, "all run", func() bool { return len(marked(mark)) >= 5 })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			eventually(t, "nothing is left", func() bool { return len(marked(mark)) == 0 })
			if groupParents().pids != "" && len(leftGroups(cmd.Process.Pid)) == 0 {
				t.Error("there is nothing to sweep")
			}
			Sweep()
			if left := leftGroups(cmd.Process.Pid); len(left) > 0 {
				t.Errorf("control groups are left: %v", left)
			}
		})
	}
}

// buildUntilKilled is a builder whose command never ends.
func buildUntilKilled() int {
	mark := os.Getenv("SANDBOX_TEST_MARK")
	s, err := New(context.Background(), Config{Mode: os.Getenv("SANDBOX_TEST_MODE")}, os.Getenv("SANDBOX_TEST_WORKSPACE"), Limits{})
	if err == nil {
		if os.Getenv("SANDBOX_TEST_TELL") != "" {
			fmt.Println("starting")
		}
		_, err = s.Run(context.Background(), Command{Args: []string{"sh", "-c", daemons(mark) + "echo running; sleep " + mark}, Stdout: os.Stdout, Network: true})
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func TestABuilderKilledAtAnyMomentLeavesNothing(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			_, p := openMode(t, mode, Limits{})
			mark := newMark()
			for after := time.Duration(0); after < 50*time.Millisecond; after += 5 * time.Millisecond {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "SANDBOX_TEST_ROLE=builder", "SANDBOX_TEST_MODE="+string(mode), "SANDBOX_TEST_MARK="+mark, "SANDBOX_TEST_WORKSPACE="+p.workspace, "SANDBOX_TEST_TELL=1")
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "starting\n" {
					t.Errorf("the builder said %q, %v", line, err)
				}
				time.Sleep(after) // any moment will do
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			}
			eventually(t, "nothing is left", func() bool { return len(withArgument(mark)) == 0 })
			Sweep()
		})
	}
}

// withArgument are the processes of the machine that have a text in their
// arguments, those of the sandbox included.
func withArgument(text string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if line, _ := os.ReadFile(file); strings.Contains(string(line), text) {
			found = append(found, filepath.Dir(file))
		}
	}
	return found
}

func TestSweepSparesTheLiving(t *testing.T) {
	g, err := newGroup(groupParents(), Limits{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.dirs()) == 0 {
		if os.Geteuid() != 0 {
			t.Skip("this user can make no control group")
		}
		lack(t, "no control group can be made here")
	}
	Sweep()
	for _, dir := range g.dirs() {
		if !isDir(dir) {
			t.Errorf("%s is gone", dir)
		}
	}
	g.remove()
}

func TestDiskUsageFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "big"), strings.Repeat("x", 100_000))
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "big"), "loop": dir} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	usage := diskUsage{limit: 1 << 30, seen: map[inode]bool{}}
	if err := usage.add(unix.AT_FDCWD, dir); err != nil || usage.bytes >= 100_000 {
		t.Errorf("%d bytes, %v", usage.bytes, err)
	}
}

func TestOutputEndsWithoutAProcessThatKeepsItOpen(t *testing.T) {
	out, err := newOutput(&strings.Builder{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := unix.Dup(int(out.stdout.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)
	out.grace = 100 * time.Millisecond
	began := time.Now()
	if err := out.finish(); err != nil || time.Since(began) > outputGrace {
		t.Errorf("%v after %s", err, time.Since(began))
	}
}
