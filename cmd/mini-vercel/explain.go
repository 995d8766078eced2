package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

var explainMethods = []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}

func newExplainCommand() *cobra.Command {
	var method, accept, encoding string
	var asJSON bool
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "Say what is answered at an address, and why",
		Long: `Explain follows a request from the host over the route, the deployment and the rule
that matches to the file, its headers, and what the edge has cached. It goes by what
is published, as edges do. The exit code is 0 where the answer is a success or a
redirect, and 1 where it is an error.`,
		Example: "  mini-vercel explain my-site.localhost:8001/old/page\n  mini-vercel explain https://my-site.example.com/app.js --accept-encoding gzip --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if method = strings.ToUpper(method); !slices.Contains(explainMethods, method) {
				return usagef("--method %q is not one of %s", method, strings.Join(explainMethods, ", "))
			}
			if _, _, err := splitAddress(args[0]); err != nil {
				return err
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			query := url.Values{"url": {args[0]}, "method": {method}}
			if accept != "" {
				query.Set("accept", accept)
			}
			if encoding != "" {
				query.Set("acceptEncoding", encoding)
			}
			var e controlplane.Explanation
			if err := conn.get(cmd.Context(), "/explain", query, &e); err != nil {
				return err
			}
			print := printExplanation
			if asJSON {
				print = func(w io.Writer, e *controlplane.Explanation) error { return printJSON(w, e) }
			}
			if err := print(cmd.OutOrStdout(), &e); err != nil {
				return err
			}
			if e.Status >= 400 {
				return saidError{fmt.Errorf("the answer is %d", e.Status)}
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&method, "method", "GET", "the request's method")
	f.StringVar(&accept, "accept", "", "the request's Accept (default: a browser's that opens a page)")
	f.StringVar(&encoding, "accept-encoding", "", "the request's Accept-Encoding (default: a browser's)")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// printExplanation prints the answer, and below it the chain that leads to it.
func printExplanation(w io.Writer, e *controlplane.Explanation) error {
	fmt.Fprintf(w, "%s\n\n", harmless(e.Answer, false))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, text string) { fmt.Fprintf(t, "%s\t%s\n", name, harmless(text, false)) }
	for _, s := range e.Steps {
		row(s.Step, s.Text)
		for _, l := range s.Lines {
			row("", ruleLine(l))
		}
		if s.Warning != "" {
			row("", "! "+s.Warning)
		}
	}
	if f := e.File; f != nil {
		size := fmt.Sprintf("%d bytes", f.Size)
		if f.Encoding != "identity" {
			size += " in " + f.Encoding
		}
		row("sent", fmt.Sprintf("%s, of %s", size, strings.Join(f.Encodings, ", ")))
	}
	if f := e.File; f != nil {
		for i, link := range f.EarlyHints {
			name := ""
			if i == 0 {
				name = "103"
			}
			row(name, "Link: "+link)
		}
	}
	for i, h := range e.Headers {
		name := ""
		if i == 0 {
			name = "headers"
		}
		var from []string
		for _, l := range h.Lines {
			from = append(from, l.File+":"+strconv.Itoa(l.Line))
		}
		note := ""
		if len(from) > 0 {
			note = "  (" + strings.Join(from, ", ") + ")"
		}
		if len(h.Values) == 0 {
			row(name, h.Name+" is removed"+note)
		}
		for _, v := range h.Values {
			row(name, h.Name+": "+v+note)
			name = ""
		}
	}
	row("cache", e.Cache.Text)
	return t.Flush()
}

func ruleLine(l controlplane.RuleLine) string {
	return fmt.Sprintf("%s:%d: %s", l.File, l.Line, l.Text)
}
