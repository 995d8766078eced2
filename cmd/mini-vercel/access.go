package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// accessCommand is `access` with what its subcommands share.
type accessCommand struct {
	project string
	json    bool
}

func newAccessCommand() *cobra.Command {
	a := &accessCommand{}
	c := &cobra.Command{
		Use:   "access [show | set | off] --project NAME",
		Short: "Protect a project's previews, or all of it, by a password",
		Long: `Access shows which hosts of a project ask for a password, sets one, or opens the
project to everyone. Who has the password is let in for a day; "mini-vercel share"
makes links that need none.`,
		Example: "  mini-vercel access set --project my-site --scope previews\n  mini-vercel access set --project my-site --scope all < password.txt\n  mini-vercel access off --project my-site",
		RunE:    a.show,
	}
	c.PersistentFlags().StringVar(&a.project, "project", "", "project by name, subdomain or id")
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object")
	add := func(sub *cobra.Command) { sub.Args = usageArgs(sub.Args); c.AddCommand(sub) }
	add(&cobra.Command{Use: "show --project NAME", Short: "Show which hosts ask for a password", RunE: a.show})
	add(a.newSetCommand())
	add(&cobra.Command{Use: "off --project NAME", Short: "Open the project to everyone", RunE: a.off})
	return c
}

// open connects and finds the project.
func (a *accessCommand) open(cmd *cobra.Command) (*connection, *controlplane.Project, error) {
	if a.project == "" {
		return nil, nil, usagef("which project? Name it with --project")
	}
	conn, err := connect(cmd)
	if err != nil {
		return nil, nil, err
	}
	p, err := conn.mustProject(cmd.Context(), a.project)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, p, nil
}

func (a *accessCommand) show(cmd *cobra.Command, _ []string) error {
	conn, p, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	return a.tell(cmd, p)
}

// shownAccess is what --json prints.
type shownAccess struct {
	ProjectID string `json:"projectId"`
	Project   string `json:"project"`
	Scope     string `json:"scope"` // off, previews or all
	State     string `json:"state"`
}

func (a *accessCommand) tell(cmd *cobra.Command, p *controlplane.Project) error {
	scope, text := "off", "%s is open to everyone"
	if p.Access != nil {
		scope = string(p.Access.Scope)
		text = "All hosts of %s ask for its password"
		if p.Access.Scope == site.AccessPreviews {
			text = "Previews of %s ask for its password; production is open to everyone"
		}
	}
	if a.json {
		return printJSON(cmd.OutOrStdout(), shownAccess{p.ID, p.SubDomain, scope, string(p.State)})
	}
	fmt.Fprintf(cmd.OutOrStdout(), text+"\n", harmless(p.Name, false))
	if p.State != site.ProjectActive {
		fmt.Fprintf(cmd.ErrOrStderr(), "Note: the project is %s, so that nobody can see it.\n", p.State)
	}
	return nil
}

func (a *accessCommand) newSetCommand() *cobra.Command {
	var scope string
	var keep bool
	c := &cobra.Command{
		Use:   "set --scope previews|all --project NAME",
		Short: "Set a new password",
		Long: `Set asks for a new password of 8 to 128 characters, or reads it from standard
input. It ends every access that there was, share links included. With
--keep-password it changes the scope alone.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if scope != string(site.AccessPreviews) && scope != string(site.AccessAll) {
				return usagef("which hosts? Name them with --scope previews or --scope all")
			}
			conn, p, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			body := map[string]string{"scope": scope}
			if !keep {
				if body["password"], err = newPassword(cmd); err != nil {
					return err
				}
			}
			var changed controlplane.Project
			err = conn.Do(cmd.Context(), publish.Call{Method: http.MethodPut, Path: "/projects/" + p.ID + "/access", In: body, Out: &changed})
			if err != nil {
				return err
			}
			if !keep {
				fmt.Fprintln(cmd.ErrOrStderr(), "The password is set. Who had access needs the new one, and earlier share links are no longer good.")
			}
			return a.tell(cmd, &changed)
		},
	}
	c.Flags().StringVar(&scope, "scope", "", "which hosts ask for it: previews or all")
	c.Flags().BoolVar(&keep, "keep-password", false, "change the scope alone")
	return c
}

func (a *accessCommand) off(cmd *cobra.Command, _ []string) error {
	conn, p, err := a.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Do(cmd.Context(), publish.Call{Method: http.MethodDelete, Path: "/projects/" + p.ID + "/access"}); err != nil {
		return err
	}
	p.Access = nil
	return a.tell(cmd, p)
}
