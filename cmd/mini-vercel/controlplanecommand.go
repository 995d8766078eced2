package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
)

// newControlPlaneCommand runs the control plane without an edge.
func newControlPlaneCommand() *cobra.Command {
	f := &serverFlags{}
	c := &cobra.Command{
		Use:   "controlplane",
		Short: "Run the control plane: API, dashboard, builds",
		Long: `Runs the API, the dashboard and a local build runner on the data directory, or
builds in tasks of Amazon ECS where ECS_CLUSTER_NAME is set. It refuses to start
where builds can't be isolated, unless BUILD_SANDBOX=none.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			isolation := probe(cmd.Context(), s)
			if err := isolation.Err(); err != nil {
				return err
			}
			if err := mustIsolate(s, isolation); err != nil {
				return err
			}
			dir, err := openDataDir(s.DataDir)
			if err != nil {
				return err
			}
			defer dir.Close()
			p, err := openControlPlane(cmd.Context(), s, dir, isolation)
			if err != nil {
				return err
			}
			if err := p.start(cmd.Context(), s.sitePort(s.EdgePort, s.EdgeHTTPSPort)); err != nil {
				return errors.Join(err, p.stop())
			}
			metrics, err := serveMetrics(s, p.collectors(), p.log)
			if err != nil {
				return errors.Join(err, p.stop())
			}
			if metrics != nil {
				defer metrics.server.Close()
			}
			p.announce(cmd.OutOrStdout(), "", "")
			return errors.Join(wait(cmd.Context(), p.server.failed), p.stop())
		},
	}
	f.register(c)
	return c
}

// mustIsolate refuses a machine on which builds could read what the platform
// can, unless that is what was asked for.
func mustIsolate(s *Settings, isolation sandbox.Isolation) error {
	if isolation.Isolated() || s.BuildSandbox == "none" {
		return nil
	}
	return fmt.Errorf("%s Install bubblewrap, start this as root, or set BUILD_SANDBOX=none to build without isolation", first(isolation.Warnings))
}

// wait returns when the process is told to stop, or a server fails.
func wait(ctx context.Context, failed ...<-chan error) error {
	cases := make(chan error, len(failed))
	for _, f := range failed {
		go func() {
			select {
			case err := <-f:
				cases <- err
			case <-ctx.Done():
			}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-cases:
		return err
	}
}

func first(s []string) string {
	if len(s) == 0 {
		return ""
	}
	return s[0]
}
