// Package runner starts builders: [Local] as processes of this machine, [ECS] as
// tasks of Amazon ECS.
package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Options are the settings of [New].
type Options struct {
	// Command is what starts a builder: a program by its absolute path, and its
	// arguments.
	Command []string
	// Dir is where each builder gets a folder, which is removed when it ends.
	Dir string
	// Env is a builder's environment, besides what names its control plane, its
	// claim and its workspace. Nothing of this process's own is passed on.
	Env []string
	// Grace is how long a builder that is stopped may take to leave by itself.
	// Default: 2 s.
	Grace time.Duration
	Log   *slog.Logger
}

// Local runs builders as child processes, each in a session of its own. A
// builder dies with the process that started it; what it leaves behind is found
// by [Local.Sweep].
//
//	<Dir>/<handle>/builder.json   its process id and start time
//	<Dir>/<handle>/work           its workspace
//	<Dir>/<handle>/home           its home, empty
type Local struct {
	options Options
	exits   chan controlplane.BuilderExit

	mu       sync.Mutex
	builders map[string]*builder // that run, by handle
}

var _ controlplane.Runner = (*Local)(nil)

// builder is one process that runs.
type builder struct {
	handle  string
	dir     string
	stderr  *tail
	process process
	leader  *os.Process   // nil until it was started
	stopped bool          // by Stop: nobody is told
	gone    chan struct{} // closed when nothing of it is left
}

// record is what builder.json holds.
type record struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // in ticks since the machine's start
	Boot  string `json:"boot"`  // which start of the machine; none where it can't be told
}

const (
	recordName = "builder.json"
	workName   = "work"
	homeName   = "home"
	maxExits   = 4096 // that nobody has asked for
	killTime   = 10 * time.Second
)

// New makes a runner, and its folder.
func New(options Options) (*Local, error) {
	if len(options.Command) == 0 || !filepath.IsAbs(options.Command[0]) {
		return nil, errors.New("runner: the builder's program needs an absolute path")
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	// Commands of builds may run as another user, who passes through to the
	// workspace and sees nothing else.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	if options.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	if options.Grace == 0 {
		options.Grace = 2 * time.Second
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Local{options: options, exits: make(chan controlplane.BuilderExit, maxExits), builders: map[string]*builder{}}, nil
}

// Dir is where the builders' folders are.
func (l *Local) Dir() string { return l.options.Dir }

// handles are names of folders; attempts' ids are such.
var handlePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Start implements [controlplane.Runner]. The handle is the attempt's id.
func (l *Local) Start(ctx context.Context, in controlplane.Builder) (string, error) {
	handle := in.Attempt
	if !handlePattern.MatchString(handle) {
		return "", fmt.Errorf("start builder %q: not a name of an attempt", handle)
	}
	b := &builder{handle: handle, dir: filepath.Join(l.options.Dir, handle), stderr: &tail{}, gone: make(chan struct{})}
	l.mu.Lock()
	_, running := l.builders[handle]
	if !running {
		l.builders[handle] = b
	}
	l.mu.Unlock()
	if running {
		return "", fmt.Errorf("start builder %s: it runs already", handle)
	}
	if err := l.launch(ctx, b, in); err != nil {
		l.forget(b)
		l.removeDir(b.dir)
		return "", fmt.Errorf("start builder %s: %w", handle, err)
	}
	return handle, nil
}

func (l *Local) launch(ctx context.Context, b *builder, in controlplane.Builder) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.removeDir(b.dir) // of a start that was cut off
	work := filepath.Join(b.dir, workName)
	if err := os.Mkdir(b.dir, 0o711); err != nil {
		return err
	}
	home := filepath.Join(b.dir, homeName) // beside the workspace: no build writes there
	if err := errors.Join(os.Mkdir(work, 0o700), os.Mkdir(home, 0o700)); err != nil {
		return err
	}
	cmd := exec.Command(l.options.Command[0], l.options.Command[1:]...)
	cmd.Dir = work
	cmd.Env = append(slices.Clone(l.options.Env), "HOME="+home,
		"MINI_VERCEL_URL="+in.URL, "MINI_VERCEL_CLAIM="+in.Claim, "MINI_VERCEL_WORKSPACE="+work)
	cmd.Stdout, cmd.Stderr = b.stderr, b.stderr
	cmd.SysProcAttr = newSession()
	cmd.WaitDelay = time.Second // for what still holds its output
	started := make(chan error, 1)
	go l.look(b, cmd, started)
	return <-started
}

// look starts a builder and stays until nothing of it is left. The word that the
// parent has died is sent when the thread ends that started the child, so the
// goroutine keeps its thread.
func (l *Local) look(b *builder, cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p := process{pid: cmd.Process.Pid, work: cmd.Dir}
	p.start, _ = startOf(p.pid)
	err := writeRecord(b.dir, record{PID: p.pid, Start: p.start, Boot: bootID()})
	l.mu.Lock()
	b.process, b.leader = p, cmd.Process
	stopped := b.stopped
	l.mu.Unlock()
	if err != nil || stopped {
		p.kill(killTime)
	}
	started <- err
	result, clean := p.finish(cmd)
	if !clean {
		l.options.Log.Error("processes of a builder can't be ended", "builder", b.handle)
	}
	exit := exitOf(b, result)
	l.removeDir(b.dir)
	l.mu.Lock()
	stopped = b.stopped
	delete(l.builders, b.handle)
	l.mu.Unlock()
	close(b.gone)
	if err != nil || stopped {
		return
	}
	select {
	case l.exits <- exit:
	default:
		l.options.Log.Error("nobody asks for builders that have ended", "builder", b.handle)
	}
}

// exitOf says how a builder ended, with the end of what it printed.
func exitOf(b *builder, err error) controlplane.BuilderExit {
	exit := controlplane.BuilderExit{Handle: b.handle, Reason: b.stderr.String()}
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		exit.Code = status.ExitCode()
		if ws, ok := status.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			exit.Reason = fmt.Sprintf("it was ended by the signal %q. %s", ws.Signal(), exit.Reason)
		}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		exit.Code = -1
		exit.Reason = err.Error()
	}
	return exit
}

func (l *Local) forget(b *builder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.builders[b.handle] == b {
		delete(l.builders, b.handle)
	}
}

// Look implements [controlplane.Runner].
func (l *Local) Look(_ context.Context, handle string) (controlplane.BuilderState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.builders[handle]; ok {
		return controlplane.BuilderState{Running: true}, nil
	}
	return controlplane.BuilderState{Exit: controlplane.BuilderExit{Handle: handle, Code: -1, Lost: true}}, nil
}

// Stop implements [controlplane.Runner]: it asks the builder to leave, and ends
// it with everything that it started when it has not left after the grace.
func (l *Local) Stop(ctx context.Context, handle string) error {
	l.mu.Lock()
	b := l.builders[handle]
	if b == nil {
		l.mu.Unlock()
		return nil
	}
	b.stopped = true
	leader, p := b.leader, b.process
	l.mu.Unlock()
	if leader != nil {
		_ = leader.Signal(syscall.SIGTERM) // it may have ended meanwhile
	}
	grace := time.NewTimer(l.options.Grace)
	defer grace.Stop()
	select {
	case <-b.gone:
		return nil
	case <-grace.C:
	case <-ctx.Done():
	}
	p.kill(killTime)
	select {
	case <-b.gone:
		return nil
	case <-time.After(killTime):
		return fmt.Errorf("stop builder %s: it is still there", handle)
	}
}

// Exits implements [controlplane.Runner].
func (l *Local) Exits() <-chan controlplane.BuilderExit { return l.exits }

// Survives implements [controlplane.Runner].
func (l *Local) Survives() bool { return false }

// Sweep implements [controlplane.Runner]. Whatever this process has not started
// itself is left from an earlier one, and its attempt over.
func (l *Local) Sweep(context.Context, func(context.Context, string) (bool, error)) (ended int, err error) {
	entries, err := os.ReadDir(l.options.Dir)
	if err != nil {
		return 0, fmt.Errorf("sweep builders: %w", err)
	}
	for _, entry := range entries {
		handle := entry.Name()
		l.mu.Lock()
		_, running := l.builders[handle]
		l.mu.Unlock()
		if running {
			continue
		}
		dir := filepath.Join(l.options.Dir, handle)
		p := process{work: filepath.Join(dir, workName)}
		if r, err := readRecord(dir); err == nil && r.Start != 0 && r.Boot == bootID() {
			p.pid, p.start = r.PID, r.Start
		}
		if p.any() {
			ended++
			if !p.kill(killTime) {
				l.options.Log.Error("processes of a builder can't be ended", "builder", handle)
			}
		}
		l.removeDir(dir)
	}
	return ended, nil
}

// removeDir removes a builder's folder, whatever permissions a build gave to
// what is in it.
func (l *Local) removeDir(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		l.options.Log.Error("can't remove a builder's folder", "dir", dir, "error", err)
	}
}

func writeRecord(dir string, r record) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, recordName), body, 0o600)
}

// bootID names this start of the machine: after the next one, numbers of
// processes mean others.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

func readRecord(dir string) (r record, err error) {
	body, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(body, &r)
}
