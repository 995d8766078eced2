//go:build !linux

package runner

import (
	"os"
	"os/exec"
	"syscall"
	"time"
)

// newSession makes a child the leader of a session of its own.
func newSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// process is a builder with everything in its process group: without /proc,
// what has left the group is not found.
type process struct {
	pid   int
	start uint64
	work  string
}

// finish waits until the builder has ended, then ends what it left behind.
func (p process) finish(cmd *exec.Cmd) (err error, clean bool) {
	err = cmd.Wait()
	return err, p.kill(killTime)
}

func (p process) kill(within time.Duration) bool {
	deadline := time.Now().Add(within)
	for p.any() {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

func (p process) any() bool {
	return p.pid > 1 && p.pid != os.Getpid() && syscall.Kill(-p.pid, 0) == nil
}

func startOf(int) (uint64, bool) { return 0, false }
