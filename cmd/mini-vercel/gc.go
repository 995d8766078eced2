package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
)

// garbageEvery is how often a round is asked how far it is.
const garbageEvery = time.Second

func newGCCommand() *cobra.Command {
	var dry, report, asJSON bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove what is no longer needed, or show it (administrators)",
		Long: `The control plane removes by itself, a bit every minute, what is no longer needed:
deployments older than DEPLOYMENT_RETENTION that are not among the last
KEEP_DEPLOYMENTS of their project and not in production or the newest of a branch;
a day later their files; what uploads left that were given up. Gc does it now, and
says what went: the control plane goes on also where this command is interrupted,
and the next one follows it. With --dry-run it says what would go and when, and removes
nothing; --report shows what went last.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry && report {
				return usagef("--dry-run is of what will go, --report of what went: give one")
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			var g *controlplane.Garbage
			if report {
				g = &controlplane.Garbage{}
				err = conn.get(cmd.Context(), "/operation/garbage/last", nil, g)
			} else {
				g, err = followGarbage(cmd, conn, dry)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), g)
			}
			return writeGarbage(cmd.OutOrStdout(), g)
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would go and when, and remove nothing")
	c.Flags().BoolVar(&report, "report", false, "show what went last")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// followGarbage begins a round, or finds the one that goes on, and shows how far
// it is until it is done.
func followGarbage(cmd *cobra.Command, conn *connection, dry bool) (*controlplane.Garbage, error) {
	ctx, out := cmd.Context(), cmd.ErrOrStderr()
	var round controlplane.GarbageRound
	if err := conn.post(ctx, "/operation/garbage", map[string]bool{"dryRun": dry}, &round); err != nil {
		return nil, err
	}
	id, live, problem := round.ID, isTerminal(out), ""
	ticker := time.NewTicker(garbageEvery)
	defer ticker.Stop()
	for round.State != controlplane.GarbageDone {
		if live && round.Projects > 0 {
			fmt.Fprintf(out, "\r\x1b[K%d of %d projects, %s", round.Looked, round.Projects, publish.Bytes(round.Garbage.Bytes))
		}
		if round.Problem != problem {
			if problem = round.Problem; problem != "" {
				fmt.Fprintf(out, "It was interrupted, and is tried again: %s\n", harmless(problem, false))
			}
		}
		select {
		case <-ctx.Done():
			fmt.Fprintln(out, "The control plane goes on. `mini-vercel gc` follows it again")
			return nil, ctx.Err()
		case <-ticker.C:
		}
		round = controlplane.GarbageRound{}
		if err := conn.get(ctx, "/operation/garbage", nil, &round); err != nil {
			return nil, err
		}
		if round.ID != id {
			return nil, errors.New("it has ended, and somebody has begun another one: `mini-vercel gc --report` shows what went")
		}
	}
	if live {
		fmt.Fprint(out, "\r\x1b[K")
	}
	return round.Garbage, nil
}

func writeGarbage(w io.Writer, g *controlplane.Garbage) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(g.Projects) > 0 {
		fmt.Fprintln(t, "PROJECT\tWHAT\tWHY\tOBJECTS\tSIZE\tWHEN")
	}
	for _, p := range g.Projects {
		name := p.SubDomain
		if name == "" {
			name = p.ID
		}
		for _, d := range p.Deployments {
			fmt.Fprintf(t, "%s\tdeployment %s\t%s, of %s\t\t\tnow\n", harmless(name, false), d.HostID, d.Status, d.CreatedAt.Format(time.DateOnly))
		}
		for _, item := range p.Items {
			when := "now"
			if item.At != nil {
				when = "by " + item.At.Local().Format("2006-01-02 15:04")
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\n", harmless(name, false), item.What, item.Why, item.Objects, publish.Bytes(item.Bytes), when)
		}
	}
	for _, u := range g.Unknown {
		if !u.Deleted {
			fmt.Fprintf(t, "%s\tunknown\tthe database never had it: kept\t%d\t%s\tnever\n", harmless(u.ID, false), u.Objects, publish.Bytes(u.Bytes))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, f := range g.Failures {
		fmt.Fprintf(w, "Not looked at: %s\n", harmless(f, false))
	}
	switch {
	case g.DryRun:
		fmt.Fprintf(w, "%d objects (%s) would go now, %s later; nothing was removed\n", g.Objects, publish.Bytes(g.Bytes), publish.Bytes(g.Later))
	default:
		fmt.Fprintf(w, "%d objects (%s) were removed on %s\n", g.Objects, publish.Bytes(g.Bytes), g.EndedAt.Local().Format("2006-01-02 15:04:05"))
	}
	return nil
}
