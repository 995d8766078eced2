package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newProjectsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "projects",
		Short: "List your projects",
		RunE: func(cmd *cobra.Command, _ []string) error {
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			items := []*controlplane.Project{}
			err = each(cmd.Context(), conn, "/projects", nil, func(p *controlplane.Project) bool {
				items = append(items, p)
				return true
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), items)
			}
			if len(items) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No projects yet: `mini-vercel deploy ./my-site` makes one.")
				return nil
			}
			t := newTable(cmd.OutOrStdout(), "NAME", "STATUS", "UPDATED", "ADDRESS")
			for _, p := range items {
				status := string(p.Status())
				if p.Pinned {
					status += " (pinned)"
				}
				if p.State != site.ProjectActive {
					status = string(p.State)
				}
				t.row(p.Name, status, age(p.UpdatedAt), p.URL)
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

func newListCommand() *cobra.Command {
	var project string
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List deployments, newest first",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be at least 1")
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			path := "/deployments"
			if project != "" {
				p, err := conn.mustProject(cmd.Context(), project)
				if err != nil {
					return err
				}
				path = "/projects/" + p.ID + "/deployments"
			}
			items := []*controlplane.Deployment{}
			query := url.Values{"limit": {fmt.Sprint(min(limit, 100))}}
			err = each(cmd.Context(), conn, path, query, func(d *controlplane.Deployment) bool {
				items = append(items, d)
				return len(items) < limit
			})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), items)
			}
			if len(items) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "No deployments yet: `mini-vercel deploy ./my-site` makes one.")
				return nil
			}
			t := newTable(cmd.OutOrStdout(), "ID", "STATUS", "FOR", "CREATED", "ADDRESS", "WHAT")
			for _, d := range items {
				status := string(d.Status)
				if d.InProduction {
					status += " (live)"
				}
				t.row(d.HostID, status, string(d.Environment), age(d.CreatedAt), cmp.Or(d.URL, d.DeploymentURL, "-"), cmp.Or(d.Reason, d.Message, d.Source.Message, d.Source.Branch))
			}
			return t.Flush()
		},
	}
	c.Flags().StringVar(&project, "project", "", "project by name, subdomain or id (default: all)")
	c.Flags().IntVar(&limit, "limit", 20, "how many")
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes columns; what stands in them comes from others and is made
// harmless.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

const mostCell = 80

func (t table) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, oneLine(cell))
	}
	fmt.Fprintln(t)
}

func oneLine(s string) string {
	out := []rune{}
	for _, r := range harmless(s, false) {
		if r == '\n' || len(out) == mostCell {
			out = append(out, '…')
			break
		}
		if r == '\t' {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}

// age says how long ago something was, in one unit.
func age(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}
