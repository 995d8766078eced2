package builder

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// publish takes what was built to the control plane.
func (b *build) publish(ctx context.Context) error {
	dir, err := b.output()
	if err != nil {
		return err
	}
	client, err := newClient(b.config, b.job.Token, publish.Retry{})
	if err != nil {
		return err
	}
	defer client.Close()
	folder, err := publish.Scan(ctx, dir, publish.LimitsOf(b.job.Limits))
	if err != nil {
		return b.publishError(ctx, err)
	}
	if !folder.Has("index.html") {
		b.log.Say("There is no index.html in the output: the site's first page will not be found.")
	}
	b.log.Say("Publishing %d files, %s", folder.Len(), publish.Bytes(folder.Bytes()))
	b.facts.BuiltAt = time.Now().UTC().Truncate(time.Second)
	steps := &steps{build: b, ctx: ctx}
	_, err = publish.Run(ctx, client, publish.Options{
		Dir: dir, Folder: folder, Project: b.job.Project, Deployment: b.job.Deployment,
		Meta:      site.Meta{HTMLHandling: b.job.Build.HTMLHandling, NotFound: b.job.Build.NotFound, Source: b.facts, Rules: site.RuleSources{Config: b.plan.Config}},
		Framework: &publish.FrameworkRule{Folders: b.plan.Row.Immutable, Sources: b.sources},
		Limits:    publish.LimitsOf(b.job.Limits), SpoolDir: b.workspace,
		Progress: steps.follow, Warn: func(text string) { b.log.Say("%s", text) },
	})
	if err == nil {
		return nil
	}
	if steps.err != nil {
		return steps.err
	}
	return b.publishError(ctx, err)
}

func (b *build) publishError(ctx context.Context, err error) error {
	var api *publish.APIError
	if ctx.Err() != nil || errors.As(err, &api) && api.Status == http.StatusUnauthorized {
		return err
	}
	return fmt.Errorf("the output can't be published: %w", err)
}

// output finds the folder that was built, with its links resolved: none may
// lead out of the sources.
func (b *build) output() (string, error) {
	root, err := os.OpenRoot(b.checkout)
	if err != nil {
		return "", fmt.Errorf("the sources can't be opened: %w", err)
	}
	defer root.Close()
	name, err := b.plan.Output(root)
	if err != nil {
		return "", err
	}
	checkout, err := filepath.EvalSymlinks(b.checkout)
	if err != nil {
		return "", fmt.Errorf("the sources can't be opened: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(b.checkout, filepath.FromSlash(name)))
	if err != nil {
		return "", fmt.Errorf("the output directory %q can't be opened", name)
	}
	if within, err := filepath.Rel(checkout, dir); err != nil || !filepath.IsLocal(within) {
		return "", fmt.Errorf("the output directory %q leads out of the sources", name)
	}
	b.log.Say("Output: %s", name)
	return dir, nil
}

// steps turns the progress of a publication into phases and lines of the log.
type steps struct {
	build *build
	ctx   context.Context
	last  publish.Step
	err   error
}

func (s *steps) follow(p publish.Progress) {
	if p.Step != s.last {
		if phase := p.Step.Phase(); phase != s.last.Phase() {
			s.build.report.Phase(phase)
		}
		s.last = p.Step
		if p.Step == publish.StepPublish {
			// The token is void once the deployment is published: what is to
			// be in its log has to be there before.
			s.err = s.build.report.Publishing(s.ctx)
		}
		return
	}
	if p.Items == p.ItemsTotal && p.Step == publish.StepUpload {
		s.build.log.Say("Uploaded %d new blobs, %s", p.Items, publish.Bytes(p.Bytes))
	}
}
