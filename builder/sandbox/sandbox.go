// Package sandbox runs the commands of a project, which nobody has vetted, so
// that they reach their workspace and the internet and nothing else: no file,
// process, socket, environment variable or address of the platform.
//
// The strongest mode that the machine can give is used, see [Probe].
// Whatever the mode, a command has limits (see [Limits]), and when it ends, is
// cancelled, or the builder itself is killed, everything it started ends too.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Mode is how commands are kept apart from the machine.
type Mode string

const (
	// ModeBubblewrap gives commands namespaces and a file system view of their own.
	ModeBubblewrap Mode = "bubblewrap"
	// ModeTask runs commands as a user id that nobody else has, in a container
	// that was started for this build and ends with it. The container is what
	// keeps them apart from everything else; its network is theirs, too.
	ModeTask Mode = "task"
	// ModeUser runs commands as a user id that nobody else has; only root can.
	ModeUser Mode = "user"
	// ModeNone runs commands as plain children of the builder.
	ModeNone Mode = "none"
)

// strict asks for ModeBubblewrap with a network of its own, or for nothing.
const strict = "strict"

// Config says how to isolate and from what.
type Config struct {
	// Mode is one of the modes above; empty or "auto" takes the strongest
	// that the machine can give, and "strict" only the strongest there is.
	Mode string
	// Hidden are absolute host paths that no command may see, such as the
	// platform's data directory. A workspace may lie below one.
	Hidden []string
	// Blocked are addresses that commands may not reach where they have a
	// network of their own, besides loopback, private, link-local, metadata
	// and the machine's own addresses, which they never reach.
	Blocked []netip.Prefix
}

// Limits bound every command of a sandbox. Zero means no limit.
type Limits struct {
	// MemoryBytes counts all processes together where a control group can be
	// made, else the data segment of each process. In ModeTask it is at most
	// what the container has beside the builder, and all processes together are
	// looked at ten times a second.
	MemoryBytes int64
	// Processes counts processes and threads together.
	Processes int
	// FileSizeBytes bounds a single file.
	FileSizeBytes int64
	// WorkspaceBytes bounds the disk space of the workspace, the home and the
	// temporary directory together; it is looked at about once a second.
	WorkspaceBytes int64
}

// ErrClosed is returned by Run once the sandbox is closed.
var ErrClosed = errors.New("the sandbox is closed")

// Where commands find things in ModeBubblewrap.
const (
	insideWorkspace = "/build"
	insideHome      = "/home/build"
	insideTmp       = "/tmp"
)

// Sandbox runs the commands of one build, one after the other.
type Sandbox struct {
	isolation Isolation
	limits    Limits
	config    Config
	workspace string
	scratch   string        // home and temporary directory, beside the workspace
	scanEvery time.Duration // how often the disk space is looked at, at most
	user      buildUser
	parents   parentGroups
	container container // in ModeTask

	ctx     context.Context // ends when the sandbox is closed
	close   context.CancelFunc
	running sync.Mutex // held by Run
	adopted bool       // the workspace belongs to the build's user
}

// New makes a sandbox around workspace, an existing directory that only this
// build uses. Beside it, in workspace + ".sandbox", it keeps the home and the
// temporary directory of the commands until Close.
//
// In ModeBubblewrap the kernel's list of mounts tells commands the workspace's
// path on the file system it lies on. Nothing on that path can be reached; keep
// workspaces where the path itself says nothing, if that matters.
//
// Started by root, the first Run gives everything in the workspace to the
// user id that the commands get.
func New(ctx context.Context, config Config, workspace string, limits Limits) (*Sandbox, error) {
	return open(config, Probe(ctx, config), workspace, limits)
}

func open(config Config, isolation Isolation, workspace string, limits Limits) (*Sandbox, error) {
	if isolation.err != nil {
		return nil, isolation.err
	}
	workspace, err := filepath.Abs(workspace)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if workspace, err = filepath.EvalSymlinks(workspace); err != nil {
		return nil, fmt.Errorf("sandbox: find the workspace: %w", err)
	}
	s := &Sandbox{isolation: isolation, limits: limits, config: config, workspace: workspace, scratch: workspace + ".sandbox", parents: groupParents(), scanEvery: workspaceInterval}
	if s.user, err = pickUser(isolation.Mode); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if isolation.Mode == ModeUser || isolation.Mode == ModeTask {
		if err := reachable(workspace); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	if isolation.Mode == ModeTask {
		openToAll("/tmp")
		s.container = ownContainer()
		s.limits = limits.withinContainer(s.container.memoryBytes())
	}
	if err := RemoveAll(s.scratch); err != nil {
		return nil, fmt.Errorf("sandbox: clear what an earlier build left: %w", err)
	}
	for _, dir := range []string{s.scratch, s.home(), s.tmp()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		if err := s.user.own(dir); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
	}
	s.ctx, s.close = context.WithCancel(context.Background())
	return s, nil
}

func (s *Sandbox) home() string { return filepath.Join(s.scratch, "home") }
func (s *Sandbox) tmp() string  { return filepath.Join(s.scratch, "tmp") }

// Isolation says what protects this sandbox.
func (s *Sandbox) Isolation() Isolation { return s.isolation }

// Path is the workspace's path as commands see it.
func (s *Sandbox) Path() string {
	if s.isolation.Mode == ModeBubblewrap {
		return insideWorkspace
	}
	return s.workspace
}

// Run runs one command and returns when it and everything it started have
// ended and its output is written. It waits for a Run that is under way.
//
// A command that fails, or that a limit ends, is a Result and no error. The
// error is the cause of ctx when ctx ended the command, [ErrClosed] when Close
// did, and otherwise says why the command could not be run.
func (s *Sandbox) Run(ctx context.Context, c Command) (Result, error) {
	s.running.Lock()
	defer s.running.Unlock()
	if s.ctx.Err() != nil {
		return Result{}, ErrClosed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
	if err := c.check(); err != nil {
		return Result{}, fmt.Errorf("sandbox: %w", err)
	}
	if err := keepInherited(); err != nil {
		return Result{}, fmt.Errorf("sandbox: %w", err)
	}
	if !s.adopted {
		if err := s.user.adopt(s.workspace); err != nil {
			return Result{}, fmt.Errorf("sandbox: hand the workspace to the build's user: %w", err)
		}
		s.adopted = true
	}

	// The kernel sends the parent-death signal when the thread that started a
	// child ends, not the process: stay on this thread until the child is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	began := time.Now()
	group, err := newGroup(s.parents, s.limits, s.extraProcesses())
	if err != nil {
		return Result{}, fmt.Errorf("sandbox: %w", err)
	}
	defer group.remove()
	out, err := newOutput(c.Stdout, c.Stderr)
	if err != nil {
		return Result{}, fmt.Errorf("sandbox: %w", err)
	}
	result, err := s.supervise(ctx, cancel, c, group, out)
	result.Duration = time.Since(began)
	if outputErr := out.finish(); err == nil && outputErr != nil {
		err = fmt.Errorf("sandbox: hand on the output: %w", outputErr)
	}
	if errors.Is(err, errSetUp) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out.complaint)))
	}
	return result, err
}

// supervise runs the command to its end, under the eyes of a watch.
func (s *Sandbox) supervise(ctx context.Context, cancel context.CancelCauseFunc, c Command, group *group, out *output) (Result, error) {
	start := s.startPlain
	if s.isolation.Mode == ModeBubblewrap {
		start = s.startBubblewrap
	}
	child, err := start(ctx, c, group, out)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Result{}, err
	}
	out.started()
	kills := s.container.kills()
	watch := s.startWatch(group, cancel)
	stop := context.AfterFunc(ctx, child.kill)
	result := Result{}
	result.ExitCode, err = child.wait()
	stop()
	child.kill()
	if releaseErr := child.release(); err == nil {
		err = releaseErr
	}
	watch.stop()
	result.PeakMemoryBytes = max(group.peakMemory(), watch.peak)

	var excess limitExcess
	switch cause := context.Cause(ctx); {
	case errors.As(cause, &excess):
		result.Exceeded = Limit(excess)
		return result, nil
	case cause != nil:
		return result, cause
	}
	if result.ExitCode != 0 {
		result.Exceeded = s.suspect(result, group, s.container.kills() > kills)
	}
	return result, err
}

// Explain says in a sentence which limit ended a command; empty if none did.
func (s *Sandbox) Explain(r Result) string { return s.limits.Explain(r) }

// Close ends a command that is running, waits until nothing of it is left, and
// removes the home and the temporary directory. The workspace stays; remove it
// with [RemoveAll].
func (s *Sandbox) Close() error {
	s.close()
	s.running.Lock()
	defer s.running.Unlock()
	if err := RemoveAll(s.scratch); err != nil {
		return fmt.Errorf("sandbox: clean up: %w", err)
	}
	return nil
}
