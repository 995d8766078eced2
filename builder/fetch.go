package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/source"
)

// fetch brings the sources into the checkout.
func (b *build) fetch(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer b.watchDisk(ctx, stop)()
	err := b.fetchSources(ctx)
	var full *diskFull
	if err != nil && errors.As(context.Cause(ctx), &full) {
		return full
	}
	return err
}

func (b *build) fetchSources(ctx context.Context) error {
	switch {
	case b.job.Git != nil:
		git, from := b.git(), *b.job.Git
		if from.Branch == "" {
			// The branch's name is a fact that the deployment is known by.
			if err := b.askHeads(ctx); err != nil {
				return err
			}
			from.Branch = b.heads.standard
		}
		b.log.Say("Cloning %s%s", from.URL, at(from.Branch, from.Commit))
		facts, err := git.Clone(ctx, from, b.checkout)
		if err != nil {
			return err
		}
		b.facts = facts
		b.report.Source(facts)
		return nil
	case b.job.Archive != nil:
		return b.fetchArchive(ctx)
	}
	return errors.New("the job names neither a repository nor an archive")
}

// heads are the branches of the repository.
type heads struct {
	branches []string
	standard string
	known    bool
}

func (b *build) askHeads(ctx context.Context) (err error) {
	if !b.heads.known {
		b.heads.branches, b.heads.standard, err = b.git().Branches(ctx, *b.job.Git)
		b.heads.known = err == nil
	}
	return err
}

func at(branch, commit string) string {
	switch {
	case commit != "":
		return fmt.Sprintf(" at %.10s", commit)
	case branch != "":
		return ", branch " + branch
	}
	return ""
}

func (b *build) git() *source.Git {
	return &source.Git{Network: b.network, Scratch: b.workspace, Say: b.log.Say, FileBytes: b.job.Limits.WorkspaceBytes, MemoryBytes: b.job.Limits.MemoryBytes}
}

func (b *build) fetchArchive(ctx context.Context) error {
	base, err := url.Parse(b.config.URL + "/")
	if err != nil {
		return fmt.Errorf("the control plane's address can't be read: %w", err)
	}
	file := filepath.Join(b.workspace, "archive")
	size, err := source.Download(ctx, base, *b.job.Archive, b.config.Version, file, b.job.Limits.ArchiveBytes)
	if err != nil {
		return err
	}
	b.log.Say("Unpacking the archive of %d bytes", size)
	l := b.job.Limits
	return source.Unpack(ctx, file, b.checkout, source.ArchiveLimits{Files: 4 * l.Files, FileBytes: l.FileBytes, TotalBytes: min(l.WorkspaceBytes, l.DeploymentBytes)})
}

// diskFull is the cause of a fetch's end when it wrote too much.
type diskFull struct{ limit int64 }

func (e *diskFull) Error() string {
	return fmt.Sprintf("out of disk space: the sources need more than the %d MiB that a build may use", e.limit>>20)
}

// watchDisk looks at the workspace every second, for git has no limit of its
// own. What it returns ends it.
func (b *build) watchDisk(ctx context.Context, stop context.CancelCauseFunc) func() {
	limit := b.job.Limits.WorkspaceBytes
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if limit > 0 && diskUsage(b.checkout) > limit {
				stop(&diskFull{limit})
				return
			}
		}
	}()
	return func() { close(ended); <-done }
}

func diskUsage(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has just been renamed or removed
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
