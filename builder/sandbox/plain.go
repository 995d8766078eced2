package sandbox

import (
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
		limits := s.limits
		if s.isolation.Mode == ModeTask {
			limits.MemoryBytes = 0 // the watch knows better: it sees what is used, of all together
		}
		err = limits.apply(pid, group, s.user.id != 0, 0)
	}
	if err == nil && s.isolation.Mode == ModeTask {
		err = offerFirst(pid)
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
