package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// insideID is the user id that a command sees when an ordinary user builds.
const insideID = 1000

// setupTimeout bounds what happens before a command starts.
const setupTimeout = 20 * time.Second

// errSetUp is followed by what bubblewrap says.
var errSetUp = errors.New("bubblewrap could not set up its namespaces")

// child is a command that has been started.
type child struct {
	// wait returns the exit code when the command itself has ended.
	wait func() (int, error)
	// kill ends the command and everything it has started. It may be called
	// at any time and more than once.
	kill func()
	// release returns when nothing is left, after wait.
	release func() error
}

// extraProcesses are the sandbox's own processes in a command's group.
func (s *Sandbox) extraProcesses() int {
	if s.isolation.Mode == ModeBubblewrap {
		return 1 // the init of the process namespace
	}
	return 0
}

// innerGate runs inside, with all rights dropped: it says that the namespaces
// are complete and waits until their network is. If the builder dies first,
// the pipe closes and the command never starts.
const innerGate = `echo >&3; read -r go <&4 || exit 125; exec 3>&- 4<&- 7<&-; cd "$0" && unset OLDPWD && exec "$@"`

// startBubblewrap starts the command in namespaces. On its way it passes two
// gates: one before there is any other process, so that its limits hold for
// all of them, and one when the namespaces are complete, so that its network
// can be closed to what it must not reach. Nothing that the command does can
// undo either.
func (s *Sandbox) startBubblewrap(ctx context.Context, c Command, group *group, out *output) (*child, error) {
	ownNetwork := s.isolation.Network || !c.Network
	files := &descriptors{}
	defer files.close()
	b := &bubblewrap{group: group, init: -1}
	var err error
	ready, err := files.reader() // number 3, as innerGate has it
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer ready.Close()
	inner, err := files.writer() // number 4
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer inner.Close()
	outer, err := files.writer() // number 5
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer outer.Close()
	if b.status, err = files.reader(); err != nil { // number 6
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	// Bubblewrap holds the other end, too (number 7): if the builder is killed,
	// no SIGPIPE may end it before it lets the init go on.
	if err := files.again(b.status); err != nil {
		b.status.Close()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	defer func() {
		if b.cmd == nil {
			b.status.Close()
		}
	}()
	v, err := s.view(c, ownNetwork, files)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	args := []string{
		"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "build",
		"--new-session",
		"--json-status-fd", "6", "--block-fd", "5",
	}
	if ownNetwork {
		args = append(args, "--unshare-net")
	}
	// The shell goes to the directory with the command's rights, and turns a
	// program that is missing into exit code 127.
	command := append([]string{"/bin/sh", "-c", innerGate, path.Join(insideWorkspace, c.Dir)}, c.Args...)
	if s.user.id != 0 {
		// Root needs no user namespace, and the command's user could not
		// pass a workspace's parent folders: so bubblewrap builds the view
		// with root's rights, and these go before the command starts.
		args = append(args, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP")
		command = append(s.user.dropRights(), command...)
	} else {
		args = append(args, "--unshare-user", "--disable-userns", "--uid", strconv.Itoa(insideID), "--gid", strconv.Itoa(insideID))
	}
	if filter := callFilter(); filter != nil {
		number, err := files.data("filter", string(filter))
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		args = append(args, "--seccomp", strconv.Itoa(number))
	}
	args = append(args, v.args...)
	for _, pair := range s.environment(c) {
		name, value, _ := strings.Cut(pair, "=")
		args = append(args, "--setenv", name, value)
	}
	// The process list shows bubblewrap's arguments on both sides: hand over
	// the machine's paths and the environment by descriptor.
	argsNumber, err := files.data("arguments", strings.Join(args, "\x00")+"\x00")
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}

	cmd := exec.Command(s.isolation.bwrap, append([]string{"--args", strconv.Itoa(argsNumber), "--"}, command...)...)
	cmd.Env = []string{} // not nil, which would inherit: the command can read its init's
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out.stdout, out.stderr
	cmd.ExtraFiles = files.list
	// No parent-death signal and no --die-with-parent: they could end bubblewrap
	// just before it lets the init go on, which would then wait for ever. If the
	// builder is killed, the pipes of the gates and then the guard end all.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sandbox: start bubblewrap: %w", err)
	}
	b.cmd = cmd
	files.close()
	if err := b.setUp(ctx, s, c, gates{outer: outer, inner: inner, ready: ready}); err != nil {
		b.kill()
		_, _ = b.wait()
		return nil, errors.Join(fmt.Errorf("sandbox: %w", err), b.release())
	}
	return &child{wait: b.wait, kill: b.kill, release: b.release}, nil
}

// gates are the builder's ends of the pipes at which a command waits.
type gates struct{ outer, inner, ready *os.File }

// bubblewrap is one that runs: the process outside, and the init inside.
type bubblewrap struct {
	cmd     *exec.Cmd
	status  *os.File
	reader  *json.Decoder
	group   *group
	network *network
	guard   *guard
	mu      sync.Mutex
	init    int  // a descriptor of the inner init process; -1 if none
	killed  bool // as soon as there is an init
}

// bubblewrapStatus are the documents that bubblewrap writes, one after the other.
type bubblewrapStatus struct {
	ChildPID *int `json:"child-pid"`
	ExitCode *int `json:"exit-code"`
}

// setUp brings everything in place and opens the gates.
func (b *bubblewrap) setUp(ctx context.Context, s *Sandbox, c Command, g gates) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, b.kill)()
	b.reader = json.NewDecoder(bufio.NewReader(b.status))
	var status bubblewrapStatus
	stuck := time.AfterFunc(setupTimeout, func() { _ = b.cmd.Process.Kill() })
	err := b.reader.Decode(&status)
	stuck.Stop()
	if err != nil || status.ChildPID == nil {
		return errSetUp
	}
	pid := *status.ChildPID
	init, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watch the command: %w", err)
	}
	b.mu.Lock()
	b.init = init
	if b.killed {
		_ = unix.PidfdSendSignal(init, unix.SIGKILL, nil, 0)
	}
	b.mu.Unlock()
	if b.guard, err = newGuard(guardInit, "sh"); err != nil {
		return err
	}
	if err := b.guard.protect(pid); err != nil {
		return fmt.Errorf("set the guard: %w", err)
	}
	if err := b.group.add(pid); err != nil {
		return err
	}
	if err := s.limits.apply(pid, b.group, s.user.id != 0, s.extraProcesses()); err != nil {
		return err
	}
	if _, err := g.outer.Write([]byte{1}); err != nil {
		return fmt.Errorf("open the outer gate: %w", err)
	}
	if _, err := g.ready.Read(make([]byte, 1)); err != nil {
		return errSetUp
	}
	if s.isolation.Network && c.Network {
		blocked := append(machineAddresses(), s.config.Blocked...)
		if b.network, err = startNetwork(ctx, pid, s.user.id == 0, blocked); err != nil {
			return fmt.Errorf("give the command a network: %w", err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, err := g.inner.Write([]byte{'\n'}); err != nil {
		return fmt.Errorf("open the inner gate: %w", err)
	}
	return nil
}

// kill ends the init, with which the kernel ends all of its namespace. Before
// there is one, it waits for it: if bubblewrap itself were killed in the moment
// in which it makes the init, this would wait for it for ever.
func (b *bubblewrap) kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.killed = true
	if b.init >= 0 {
		_ = unix.PidfdSendSignal(b.init, unix.SIGKILL, nil, 0)
	}
}

// wait takes the exit code from the status: bubblewrap's own would not tell a
// command that failed from a sandbox that did.
func (b *bubblewrap) wait() (int, error) {
	exitCode := -1
	for {
		var status bubblewrapStatus
		if b.reader.Decode(&status) != nil {
			break
		}
		if status.ExitCode != nil {
			exitCode = *status.ExitCode
		}
	}
	waitErr := b.cmd.Wait()
	if exitCode >= 0 {
		return exitCode, nil
	}
	if b.cmd.ProcessState.Exited() && b.cmd.ProcessState.ExitCode() < 128 {
		return -1, fmt.Errorf("sandbox: %w", errSetUp)
	}
	return 128 + int(syscall.SIGKILL), ignoreExit(waitErr)
}

// release waits for the end of the inner init, which comes after that of
// every other process in its namespace.
func (b *bubblewrap) release() error {
	b.status.Close()
	b.mu.Lock()
	init := b.init
	b.init = -1
	b.mu.Unlock()
	var err error
	if init >= 0 {
		_ = unix.PidfdSendSignal(init, unix.SIGKILL, nil, 0)
		err = waitPidfd(init)
		unix.Close(init)
	}
	if b.guard != nil {
		err = errors.Join(err, b.guard.dismiss())
	}
	b.group.kill()
	return errors.Join(err, b.network.close())
}

// waitPidfd returns when the process has ended.
func waitPidfd(fd int) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, int(time.Until(deadline).Milliseconds())+1)
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return err
		case time.Now().After(deadline):
			return errors.New("sandbox: a process would not end")
		}
	}
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
