package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newSettingsCommand() *cobra.Command {
	var project, html, notFound string
	var strict, hints, asJSON bool
	c := &cobra.Command{
		Use:   "settings [PROJECT]",
		Short: "Show or change how a project is served",
		Long: `Settings shows how a project's deployments are served, or changes what the flags
name. A change counts from the next deployment on. A mini-vercel.json in the
deployed folder wins over it.`,
		Example: "  mini-vercel settings my-site\n  mini-vercel settings my-site --not-found single-page-application",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			patch := map[string]any{}
			flags := cmd.Flags()
			if flags.Changed("html-handling") {
				if err := oneOf("html-handling", html, site.HTMLHandlings); err != nil {
					return err
				}
				patch["htmlHandling"] = html
			}
			if flags.Changed("not-found") {
				if err := oneOf("not-found", notFound, site.NotFounds); err != nil {
					return err
				}
				patch["notFound"] = notFound
			}
			if flags.Changed("strict-rules") {
				patch["strictRules"] = strict
			}
			if flags.Changed("early-hints") {
				patch["earlyHints"] = hints
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			p, err := conn.oneProject(cmd.Context(), cmp.Or(strings.Join(args, ""), project))
			if err != nil {
				return err
			}
			if len(patch) > 0 {
				call := publish.Call{Method: http.MethodPatch, Path: "/projects/" + p.ID, In: patch, Out: p}
				if err := conn.Do(cmd.Context(), call); err != nil {
					return fmt.Errorf("change the settings of %s: %w", p.Name, err)
				}
				fmt.Fprintln(cmd.ErrOrStderr(), "Saved. The settings count from the next deployment on.")
			}
			return showSettings(cmd, p, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&html, "html-handling", "", "where HTML files answer: "+listed(site.HTMLHandlings))
	f.StringVar(&notFound, "not-found", "", "what is answered where nothing is found: "+listed(site.NotFounds))
	f.BoolVar(&strict, "strict-rules", false, "let a wrong line of _redirects or _headers fail the deployment (--strict-rules=false: warn)")
	f.BoolVar(&hints, "early-hints", false, "name what a page preloads in a 103 response before it (--early-hints=false: don't)")
	f.StringVar(&project, "project", "", "the same as PROJECT")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// servingSettings are the settings that `settings` shows.
type servingSettings struct {
	Project      string            `json:"project"`
	HTMLHandling site.HTMLHandling `json:"htmlHandling"`
	NotFound     site.NotFound     `json:"notFound"`
	StrictRules  bool              `json:"strictRules"`
	EarlyHints   bool              `json:"earlyHints"`
}

func showSettings(cmd *cobra.Command, p *controlplane.Project, asJSON bool) error {
	s := servingSettings{p.SubDomain, cmp.Or(p.HTMLHandling, site.HTMLAuto), cmp.Or(p.NotFound, site.NotFoundAuto), p.StrictRules, p.EarlyHints}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), s)
	}
	t := newTable(cmd.OutOrStdout(), "SETTING", "VALUE")
	t.row("html-handling", string(s.HTMLHandling))
	t.row("not-found", string(s.NotFound))
	t.row("strict-rules", strconv.FormatBool(s.StrictRules))
	t.row("early-hints", strconv.FormatBool(s.EarlyHints))
	return t.Flush()
}

// oneOf refuses a value that a setting doesn't have.
func oneOf[T ~string](flag, value string, allowed []T) error {
	if !slices.Contains(allowed, T(value)) {
		return usagef("--%s %q is not one of %s", flag, value, listed(allowed))
	}
	return nil
}

func listed[T ~string](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}

// oneProject finds the project of that name; without one, the only project that
// there is.
func (c *connection) oneProject(ctx context.Context, name string) (*controlplane.Project, error) {
	if name != "" {
		return c.mustProject(ctx, name)
	}
	var found []*controlplane.Project
	err := each(ctx, c, "/projects", nil, func(p *controlplane.Project) bool {
		found = append(found, p)
		return len(found) < 2
	})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, usagef("which project? Name it, as in `mini-vercel settings my-site`; `mini-vercel projects` lists them")
	}
	return found[0], nil
}
