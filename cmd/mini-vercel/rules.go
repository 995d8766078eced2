package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newRulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Check redirects and header rules before they are deployed",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "check DIR",
		Short: "Say what each line of _redirects, _headers and mini-vercel.json becomes",
		Long: `Check reads the rules of a folder that would be deployed and prints what each line
becomes, and each line that is wrong. It asks no server. The exit code is 1 where
something is wrong.`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return checkRules(cmd.OutOrStdout(), args[0]) },
	})
	return c
}

// maxRulesFile is the most that is read of one file, in bytes: more is no
// deployment.
const maxRulesFile = 4 << 20

func checkRules(w io.Writer, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("there is no folder %s", dir)
	}
	var sources site.RuleSources
	found := false
	for name, into := range map[string]*string{site.ConfigName: &sources.Config, site.RedirectsName: &sources.Redirects, site.HeadersName: &sources.Headers} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if len(text) > maxRulesFile {
			return fmt.Errorf("%s has %d bytes, the most is %d", filepath.Join(dir, name), len(text), maxRulesFile)
		}
		found, *into = true, string(text)
	}
	if !found {
		fmt.Fprintf(w, "%s has none of %s, %s and %s: there is nothing to check.\n", dir, site.RedirectsName, site.HeadersName, site.ConfigName)
		return nil
	}
	m, err := site.NewManifest(site.Meta{Rules: sources}, nil)
	if err != nil {
		return err
	}
	inFolder := filepath.Clean(dir) + string(filepath.Separator)
	var wrong []string
	config, err := site.ParseConfig([]byte(sources.Config))
	if sources.Config != "" && err != nil {
		wrong = append(wrong, inFolder+err.Error())
		m.Meta.Rules.Config = "" // the rules are looked at all the same
	}
	problems, err := m.Compile(site.Serving{})
	var strict *site.StrictError
	if err != nil && !errors.As(err, &strict) {
		return err
	}
	for _, p := range problems {
		wrong = append(wrong, inFolder+p.String())
	}
	if err := printRules(w, m, config); err != nil {
		return err
	}
	if len(wrong) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	for _, line := range wrong {
		fmt.Fprintln(w, harmless(line, false))
	}
	if len(wrong) == 1 {
		return errors.New("1 line is wrong")
	}
	return fmt.Errorf("%d lines are wrong", len(wrong))
}

// printRules says what the rules have become.
func printRules(w io.Writer, m *site.Manifest, config site.Config) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(line int, cells ...string) {
		at := ""
		if line > 0 {
			at = strconv.Itoa(line)
		}
		fmt.Fprintf(t, "  %s\t%s\n", at, harmless(strings.Join(cells, "\t"), false))
	}
	if m.Meta.Rules.Config != "" {
		fmt.Fprintln(t, site.ConfigName)
		if config.HTMLHandling != "" {
			row(0, "htmlHandling", string(config.HTMLHandling))
		}
		if config.NotFound != "" {
			row(0, "notFound", string(config.NotFound))
		}
		if config.StrictRules != nil {
			row(0, "strictRules", strconv.FormatBool(*config.StrictRules))
		}
		if config.EarlyHints != nil {
			row(0, "earlyHints", strconv.FormatBool(*config.EarlyHints))
		}
		for _, glob := range config.Immutable {
			row(0, "immutable", glob)
		}
	}
	redirects := m.Redirects()
	if m.Meta.Rules.Redirects != "" {
		fmt.Fprintln(t, site.RedirectsName)
		for _, r := range redirects.All() {
			row(r.Line, r.From, verbOf(r), r.To)
		}
		if line := redirects.ShellLine(); line > 0 && m.Meta.NotFound == site.NotFoundSPA {
			row(line, "/*", "sets notFound to", string(site.NotFoundSPA))
		}
	}
	if m.Meta.Rules.Headers != "" {
		fmt.Fprintln(t, site.HeadersName)
		for _, r := range m.HeaderRules().All() {
			row(r.Line, r.URL)
			for _, f := range r.Fields {
				if f.Remove {
					row(f.Line, "  removes", f.Name)
				} else {
					row(f.Line, "  sets", f.Name+": "+f.Value)
				}
			}
		}
	}
	return t.Flush()
}

// verbOf says in a word what a rule does.
func verbOf(r site.Redirect) string {
	switch {
	case r.Shell:
		return "pages that are not found are"
	case r.Status == http.StatusOK:
		return "is answered by"
	}
	return strconv.Itoa(r.Status) + " to"
}
