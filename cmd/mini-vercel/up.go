package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// serverFlags are the flags that the servers share; each wins over its variable.
type serverFlags struct {
	data, listen, baseDomain, logFormat string
	port, edgePort                      int
}

func (f *serverFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.data, "data", "", "directory of the embedded parts (default ./data)")
	c.Flags().StringVar(&f.listen, "listen", "", "address to listen on (default 127.0.0.1)")
	c.Flags().IntVar(&f.port, "port", 0, "port of the control plane, 0 for a free one (default 9000)")
	c.Flags().IntVar(&f.edgePort, "edge-port", 0, "port of the edge, 0 for a free one (default 8001)")
	c.Flags().StringVar(&f.baseDomain, "base-domain", "", "domain below which sites get their hosts (default localhost)")
	c.Flags().StringVar(&f.logFormat, "log-format", "", "json or text (default text)")
}

// settings reads the environment, and the flags over it.
func (f *serverFlags) settings(cmd *cobra.Command, defaults ...string) (*Settings, error) {
	env := append(defaults, environ()...)
	for flag, variable := range map[string]string{
		"data": "DATA_DIR", "listen": "LISTEN", "port": "PORT", "edge-port": "EDGE_PORT", "base-domain": "BASE_DOMAIN", "log-format": "LOG_FORMAT",
	} {
		if given := cmd.Flags().Lookup(flag); given != nil && given.Changed {
			env = append(env, variable+"="+given.Value.String())
		}
	}
	s, err := Load(env)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

// newUpCommand runs everything in one process.
func newUpCommand() *cobra.Command {
	f := &serverFlags{}
	c := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine: edge, control plane, dashboard, builds",
		Long: `Runs the edge, the control plane with the dashboard, and a local build runner in
one process, on the embedded parts in the data directory. Ctrl-C stops all of
it; builds that are running go back into the queue and run again at the next
start.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd, "ALLOW_LOCAL_GIT=1", "EDGE_TLS=internal", "DRAIN_NOTICE=0s", "DRAIN_TIME=0s")
			if err != nil {
				return err
			}
			return up(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.register(c)
	return c
}

// up runs everything until ctx ends.
func up(ctx context.Context, s *Settings, stdout, stderr io.Writer) (err error) {
	tuneGarbageCollection(s)
	dir, err := openDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	isolation := probe(ctx, s)
	if err := isolation.Err(); err != nil {
		return err
	}
	p, err := openControlPlane(ctx, s, dir, isolation)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	e, err := startEdge(s, dir.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	httpPort, httpsPort := e.ports()
	sitePort := s.sitePort(httpPort, httpsPort)
	p.ownEdge = e.url(s.EdgeTLS == "acme")
	if err := p.start(ctx, sitePort); err != nil {
		return err
	}
	metrics, err := serveMetrics(s, append(e.running.Collectors(), p.collectors()...), p.log)
	if err != nil {
		return err
	}
	if metrics != nil {
		defer func() { err = errors.Join(err, metrics.server.Close()) }()
	}
	if err := p.keepCredentials(ctx); err != nil {
		return err
	}
	for _, warning := range isolation.Warnings {
		fmt.Fprintln(stderr, "Warning: "+warning)
	}
	p.announce(stdout, siteURL(s, "<project>", sitePort), ownHTTPS(s, httpsPort, dir.path))
	err = wait(ctx, p.server.failed)
	fmt.Fprintln(stderr, "Stopping: builds that are running go back into the queue.")
	return err
}

// keepCredentials gives the CLI of this machine a token of its own.
func (p *controlPlane) keepCredentials(ctx context.Context) error {
	address := p.reachedAt("localhost")
	// The file alone, not the variables: whether they are set says nothing of it.
	path, err := credentialsPath(os.Getenv)
	if err != nil {
		return err
	}
	have, _ := readCredentials(path) // missing or damaged: written anew
	token, err := p.accounts.LocalToken(ctx, have.Token)
	if err != nil {
		return fmt.Errorf("make a token for the command line: %w", err)
	}
	if have.URL == address && have.Token == token {
		return nil
	}
	_, err = saveCredentials(os.Getenv, Credentials{URL: address, Token: token})
	return err
}

// announce prints where everything is and what to do next.
func (p *controlPlane) announce(w io.Writer, sites, ownHTTPS string) {
	public := p.publicURL.String()
	fmt.Fprintf(w, "Mini-Vercel %s is running on %s.\n\n", version, p.dir.path)
	fmt.Fprintf(w, "  Dashboard  %s/dashboard/\n", public)
	if sites != "" {
		fmt.Fprintf(w, "  Sites      %s\n", sites)
	}
	if ownHTTPS != "" {
		fmt.Fprintf(w, "             %s\n", ownHTTPS)
	}
	if p.setup != "" {
		fmt.Fprintf(w, "  Set up     %s/dashboard/signup#code=%s\n             (makes your account; good once)\n", public, p.setup)
	}
	if rule := p.bucket.corsRule; rule != "" {
		fmt.Fprintf(w, "\nThe bucket's key may not see to its CORS rules. For folders to be dropped on the dashboard, add\nthis one to the bucket, in the form that the consoles of R2 and AWS take:\n\n%s\n", rule)
	}
	next := "deploy ./my-site"
	if sites == "" { // only up gives the command line a token
		next = "login --url " + public
	}
	fmt.Fprintf(w, "\nNext, in another terminal:  %s %s\n", os.Args[0], next)
}
