package builder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/builder/report"
	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// The exit codes of a builder, see [site.ExitDone].
const (
	ExitDone   = site.ExitDone
	ExitFailed = site.ExitFailed
	ExitBroken = site.ExitBroken
	ExitOver   = site.ExitOver
)

// lastWords is how long a builder tries to say how its build ended.
const lastWords = 2 * time.Minute

// Run builds one job and returns the exit code of the process. It ends early,
// with everything that it has started, when ctx ends or SIGTERM or SIGINT comes.
func Run(ctx context.Context, config Config) int {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	// Nobody of the same user may read this process's memory or environment.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		config.Log.Error("the builder's memory can't be closed to others", "error", err)
		return ExitBroken
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	code, err := run(ctx, config)
	if err != nil {
		config.Log.Error("the builder ends", "error", err, "code", code)
	}
	return code
}

func run(ctx context.Context, config Config) (code int, err error) {
	workspace, remove, err := openWorkspace(config.Workspace)
	if err != nil {
		return ExitBroken, err
	}
	defer remove()
	job, err := claim(ctx, config)
	if err != nil {
		var api *publish.APIError
		if ctx.Err() != nil || errors.As(err, &api) && api.Status == http.StatusUnauthorized {
			return ExitOver, err
		}
		return ExitBroken, err
	}
	return work(ctx, config, job, workspace)
}

// work does the job and reports it.
func work(ctx context.Context, config Config, job *site.Job, workspace string) (code int, err error) {
	ctx, over := context.WithCancelCause(ctx)
	defer over(nil)
	events, err := newEventClient(config, job)
	if err != nil {
		return ExitBroken, err
	}
	defer events.client.Close()
	reporter, err := report.New(report.Options{Send: events.send, Job: job, SpoolPath: filepath.Join(workspace, "events"), Over: over})
	if err != nil {
		return ExitBroken, err
	}
	defer reporter.Close()
	reporter.Started()

	b := newBuild(config, job, workspace, reporter)
	err = b.run(ctx)
	b.close()
	switch {
	case err == nil:
		return ExitDone, nil
	case isOver(ctx, err):
		return ExitOver, err
	}
	reporter.Failed(b.log.Masked(err.Error()))
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	if flushErr := reporter.Flush(flush); flushErr != nil {
		if errors.Is(flushErr, report.ErrOver) || ctx.Err() != nil {
			return ExitOver, flushErr
		}
		return ExitBroken, fmt.Errorf("report the failure (%w): %w", err, flushErr)
	}
	return ExitFailed, nil
}

// isOver tells the end of the attempt from a failure of the build.
func isOver(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		var refused *report.RefusedError
		return !errors.As(context.Cause(ctx), &refused)
	}
	var api *publish.APIError
	return errors.Is(err, report.ErrOver) || errors.As(err, &api) && api.Status == http.StatusUnauthorized
}

// openWorkspace checks the directory that the builder works in, or makes one.
func openWorkspace(dir string) (path string, remove func(), err error) {
	remove = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "mini-vercel-build-"); err != nil {
			return "", nil, fmt.Errorf("make a workspace: %w", err)
		}
		remove = func() { _ = sandbox.RemoveAll(dir) }
	}
	if dir, err = filepath.Abs(dir); err == nil {
		// The commands' user has to pass through to the sources in it. What is
		// not for that user has a mode of its own.
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("use the workspace: %w", err)
	}
	return dir, remove, nil
}
