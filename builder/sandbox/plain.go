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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dropRights is the command line that goes before one that the user runs. All
// is dropped at once: ids, groups, capabilities, and the way back to any.
func (u buildUser) dropRights() []string {
	setpriv := "setpriv"
	if path, err := exec.LookPath(setpriv); err == nil {
		setpriv = path
	}
	id := strconv.Itoa(u.id)
	return []string{setpriv, "--reuid", id, "--regid", id, "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"}
}

const (
	// gateScript waits until the command's limits are set. If the builder
	// dies first, the pipe closes and the command never starts.
	gateScript = `IFS= read -r go <&3 || exit 125; exec 3<&-; exec "$@"`
	// enterScript takes the environment only when rights are dropped: as root
	// the likes of LD_PRELOAD would be root's.
	enterScript = `umask 022; eval "$(/bin/cat <&4)"; exec 4<&-; exec "$@"`
)

// startPlain starts the command as another user, or as a plain child.
func (s *Sandbox) startPlain(ctx context.Context, c Command, group *group, out *output) (*child, error) {
	dir, err := s.plainDir(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	var script strings.Builder
	for _, pair := range s.environment(c) {
		name, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&script, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	gateOut, gateIn, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer gateIn.Close()
	files := &descriptors{}
	defer files.close()
	files.add(gateOut)
	if _, err := files.data("environment", script.String()); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	p := &plain{group: group, user: s.user}
	if p.guard, err = startGuard(s.user, group, "TMPDIR="+s.tmp()); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	args := []string{"-c", gateScript, "sh"}
	if s.user.id != 0 {
		args = append(args, s.user.dropRights()...)
	}
	args = append(append(args, "/bin/sh", "-c", enterScript, "sh"), c.Args...)
	p.cmd = exec.Command("/bin/sh", args...)
	p.cmd.Env = []string{}
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = out.stdout, out.stderr
	p.cmd.ExtraFiles = files.list
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: start the command: %w", err), p.guard.end())
	}
	files.close()
	pid := p.cmd.Process.Pid
	p.pgid = pid
	err = p.guard.protect(pid)
	if err == nil {
		err = group.add(pid)
	}
	if err == nil {
		err = s.limits.apply(pid, group, s.user.id != 0, 0)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		_, err = gateIn.WriteString("\n")
	}
	if err != nil {
		p.kill()
		_, _ = p.wait()
		return nil, errors.Join(fmt.Errorf("sandbox: %w", err), p.release())
	}
	return &child{wait: p.wait, kill: p.kill, release: p.release}, nil
}

// plainDir follows links, which here would lead out of the workspace.
func (s *Sandbox) plainDir(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(s.workspace, dir))
	if err != nil {
		return "", err
	}
	if !within(real, s.workspace) {
		return "", fmt.Errorf("the directory %q leaves the workspace", dir)
	}
	return real, nil
}

// plain is a command without namespaces. Its descendants are found by their
// control group, their user id or, with neither, their process group.
type plain struct {
	cmd   *exec.Cmd
	pgid  int
	group *group
	user  buildUser
	guard *guard
	mu    sync.Mutex
	ended bool
}

func (p *plain) wait() (int, error) {
	err := p.cmd.Wait()
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), ignoreExit(err)
}

func (p *plain) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	_ = syscall.Kill(-p.pgid, syscall.SIGKILL)
	p.guard.trigger()
}

func (p *plain) release() error {
	p.kill()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.group.kill()
	err := p.guard.end()
	if p.user.id == 0 {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); len(processesOf(p.user.id)) > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.Join(err, errors.New("sandbox: a process would not end"))
		}
	}
	return err
}

// guard is a process that ends the command's processes when the builder says
// so, and when the builder is killed and can't.
type guard struct {
	cmd   *exec.Cmd
	alive *os.File
	once  sync.Once
}

const (
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

func startGuard(user buildUser, group *group, mark string) (*guard, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args := []string{"-c", guardGroup, "sh", "", mark}
	if dirs := group.dirs(); len(dirs) > 0 {
		args[3] = filepath.Join(dirs[len(dirs)-1], "cgroup.procs")
	}
	if user.id != 0 {
		args = append([]string{"-c", guardUser, "sh"}, user.dropRights()...)
	}
	g := &guard{cmd: exec.Command("/bin/sh", args...), alive: in}
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

func (g *guard) protect(pgid int) error {
	_, err := fmt.Fprintln(g.alive, pgid)
	return err
}

func (g *guard) trigger() { g.once.Do(func() { g.alive.Close() }) }

// end waits for the guard. Its exit code says nothing: a user with no
// processes left is an error to kill.
func (g *guard) end() error {
	g.trigger()
	return ignoreExit(g.cmd.Wait())
}

// apply sets what the kernel limits by process. Where the control group limits
// memory and processes, it does so better.
func (l Limits) apply(pid int, g *group, ownUser bool, extraProcesses int) error {
	limit := func(what string, resource int, value int64) error {
		limit := unix.Rlimit{Cur: uint64(value), Max: uint64(value)}
		if err := unix.Prlimit(pid, resource, &limit, nil); err != nil {
			return fmt.Errorf("limit %s: %w", what, err)
		}
		return nil
	}
	err := limit("core dumps", unix.RLIMIT_CORE, 0)
	if l.FileSizeBytes > 0 {
		err = errors.Join(err, limit("the size of files", unix.RLIMIT_FSIZE, l.FileSizeBytes))
	}
	if l.MemoryBytes > 0 && g.memory == "" {
		err = errors.Join(err, limit("memory", unix.RLIMIT_DATA, l.MemoryBytes))
	}
	if l.Processes > 0 && g.pids == "" {
		count := l.Processes
		switch { // the kernel counts all of a user's
		case ownUser: // the sandbox's own are root's
		case extraProcesses > 0: // in a user namespace, which counts for itself
			count += extraProcesses
		default:
			count += ownThreads()
		}
		err = errors.Join(err, limit("processes", unix.RLIMIT_NPROC, int64(count)))
	}
	return err
}

// ownThreads counts what the builder's user runs now.
func ownThreads() int {
	count := 0
	for _, pid := range processesOf(os.Getuid()) {
		file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "Threads:"); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(value))
				count += n
			}
		}
		file.Close()
	}
	return count
}
