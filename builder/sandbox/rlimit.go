package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

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
