package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newPromoteCommand() *cobra.Command {
	var project string
	var yes, noGrace, asJSON bool
	c := &cobra.Command{
		Use:   "promote DEPLOYMENT",
		Short: "Give production to a deployment, at once",
		Long: `Promote gives production to any READY deployment. Where it is an older one, that
is a rollback, and production stays there until "mini-vercel resume" or the newest
is promoted.`,
		Args: cobra.ExactArgs(1),
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
			return promote(cmd, conn, d, noGrace, yes, asJSON)
		},
	}
	c.Flags().StringVar(&project, "project", "", "look for the deployment in this project")
	c.Flags().BoolVar(&noGrace, "no-grace", false, "take earlier deployments' files away from pages that are open")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func newRollbackCommand() *cobra.Command {
	var project string
	var yes, asJSON bool
	c := &cobra.Command{
		Use:   "rollback [DEPLOYMENT] --project NAME",
		Short: "Take production back to an earlier deployment",
		Long: `Rollback gives production back to the deployment that is named, or, where none is,
to the newest READY production deployment before the one that is live. It stays
there until "mini-vercel resume" or until the newest is promoted.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && project == "" {
				return usagef("which project? Name it with --project, or give a deployment")
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			var d *controlplane.Deployment
			if len(args) == 1 {
				d, err = conn.deployment(cmd.Context(), project, args[0])
			} else {
				d, err = conn.previous(cmd.Context(), project)
			}
			if err != nil {
				return err
			}
			return promote(cmd, conn, d, false, yes, asJSON)
		},
	}
	c.Flags().StringVar(&project, "project", "", "project by name, subdomain or id")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// previous finds the newest READY production deployment that is older than the
// one that is live.
func (c *connection) previous(ctx context.Context, project string) (*controlplane.Deployment, error) {
	p, err := c.mustProject(ctx, project)
	if err != nil {
		return nil, err
	}
	if p.Production == nil {
		return nil, fmt.Errorf("project %s has nothing in production: promote a deployment with `mini-vercel promote`", p.Name)
	}
	var found *controlplane.Deployment
	behind := false
	err = each(ctx, c, "/projects/"+p.ID+"/deployments", nil, func(d *controlplane.Deployment) bool {
		if d.ID == p.Production.ID {
			behind = true
			return true
		}
		if behind && d.Status == controlplane.StatusReady && d.Environment == site.Production {
			found = d
		}
		return found == nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("project %s has no production deployment before the one that is live: name another with `mini-vercel rollback DEPLOYMENT`", p.Name)
	}
	return found, err
}

func promote(cmd *cobra.Command, conn *connection, d *controlplane.Deployment, noGrace, yes, asJSON bool) error {
	short := d.ID[:site.HostIDLength]
	if !yes && isTerminal(cmd.InOrStdin()) {
		ok, err := confirm(cmd, fmt.Sprintf("Give production to %s, made %s?", short, age(d.CreatedAt)))
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("nothing was changed")
		}
	}
	ctx, start := cmd.Context(), time.Now()
	var promoted controlplane.Deployment
	if err := conn.post(ctx, "/deployments/"+d.ID+"/promote", map[string]bool{"noGrace": noGrace}, &promoted); err != nil {
		return err
	}
	o := outcome{}
	o.of(&promoted)
	promoted.Warnings = nil // they were told of when it was deployed
	announce(cmd, &promoted, time.Since(start))
	return o.tell(cmd, asJSON, nil)
}

func newResumeCommand() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "resume PROJECT",
		Short: "Let production follow new deployments again, after a rollback",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && project == "" {
				project = args[0]
			}
			if project == "" {
				return usagef("which project? Name it, as in `mini-vercel resume my-site`")
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			p, err := conn.mustProject(cmd.Context(), project)
			if err != nil {
				return err
			}
			var resumed controlplane.Project
			if err := conn.post(cmd.Context(), "/projects/"+p.ID+"/resume", nil, &resumed); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Production of %s follows new deployments again\n", harmless(resumed.Name, false))
			if !isTerminal(cmd.OutOrStdout()) {
				fmt.Fprintln(cmd.OutOrStdout(), resumed.URL)
			}
			return nil
		},
	}
	c.Flags().StringVar(&project, "project", "", "the same as PROJECT")
	return c
}
