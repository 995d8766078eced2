package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func newLogsCommand() *cobra.Command {
	var follow bool
	var project string
	c := &cobra.Command{
		Use:   "logs DEPLOYMENT",
		Short: "Print a deployment's log",
		Long: `Logs prints a deployment's build log on standard output. Colours are kept on a
terminal; other control characters never are.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			ctx := cmd.Context()
			d, err := conn.deployment(ctx, project, args[0])
			if err != nil {
				return err
			}
			out := newLogPrinter(cmd.OutOrStdout())
			if follow {
				f := follower{conn: conn, notes: cmd.ErrOrStderr(), lines: out.print}
				return f.run(ctx, d.ID, "")
			}
			n, err := conn.log(ctx, d.ID, out.print)
			switch {
			case err != nil || n > 0:
			case d.LogExpiresAt != nil && !time.Now().Before(*d.LogExpiresAt):
				fmt.Fprintf(cmd.ErrOrStderr(), "The log was kept until %s and is gone.\n", d.LogExpiresAt.Local().Format(time.DateOnly))
			default:
				fmt.Fprintf(cmd.ErrOrStderr(), "The log is empty; the deployment is %s.\n", d.Status)
			}
			return err
		},
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the deployment has ended")
	c.Flags().StringVar(&project, "project", "", "look for the deployment in this project")
	return c
}

// log reads the log that is there, and returns how many lines it has.
func (c *connection) log(ctx context.Context, id string, use func(*controlplane.LogLine)) (lines int, err error) {
	query := url.Values{"limit": {"5000"}}
	for {
		var p page[controlplane.LogLine]
		if err := c.get(ctx, "/deployments/"+id+"/logs", query, &p); err != nil {
			return lines, err
		}
		for i := range p.Items {
			use(&p.Items[i])
		}
		lines += len(p.Items)
		if p.Next == "" || len(p.Items) == 0 {
			return lines, nil
		}
		query.Set("after", p.Next)
	}
}
