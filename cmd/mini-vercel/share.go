package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func newShareCommand() *cobra.Command {
	var project, expires string
	var asJSON bool
	c := &cobra.Command{
		Use:   "share [HOST|URL]",
		Short: "Make a link that opens a protected host without the password",
		Long: `Share prints a link to a host that asks for a password, or to one page of it. Who
has the link is let in until it expires, or until the password is changed. Without
a host it is production's, or, where only previews are protected, the latest
deployment's.`,
		Example: "  mini-vercel share --project my-site\n  mini-vercel share https://1a2b3c4d--my-site.example.com/docs --expires 7d",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			life, err := parseLife(expires)
			if err != nil {
				return err
			}
			address := ""
			if len(args) == 1 {
				address = args[0]
			} else if project == "" {
				return usagef("share what? Name a host, or a project with --project")
			}
			conn, err := connect(cmd)
			if err != nil {
				return err
			}
			defer conn.Close()
			link, err := conn.share(cmd.Context(), project, address, life)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), link)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Whoever has this link can see %s until %s:\n", harmless(link.Host, false), link.ExpiresAt.Local().Format("2 January 2006, 15:04 MST"))
			fmt.Fprintln(cmd.OutOrStdout(), harmless(link.URL, false))
			return nil
		},
	}
	c.Flags().StringVar(&project, "project", "", "project by name, subdomain or id")
	c.Flags().StringVar(&expires, "expires", "24h", "how long the link is good, such as 90m, 24h or 7d; at most 30d")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// parseLife reads a duration that may be in days.
func parseLife(s string) (time.Duration, error) {
	life, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		life = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || life < controlplane.MinShareTime || life > site.MaxShareTime {
		return 0, usagef("--expires=%s: a link can be good for 1m to 30d", s)
	}
	return life, nil
}

// share makes a link to an address, or to what of a project is protected.
func (c *connection) share(ctx context.Context, project, address string, life time.Duration) (*controlplane.ShareLink, error) {
	var p *controlplane.Project
	var err error
	if project != "" {
		if p, err = c.mustProject(ctx, project); err != nil {
			return nil, err
		}
	}
	if address == "" {
		if address, err = protectedAddress(p); err != nil {
			return nil, err
		}
	}
	host, path, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if p, err = c.projectAt(ctx, host); err != nil {
			return nil, err
		}
	}
	var link controlplane.ShareLink
	in := map[string]any{"host": host, "path": path, "expiresIn": int64(life / time.Second)}
	return &link, c.post(ctx, "/projects/"+p.ID+"/share-links", in, &link)
}

// protectedAddress is what is shared of a project where no host is named.
func protectedAddress(p *controlplane.Project) (string, error) {
	switch {
	case p.Access == nil:
		return "", fmt.Errorf("%s is open to everyone: share its address, %s", p.Name, p.URL)
	case p.Access.Scope == site.AccessAll:
		return p.URL, nil
	case p.Latest == nil || p.Latest.DeploymentURL == "":
		return "", fmt.Errorf("the latest deployment of %s has no address: name a host, as in `mini-vercel share HOST`", p.Name)
	}
	return p.Latest.DeploymentURL, nil
}

// splitAddress takes a host or a URL apart. What stands before the host does not
// matter: the control plane knows how its sites are reached.
func splitAddress(address string) (host, path string, err error) {
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", "", usagef("%q is neither a host nor the address of a page", address)
	}
	path = u.EscapedPath()
	if u.RawQuery != "" {
		path = "/" + strings.TrimPrefix(path, "/") + "?" + u.RawQuery
	}
	return strings.ToLower(u.Hostname()), path, nil
}

// projectAt finds the project that a host belongs to: by a domain of its own, or
// by its subdomain, which every other host of it names in its first label.
func (c *connection) projectAt(ctx context.Context, host string) (*controlplane.Project, error) {
	var found *controlplane.Project
	label, _, _ := strings.Cut(host, ".")
	err := each(ctx, c, "/projects", nil, func(p *controlplane.Project) bool {
		if host == p.CustomDomain || label == p.SubDomain || strings.HasSuffix(label, "--"+p.SubDomain) {
			found = p
		}
		return found == nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("none of your projects is known to answer at %s: name it with --project", host)
	}
	return found, err
}
