package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func newSuspendCommand() *cobra.Command {
	return stateCommand("suspend", "Take a project's sites down (administrators)",
		`Suspend has all hosts of a project, anybody's, answer with a page that says so, and
stops new builds. Nothing is lost: "mini-vercel unsuspend" puts them up again.`,
		"%s is suspended: its hosts answer 403 now\n")
}

func newUnsuspendCommand() *cobra.Command {
	return stateCommand("unsuspend", "Put a suspended project's sites up again (administrators)", "", "%s is served again\n")
}

// stateCommand names a project by its id or subdomain, or, where it is one's
// own, by its name.
func stateCommand(action, short, long, said string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   action + " PROJECT",
		Short: short,
		Long:  long,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			id := args[0]
			own, err := conn.project(cmd.Context(), id)
			if err != nil {
				return err
			}
			if own != nil {
				id = own.ID
			}
			var changed controlplane.Project
			if err := conn.post(cmd.Context(), "/projects/"+url.PathEscape(id)+"/"+action, nil, &changed); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), &changed)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), said, harmless(changed.Name, false))
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
