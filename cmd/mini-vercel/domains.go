package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
)

func newDomainsCommand() *cobra.Command {
	d := &domainsCommand{}
	c := &cobra.Command{
		Use:   "domains --project NAME",
		Short: "Give a project domains of its own: list, add, verify, remove",
		Long: `A domain routes to a project's production once its DNS records are right: a TXT
record that proves that it is the project's, and an alias or addresses that lead
to the edges. "add" prints them. They are looked up at once and then again and
again in the background; "verify" looks now.`,
		Example: `  mini-vercel domains --project blog
  mini-vercel domains add example.com --redirect-other --project blog`,
		RunE: d.list,
	}
	c.PersistentFlags().StringVar(&d.project, "project", "", "project by name, subdomain or id")
	c.PersistentFlags().BoolVar(&d.json, "json", false, "print one JSON object; an array of several domains")
	list := &cobra.Command{Use: "list --project NAME", Aliases: []string{"ls"}, Short: "List a project's domains", RunE: d.list}
	add := &cobra.Command{Use: "add HOST --project NAME", Short: "Add a domain and print the DNS records to set", Args: cobra.ExactArgs(1), RunE: d.add}
	add.Flags().BoolVar(&d.redirectOther, "redirect-other", false, "also add the other one of example.com and www.example.com, to redirect to this one")
	verify := &cobra.Command{Use: "verify HOST --project NAME", Short: "Look at a domain's DNS records now; exit 1 unless they are right", Args: cobra.ExactArgs(1), RunE: d.verify}
	remove := &cobra.Command{Use: "remove HOST --project NAME", Aliases: []string{"rm"}, Short: "Remove a domain, and those that redirect to it", Args: cobra.ExactArgs(1), RunE: d.remove}
	for _, sub := range []*cobra.Command{list, add, verify, remove} {
		sub.Args = usageArgs(sub.Args)
		c.AddCommand(sub)
	}
	return c
}

type domainsCommand struct {
	project             string
	json, redirectOther bool
}

// open connects, and finds the project's domains.
func (d *domainsCommand) open(cmd *cobra.Command) (conn *connection, path string, err error) {
	if d.project == "" {
		return nil, "", usagef("which project? Name it with --project")
	}
	if conn, err = connect(cmd); err != nil {
		return nil, "", err
	}
	p, err := conn.mustProject(cmd.Context(), d.project)
	if err != nil {
		conn.Close()
		return nil, "", err
	}
	return conn, "/projects/" + p.ID + "/domains", nil
}

func (d *domainsCommand) list(cmd *cobra.Command, _ []string) error {
	conn, path, err := d.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	items := []*controlplane.Domain{}
	err = each(cmd.Context(), conn, path, nil, func(domain *controlplane.Domain) bool {
		items = append(items, domain)
		return true
	})
	if err != nil {
		return err
	}
	if d.json {
		return printJSON(cmd.OutOrStdout(), items)
	}
	if len(items) == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "No domains yet: `mini-vercel domains add example.com --project %s` adds one.\n", harmless(d.project, false))
		return nil
	}
	t := newTable(cmd.OutOrStdout(), "DOMAIN", "STATE", "ADDED", "WHAT")
	for _, domain := range items {
		state := string(domain.State)
		if domain.Primary {
			state += " (primary)"
		}
		t.row(domain.Unicode, state, age(domain.CreatedAt), summary(domain))
	}
	return t.Flush()
}

// summary is what the list says of a domain in a few words.
func summary(d *controlplane.Domain) string {
	switch {
	case d.State == controlplane.DomainPending:
		var unset []string
		for _, r := range d.Records {
			if r.State != controlplane.RecordFound && !slices.Contains(unset, r.Type) {
				unset = append(unset, r.Type)
			}
		}
		if len(unset) > 0 {
			return "not found in DNS: " + strings.Join(unset, ", ")
		}
	case d.State == controlplane.DomainActive && d.RedirectTo != "":
		return "redirects to " + d.RedirectTo
	}
	return d.Detail
}

func (d *domainsCommand) add(cmd *cobra.Command, args []string) error {
	conn, path, err := d.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	var domain controlplane.Domain
	if err := conn.post(cmd.Context(), path, map[string]any{"host": args[0], "redirectOther": d.redirectOther}, &domain); err != nil {
		return err
	}
	domains := []*controlplane.Domain{&domain}
	if d.redirectOther {
		err := each(cmd.Context(), conn, path, nil, func(other *controlplane.Domain) bool {
			if other.RedirectTo == domain.Host {
				domains = append(domains, other)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	if d.json {
		return printJSON(cmd.OutOrStdout(), domains)
	}
	for _, domain := range domains {
		if err := showDomain(cmd.OutOrStdout(), domain); err != nil {
			return err
		}
	}
	return nil
}

func (d *domainsCommand) verify(cmd *cobra.Command, args []string) error {
	conn, path, err := d.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	var domain controlplane.Domain
	if err := conn.post(cmd.Context(), path+"/"+url.PathEscape(args[0])+"/verify", nil, &domain); err != nil {
		return err
	}
	if d.json {
		err = printJSON(cmd.OutOrStdout(), &domain)
	} else {
		err = showDomain(cmd.OutOrStdout(), &domain)
	}
	if err == nil && domain.State != controlplane.DomainActive {
		err = fmt.Errorf("%s is %s: set the records that are not found and verify again", domain.Unicode, domain.State)
	}
	return err
}

func (d *domainsCommand) remove(cmd *cobra.Command, args []string) error {
	conn, path, err := d.open(cmd)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Do(cmd.Context(), publish.Call{Method: http.MethodDelete, Path: path + "/" + url.PathEscape(args[0])}); err != nil {
		return err
	}
	if d.json {
		return printJSON(cmd.OutOrStdout(), map[string]string{"removed": args[0]})
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is removed: it answers 410 from now on. Take its DNS records away too.\n", harmless(args[0], false))
	return nil
}

// showDomain prints a domain with its records, as one sets them and as DNS has
// them. Values are whole, to be copied.
func showDomain(w io.Writer, d *controlplane.Domain) error {
	name := d.Unicode
	if d.Unicode != d.Host {
		name += " (" + d.Host + ")"
	}
	fmt.Fprintf(w, "%s: %s. %s\n", harmless(name, false), d.State, harmless(d.Detail, false))
	if d.RedirectTo != "" {
		fmt.Fprintf(w, "Redirects to %s.\n", harmless(d.RedirectTo, false))
	}
	if d.Certificate != nil {
		fmt.Fprintf(w, "Certificate: %s. %s\n", d.Certificate.State, harmless(d.Certificate.Detail, false))
	}
	for _, r := range d.Records {
		fmt.Fprintf(w, "\n  %-5s  %s  →  %s\n", r.Type, harmless(r.Name, false), harmless(r.Value, false))
		switch r.State {
		case controlplane.RecordFound:
			fmt.Fprintln(w, "         found")
		case controlplane.RecordUnchecked:
			fmt.Fprintln(w, "         not looked up yet")
		default:
			seen := ""
			if len(r.Seen) > 0 {
				seen = " In DNS now: " + strings.Join(r.Seen, ", ")
			}
			fmt.Fprintf(w, "         %s. %s\n", r.State, harmless(r.Detail+seen, false))
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}
