package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// outcome is what `deploy --json` prints.
type outcome struct {
	ID            string `json:"id"`
	ProjectID     string `json:"projectId"`
	Project       string `json:"project"`
	Status        string `json:"status"`
	URL           string `json:"url"`           // production or preview address
	DeploymentURL string `json:"deploymentUrl"` // the one that never changes
	Files         int    `json:"files"`
	UploadedBlobs int    `json:"uploadedBlobs"`
	Error         string `json:"error"`
}

// of takes over what the control plane says of the deployment.
func (o *outcome) of(d *controlplane.Deployment) {
	o.ID, o.ProjectID, o.Status = d.ID, d.ProjectID, string(d.Status)
	o.URL, o.DeploymentURL = d.URL, d.DeploymentURL
	o.Files, o.UploadedBlobs = d.Files, d.UploadedBlobs
	if o.URL == "" {
		o.URL = d.DeploymentURL
	}
}

// tell prints the outcome on standard output: one JSON object, or the address
// alone, which a terminal's reader has seen on standard error already.
func (o *outcome) tell(cmd *cobra.Command, asJSON bool, err error) error {
	if err != nil {
		o.Error = err.Error()
	}
	stdout := cmd.OutOrStdout()
	if asJSON {
		text, e := json.Marshal(o)
		if e != nil {
			return e
		}
		if _, e := fmt.Fprintf(stdout, "%s\n", text); e != nil && err == nil {
			return fmt.Errorf("write the result: %w", e)
		}
		return err
	}
	if err == nil && !isTerminal(stdout) {
		if _, e := fmt.Fprintln(stdout, o.URL); e != nil {
			return fmt.Errorf("write the result: %w", e)
		}
	}
	return err
}

// settle waits, not for long, until a READY deployment's routes stand in the
// bucket: then its address answers.
func (c *connection) settle(ctx context.Context, d *controlplane.Deployment) (*controlplane.Deployment, error) {
	wait := 20 * time.Millisecond
	for d.LiveAt == nil && wait < 3*time.Second {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return d, ctx.Err()
		}
		wait *= 2
		var next controlplane.Deployment
		if err := c.get(ctx, "/deployments/"+d.ID, nil, &next); err != nil {
			return d, err
		}
		d = &next
	}
	return d, nil
}

// announce says on standard error where a READY deployment is.
func announce(cmd *cobra.Command, d *controlplane.Deployment, took time.Duration) {
	stderr := cmd.ErrOrStderr()
	for _, w := range d.Warnings {
		at := w.File
		if w.Line > 0 {
			at = fmt.Sprintf("%s:%d", w.File, w.Line)
		}
		fmt.Fprintf(stderr, "Warning: %s\n", harmless(at+": "+w.Reason, false))
	}
	where := "Preview"
	if d.InProduction {
		where = "Production"
	}
	address := d.URL
	if address == "" {
		address = d.DeploymentURL
	}
	fmt.Fprintf(stderr, "%s: %s (%s)\n", where, harmless(address, false), took.Round(100*time.Millisecond))
	if d.DeploymentURL != address {
		fmt.Fprintf(stderr, "This deployment: %s\n", harmless(d.DeploymentURL, false))
	}
	if d.LiveAt == nil {
		fmt.Fprintln(stderr, "The routes are not written to the bucket yet; the address follows as soon as they are.")
	}
}
