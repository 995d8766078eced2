package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// created is what POST /deployments answers.
type created struct {
	Deployment controlplane.Deployment `json:"deployment"`
	Upload     *site.URL               `json:"upload"`
}

// deployFiles puts a folder online as it is.
func (d *deployCommand) deployFiles(ctx context.Context) error {
	start := time.Now()
	// Limits and names are checked before anything is made on the server, which
	// may have stricter ones and says so itself.
	limits, err := clientLimits(os.Getenv)
	if err != nil {
		return err
	}
	folder, err := publish.Scan(ctx, d.dir, limits)
	if err != nil {
		return err
	}
	if !folder.Has("index.html") {
		fmt.Fprintf(d.cmd.ErrOrStderr(), "Note: %s has no index.html, so the site has no page at /.\n", filepath.Clean(d.dir))
	}
	p, err := d.ensureProject(ctx, "")
	if err != nil {
		return err
	}
	var made created
	err = d.conn.post(ctx, "/deployments", d.asked(map[string]any{"projectId": p.ID, "kind": controlplane.KindFiles}), &made)
	if err != nil {
		return err
	}
	d.outcome.of(&made.Deployment)
	bar := newProgress(d.cmd.ErrOrStderr())
	result, err := publish.Run(ctx, d.conn.Client, publish.Options{
		Folder: folder, Project: p.ID, Deployment: made.Deployment.ID,
		Progress: bar.report,
	})
	bar.done()
	d.outcome.Files, d.outcome.UploadedBlobs = result.Files, result.UploadedBlobs
	if err != nil {
		return d.giveUp(ctx, made.Deployment.ID, err)
	}
	return d.published(ctx, result, start)
}

func (d *deployCommand) published(ctx context.Context, result publish.Result, start time.Time) error {
	var deployment controlplane.Deployment
	if err := json.Unmarshal(result.Deployment, &deployment); err != nil {
		return fmt.Errorf("the control plane's answer can't be read: %w", err)
	}
	live, err := d.conn.settle(ctx, &deployment)
	d.outcome.of(live)
	d.outcome.Files, d.outcome.UploadedBlobs = result.Files, result.UploadedBlobs
	if err != nil {
		return err
	}
	announce(d.cmd, live, time.Since(start))
	return nil
}

// giveUp takes back a deployment whose upload failed, so that none is left half
// done, and returns why. It would end by itself an hour later.
func (d *deployCommand) giveUp(ctx context.Context, id string, why error) error {
	if ctx.Err() != nil {
		return d.cancel(ctx, id)
	}
	var ended controlplane.Deployment
	d.outcome.Status = string(controlplane.StatusFail)
	if d.conn.post(ctx, "/deployments/"+id+"/cancel", nil, &ended) == nil {
		d.outcome.Status = string(ended.Status)
	}
	return why
}
