package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// process is a postmaster. Its children are sessions of their own, so that they
// are found by their parent.
type process struct {
	cmd    *exec.Cmd
	output transcript
	ended  chan struct{}
}

func run(program string, args []string, dir string, owner *syscall.Credential) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	// It ends even where this process is killed: with the thread that started
	// it. Its children end when it has.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: owner}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // it was killed
		}
	}()
	return p, <-started
}

// kill ends the postmaster and its children, the postmaster first: it would make
// new ones. It returns when all are gone.
func (p *process) kill() {
	children := childrenOf(p.cmd.Process.Pid)
	_ = p.cmd.Process.Kill() // it may have ended
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL) // likewise
	}
	<-p.ended
	for _, pid := range children {
		for syscall.Kill(pid, 0) == nil {
			runtime.Gosched() // whoever inherits it takes its status at once
			if state(pid) == "Z" {
				break
			}
		}
	}
}

// interrupt is what postgres calls a fast shutdown.
func (p *process) interrupt() {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // it may have ended
	<-p.ended
}

func childrenOf(parent int) (pids []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, e := range entries {
		pid, err := strconv.Atoi(filepath.Base(e))
		if err == nil && stat(pid, 1) == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func state(pid int) string { return stat(pid, 0) }

// stat returns a field of a process's status, counted from behind its name.
func stat(pid, field int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || err != nil {
		return "Z"
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if field >= len(fields) {
		return ""
	}
	return fields[field]
}

// transcript keeps what a process wrote.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *transcript) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.b.Bytes()
	return string(b[max(0, len(b)-2000):])
}
