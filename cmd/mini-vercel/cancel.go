package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func newCancelCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "cancel DEPLOYMENT",
		Short: "Cancel a deployment that has not ended",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			d, err := conn.deployment(cmd.Context(), project, args[0])
			if err != nil {
				return err
			}
			var ended controlplane.Deployment
			if err := conn.post(cmd.Context(), "/deployments/"+d.ID+"/cancel", nil, &ended); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Deployment %s is %s\n", ended.HostID, ended.Status)
			return nil
		},
	}
	c.Flags().StringVar(&project, "project", "", "look for the deployment in this project")
	return c
}

func newRetryCommand() *cobra.Command {
	d := &deployCommand{}
	c := &cobra.Command{
		Use:   "retry DEPLOYMENT",
		Short: "Build a deployment's sources again, as a new deployment",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.cmd = cmd
			return d.outcome.tell(cmd, d.json, d.retry(args[0]))
		},
	}
	c.Flags().StringVar(&d.project, "project", "", "look for the deployment in this project")
	c.Flags().BoolVar(&d.json, "json", false, "print one JSON object")
	c.Flags().BoolVar(&d.noWait, "no-wait", false, "return once the build is queued")
	return c
}

func (d *deployCommand) retry(id string) (err error) {
	start, ctx := time.Now(), d.cmd.Context()
	if d.conn, err = connect(d.cmd); err != nil {
		return err
	}
	defer d.conn.Close()
	old, err := d.conn.deployment(ctx, d.project, id)
	if err != nil {
		return err
	}
	var queued controlplane.Deployment
	if err := d.conn.post(ctx, "/deployments/"+old.ID+"/retry", nil, &queued); err != nil {
		return err
	}
	return d.await(ctx, &queued, start)
}
