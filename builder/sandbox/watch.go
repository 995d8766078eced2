package sandbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// limitExcess is the cause with which a watch cancels a command.
type limitExcess Limit

func (l limitExcess) Error() string { return "the limit on " + string(l) + " is exceeded" }

// watch looks at what a running command uses, and cancels it past its limits.
type watch struct {
	quit chan struct{}
	done sync.WaitGroup
	peak int64 // bytes that were seen; to be read when it has stopped
}

const (
	memoryInterval    = 100 * time.Millisecond
	workspaceInterval = time.Second
	// scanShare keeps a scan, of a large workspace or many processes, to a
	// tenth of one core.
	scanShare = 10
)

func (s *Sandbox) startWatch(g *group, cancel context.CancelCauseFunc) *watch {
	w := &watch{quit: make(chan struct{})}
	w.done.Go(func() {
		w.every(memoryInterval, func() time.Duration {
			if g.outOfMemory() {
				cancel(limitExcess(LimitMemory))
			}
			if g.memory != "" || s.isolation.Mode != ModeTask {
				return memoryInterval
			}
			began := time.Now()
			used := memoryOf(s.user.id)
			if w.peak = max(w.peak, used); s.limits.MemoryBytes > 0 && used > s.limits.MemoryBytes {
				cancel(limitExcess(LimitMemory))
			}
			return max(memoryInterval, scanShare*time.Since(began))
		})
	})
	if s.limits.WorkspaceBytes > 0 {
		w.done.Go(func() {
			w.every(s.scanEvery, func() time.Duration {
				began := time.Now()
				if s.overWorkspace() {
					cancel(limitExcess(LimitWorkspace))
				}
				return max(s.scanEvery, scanShare*time.Since(began))
			})
		})
	}
	return w
}

// every calls look again after the time that it returns, until the watch stops.
func (w *watch) every(first time.Duration, look func() time.Duration) {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-timer.C:
			timer.Reset(look())
		}
	}
}

func (w *watch) stop() {
	close(w.quit)
	w.done.Wait()
}

func (s *Sandbox) overWorkspace() bool {
	usage := diskUsage{limit: s.limits.WorkspaceBytes, seen: map[inode]bool{}}
	for _, dir := range []string{s.workspace, s.scratch} {
		if err := usage.add(unix.AT_FDCWD, dir); err != nil {
			slog.Debug("measure a workspace", "directory", dir, "error", err)
		}
	}
	return usage.bytes > usage.limit
}
