package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// deployGit has the control plane build a repository.
func (d *deployCommand) deployGit(ctx context.Context) error {
	start := time.Now()
	p, err := d.ensureProject(ctx, d.git)
	if err != nil {
		return err
	}
	if p.GitURL != d.git {
		if p.GitURL != "" {
			return fmt.Errorf("project %s belongs to the repository %s: choose another with --project, or change it in the project's settings", p.Name, p.GitURL)
		}
		if err := d.conn.Do(ctx, publish.Call{Method: http.MethodPatch, Path: "/projects/" + p.ID, In: map[string]string{"gitURL": d.git}}); err != nil {
			return fmt.Errorf("set the repository of project %s: %w", p.Name, err)
		}
	}
	var queued controlplane.Deployment
	err = d.conn.Do(ctx, publish.Call{
		Method: http.MethodPost, Path: "/deploy",
		// With the key, a repeated call answers the same deployment.
		Header: http.Header{"Idempotency-Key": {rand.Text()}},
		In:     d.asked(map[string]any{"projectId": p.ID}),
		Out:    &queued,
	})
	if err != nil {
		return err
	}
	return d.await(ctx, &queued, start)
}

// deploySources sends a folder of sources and has the control plane build them.
func (d *deployCommand) deploySources(ctx context.Context) error {
	start := time.Now()
	bar := newProgress(d.cmd.ErrOrStderr())
	packed, err := packSources(ctx, d.dir)
	if err != nil {
		return err
	}
	defer packed.remove()
	bar.say("Packed %d files (%s)", packed.files, publish.Bytes(packed.size))
	p, err := d.ensureProject(ctx, "")
	if err != nil {
		return err
	}
	var made created
	err = d.conn.post(ctx, "/deployments", d.asked(map[string]any{
		"projectId": p.ID, "kind": controlplane.KindArchive, "archiveSize": packed.size, "archiveSHA256": packed.hash,
	}), &made)
	if err != nil {
		return err
	}
	d.outcome.of(&made.Deployment)
	if made.Upload == nil {
		return errors.New("the control plane gave no address for the sources: it may be of another version than this command")
	}
	if err := d.conn.Upload(ctx, *made.Upload, packed.size, packed.open); err != nil {
		return d.giveUp(ctx, made.Deployment.ID, fmt.Errorf("send the sources: %w", err))
	}
	var queued controlplane.Deployment
	if err := d.conn.post(ctx, "/deployments/"+made.Deployment.ID+"/publish", nil, &queued); err != nil {
		return err
	}
	return d.await(ctx, &queued, start)
}

// await follows a build to its end, its log on standard error.
func (d *deployCommand) await(ctx context.Context, queued *controlplane.Deployment, start time.Time) error {
	stderr := d.cmd.ErrOrStderr()
	d.outcome.of(queued)
	short := queued.ID[:site.HostIDLength]
	if d.noWait {
		fmt.Fprintf(stderr, "Queued as %s; follow it with `mini-vercel logs %s --follow`\n", short, short)
		return nil
	}
	fmt.Fprintf(stderr, "Building as %s\n", short)
	follow := follower{conn: d.conn, notes: stderr, lines: newLogPrinter(stderr).print}
	err := follow.run(ctx, queued.ID, "")
	if ctx.Err() != nil {
		return d.cancel(ctx, queued.ID)
	}
	if err != nil {
		return err
	}
	var ended controlplane.Deployment
	if err := d.conn.get(ctx, "/deployments/"+queued.ID, nil, &ended); err != nil {
		return err
	}
	live := &ended
	if ended.Status == controlplane.StatusReady {
		if live, err = d.conn.settle(ctx, &ended); err != nil {
			return err
		}
	}
	d.outcome.of(live)
	if live.Status != controlplane.StatusReady {
		reason := live.Reason
		if reason == "" {
			reason = "no reason was given"
		}
		return fmt.Errorf("deployment %s ended as %s: %s", short, live.Status, reason)
	}
	announce(d.cmd, live, time.Since(start))
	return nil
}
