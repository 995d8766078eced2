package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// group is the control group of one command, in version 1 or 2 of the
// kernel's interface, as far as the machine lets this process make one.
type group struct {
	memory string // the directory that limits memory; empty if none
	pids   string // the directory that limits processes; empty if none
	v2     bool   // both are the same directory, of version 2
}

// groupPrefix starts the name of every group; the builder's process follows.
const groupPrefix = "mini-vercel-build-"

var groupCounter atomic.Int64

// newGroup makes a group. extraProcesses are the sandbox's own in it.
func newGroup(parents parentGroups, limits Limits, extraProcesses int) (*group, error) {
	name := fmt.Sprintf("%s%d-%s-%d", groupPrefix, os.Getpid(), processStart(os.Getpid()), groupCounter.Add(1))
	g := &group{v2: parents.v2}
	under := func(parent string) string {
		dir := filepath.Join(parent, name)
		if parent == "" || os.Mkdir(dir, 0o755) != nil && !isDir(dir) {
			return ""
		}
		return dir
	}
	g.memory = under(parents.memory)
	g.pids = under(parents.pids)
	if err := g.limit(limits, extraProcesses); err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

func (g *group) limit(limits Limits, extraProcesses int) error {
	memory := strconv.FormatInt(limits.MemoryBytes, 10)
	if g.memory != "" && limits.MemoryBytes > 0 {
		file, swap := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
		swapBytes := memory // version 1 counts memory and swap together
		if g.v2 {
			file, swap, swapBytes = "memory.max", "memory.swap.max", "0"
		}
		if err := os.WriteFile(filepath.Join(g.memory, file), []byte(memory), 0); err != nil {
			return fmt.Errorf("limit the memory: %w", err)
		}
		// A kernel that accounts for no swap has no such file.
		_ = os.WriteFile(filepath.Join(g.memory, swap), []byte(swapBytes), 0)
	}
	if g.pids != "" && limits.Processes > 0 {
		count := strconv.Itoa(limits.Processes + extraProcesses)
		if err := os.WriteFile(filepath.Join(g.pids, "pids.max"), []byte(count), 0); err != nil {
			return fmt.Errorf("limit the processes: %w", err)
		}
	}
	return nil
}

func (g *group) dirs() []string {
	switch {
	case g.memory == "" && g.pids == "":
		return nil
	case g.memory == "" || g.memory == g.pids:
		return []string{g.pids}
	case g.pids == "":
		return []string{g.memory}
	}
	return []string{g.memory, g.pids}
}

// add puts a process, and all that it will start, into the group.
func (g *group) add(pid int) error {
	for _, dir := range g.dirs() {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("put the command into its control group: %w", err)
		}
	}
	return nil
}

// kill ends every process in the group and waits until they are gone.
func (g *group) kill() {
	for _, dir := range g.dirs() {
		killGroup(dir)
	}
}

// killGroup first forbids new processes, else a fork bomb outruns it.
func killGroup(dir string) {
	_ = os.WriteFile(filepath.Join(dir, "pids.max"), []byte("0"), 0)
	_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		processes, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil || len(bytes.TrimSpace(processes)) == 0 {
			return
		}
		for line := range strings.Lines(string(processes)) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// outOfMemory is whether the kernel has ended a process of the group.
func (g *group) outOfMemory() bool {
	if g.memory == "" {
		return false
	}
	if g.v2 {
		return counter(filepath.Join(g.memory, "memory.events"), "oom_kill") > 0
	}
	return counter(filepath.Join(g.memory, "memory.oom_control"), "oom_kill") > 0
}

// forkRefused is whether a process of the group could not start another.
func (g *group) forkRefused() bool {
	return g.pids != "" && counter(filepath.Join(g.pids, "pids.events"), "max") > 0
}

func (g *group) peakMemory() int64 {
	if g.memory == "" {
		return 0
	}
	file := "memory.max_usage_in_bytes"
	if g.v2 {
		file = "memory.peak"
	}
	text, err := os.ReadFile(filepath.Join(g.memory, file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// counter reads one line "name number" of a file.
func counter(file, name string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}

// remove deletes the group, which no process may be in any more.
func (g *group) remove() {
	for _, dir := range g.dirs() {
		if err := removeGroup(dir); err != nil {
			slog.Warn("remove a build's control group", "directory", dir, "error", err)
		}
	}
}

// removeGroup waits for the kernel, which lets go of a process a moment after
// its parent has heard of its end.
func removeGroup(dir string) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			return err
		}
		killGroup(dir)
	}
}

// Sweep removes the control groups that builders left which were killed, with
// whatever still runs in them. Call it when a builder or a runner starts.
func Sweep() {
	parents := groupParents()
	for _, parent := range []string{parents.memory, parents.pids} {
		left, _ := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
		for _, dir := range left {
			fields := strings.Split(strings.TrimPrefix(filepath.Base(dir), groupPrefix), "-")
			pid, err := strconv.Atoi(fields[0])
			if err != nil || len(fields) != 3 || processStart(pid) == fields[1] {
				continue // not ours, or its builder lives
			}
			if err := removeGroup(dir); err != nil {
				slog.Warn("remove a dead build's control group", "directory", dir, "error", err)
			}
		}
	}
}

// processStart tells a process from a later one of the same number: the time
// it started, in the kernel's ticks since boot; empty if there is no such process.
func processStart(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything; the start is the 20th field after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
