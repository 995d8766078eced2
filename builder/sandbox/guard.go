package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// guard is a process that ends a command's processes when the builder says so,
// and when the builder is killed and can't. A parent-death signal would reach
// one process alone, and not even that one at every moment of its start.
type guard struct {
	cmd   *exec.Cmd
	alive *os.File
	once  sync.Once
}

// The scripts read the process from a pipe that the builder holds. Its end is
// the signal to kill.
const (
	// guardInit ends a process namespace by its init, unless told that all is done.
	guardInit = `trap "" HUP INT TERM; read -r init <&3 || exit 0; read -r done <&3 || kill -s KILL "$init"`
	// guardGroup ends the command's process group, its control group ($1 is
	// the file of its processes), and whatever has its temporary directory
	// ($2) in the environment.
	guardGroup = `trap "" HUP INT TERM; read -r pgid <&3 || exit 0; read -r end <&3
kill -s KILL -- "-$pgid" 2>/dev/null
while [ -n "$1" ] && pids=$(/bin/cat "$1" 2>/dev/null) && [ -n "$pids" ]; do kill -s KILL $pids 2>/dev/null; done
while [ -z "$1" ]; do found=; for p in /proc/[0-9]*; do /bin/grep -qsF "$2" "$p/environ" && kill -s KILL "${p#/proc/}" 2>/dev/null && found=1; done; [ -n "$found" ] || break; done; exit 0`
	// guardUser ends all that a user runs in one call of the kernel, which no
	// fork bomb outruns.
	guardUser = `trap "" HUP INT TERM; read -r pgid <&3; read -r end <&3; exec "$@" /bin/sh -c "kill -s KILL -- -1"`
)

// startGuard starts one for a command without namespaces.
func startGuard(user buildUser, group *group, mark string) (*guard, error) {
	if user.id != 0 {
		return newGuard(append([]string{guardUser, "sh"}, user.dropRights()...)...)
	}
	processes := ""
	if dirs := group.dirs(); len(dirs) > 0 {
		processes = filepath.Join(dirs[len(dirs)-1], "cgroup.procs")
	}
	return newGuard(guardGroup, "sh", processes, mark)
}

func newGuard(script ...string) (*guard, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	g := &guard{cmd: exec.Command("/bin/sh", append([]string{"-c"}, script...)...), alive: in}
	g.cmd.Env = []string{}
	g.cmd.Dir = "/"
	g.cmd.ExtraFiles = []*os.File{out}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := g.cmd.Start(); err != nil {
		in.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	return g, nil
}

// protect names the process to end, by its number.
func (g *guard) protect(pid int) error {
	_, err := fmt.Fprintln(g.alive, pid)
	return err
}

// dismiss lets an init's guard go: its process has ended.
func (g *guard) dismiss() error {
	if _, err := fmt.Fprintln(g.alive, "done"); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return g.end()
}

func (g *guard) trigger() { g.once.Do(func() { g.alive.Close() }) }

// end waits for the guard. Its exit code says nothing: a user with no
// processes left is an error to kill.
func (g *guard) end() error {
	g.trigger()
	return ignoreExit(g.cmd.Wait())
}
