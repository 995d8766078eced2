package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// deployCommand is one `deploy`.
type deployCommand struct {
	cmd     *cobra.Command
	conn    *connection
	dir     string // either this
	git     string // or this
	branch  string
	build   bool
	prod    bool
	project string
	yes     bool
	message string
	json    bool
	noWait  bool

	outcome outcome
}

func newDeployCommand() *cobra.Command {
	d := &deployCommand{}
	c := &cobra.Command{
		Use:   "deploy DIR | deploy --git URL",
		Short: "Put a folder or a repository online",
		Long: `Deploy puts a folder online, or has a repository built and puts the result online.

  mini-vercel deploy ./dist                    files as they are
  mini-vercel deploy --build ./my-app          sources, which are sent and built
  mini-vercel deploy --git URL --branch main   a repository, which is cloned and built

A project that does not exist is made; its name is --project, or the folder's or
the repository's. Its first deployment, --prod, and the production branch of a
repository go to production; everything else is a preview.

Progress goes to standard error. Where standard output is not a terminal, it gets
the site's address alone, or one JSON object with --json. Ctrl-C cancels the
deployment; with --no-wait the command does not wait for the build.`,
		Example: "  url=$(mini-vercel deploy ./dist --prod -y)",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.cmd = cmd
			if len(args) == 1 {
				d.dir = args[0]
			}
			return d.outcome.tell(cmd, d.json, d.run(cmd.Context()))
		},
	}
	f := c.Flags()
	f.StringVar(&d.git, "git", "", "repository to clone and build")
	f.StringVar(&d.branch, "branch", "", "branch of the repository (default: its production branch)")
	f.BoolVar(&d.build, "build", false, "send the folder's sources and have them built")
	f.BoolVar(&d.prod, "prod", false, "deploy to production")
	f.StringVar(&d.project, "project", "", "project by name, subdomain or id")
	f.BoolVarP(&d.yes, "yes", "y", false, "ask nothing")
	f.StringVarP(&d.message, "message", "m", "", "what the deployment is about")
	f.BoolVar(&d.json, "json", false, "print one JSON object")
	f.BoolVar(&d.noWait, "no-wait", false, "return once a build is queued")
	return c
}

func (d *deployCommand) run(ctx context.Context) (err error) {
	if err := d.check(); err != nil {
		return err
	}
	if d.conn, err = connect(d.cmd); err != nil {
		return err
	}
	defer d.conn.Close()
	switch {
	case d.git != "":
		return d.deployGit(ctx)
	case d.build:
		return d.deploySources(ctx)
	default:
		return d.deployFiles(ctx)
	}
}

// outputFolders are where build tools commonly write, the usual ones first.
var outputFolders = []string{"dist", "build", "out", "public", "_site", "www", ".output/public", ".vitepress/dist", "docs/.vitepress/dist", ".vuepress/dist", "storybook-static", "site", "target/site"}

// check refuses command lines that can't be meant.
func (d *deployCommand) check() error {
	switch {
	case d.dir == "" && d.git == "":
		return usagef("what is to be deployed? Name a folder, as in `mini-vercel deploy ./dist`, or a repository with --git URL")
	case d.dir != "" && d.git != "":
		return usagef("deploy takes a folder or --git URL, not both")
	case d.git != "" && d.build:
		return usagef("a repository is always built: leave --build out")
	case d.git == "" && d.branch != "":
		return usagef("--branch belongs to --git URL")
	case d.git == "" && !d.build && d.noWait:
		return usagef("--no-wait belongs to --git or --build: a folder is live when the command returns")
	case d.git != "":
		return nil
	}
	info, err := os.Stat(d.dir)
	switch {
	case err != nil:
		return usagef("there is no folder %s", d.dir)
	case !info.IsDir():
		return usagef("%s is a file: name the folder that it is in", d.dir)
	case d.build:
		return nil
	case exists(d.dir, "package.json") && !exists(d.dir, "index.html"):
		return d.sourcesError()
	}
	return nil
}

// sourcesError is for a folder of sources, which nobody wants to see online.
func (d *deployCommand) sourcesError() error {
	for _, out := range outputFolders {
		if exists(d.dir, filepath.FromSlash(out), "index.html") {
			return usagef("%s has a package.json and no index.html, so these are sources: deploy its output with `mini-vercel deploy %s`, or have it built with `mini-vercel deploy --build %s`",
				d.dir, filepath.Join(d.dir, filepath.FromSlash(out)), d.dir)
		}
	}
	return usagef("%s has a package.json and no index.html, so these are sources: build them and deploy the output folder, or have them built with `mini-vercel deploy --build %s`", d.dir, d.dir)
}

func exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(parts...))
	return err == nil
}

// asked completes a request for a deployment by what the flags say; what they
// leave out, the control plane decides.
func (d *deployCommand) asked(in map[string]any) map[string]any {
	if d.prod {
		in["environment"] = site.Production
	}
	if d.message != "" {
		in["message"] = d.message
	}
	if d.branch != "" {
		in["branch"] = d.branch
	}
	return in
}

// ensureProject finds the project, or makes it.
func (d *deployCommand) ensureProject(ctx context.Context, gitURL string) (*controlplane.Project, error) {
	name := d.project
	if name == "" {
		name = d.defaultName()
	}
	if name == "" {
		return nil, usagef("the project needs a name: give one with --project")
	}
	p, err := d.conn.project(ctx, name)
	if err != nil {
		return nil, err
	}
	if p == nil {
		if p, err = d.createProject(ctx, name, gitURL); err != nil {
			return nil, err
		}
	}
	d.outcome.ProjectID, d.outcome.Project = p.ID, p.Name
	return p, nil
}

func (d *deployCommand) createProject(ctx context.Context, name, gitURL string) (*controlplane.Project, error) {
	if !d.yes && isTerminal(d.cmd.InOrStdin()) {
		ok, err := confirm(d.cmd, fmt.Sprintf("There is no project %q yet. Make it?", name))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errors.New("nothing was deployed: choose a project with --project NAME")
		}
	}
	var p controlplane.Project
	in := map[string]string{"name": name}
	if gitURL != "" {
		in["gitURL"] = gitURL
	}
	if err := d.conn.post(ctx, "/projects", in, &p); err != nil {
		return nil, fmt.Errorf("make project %q: %w", name, err)
	}
	fmt.Fprintf(d.cmd.ErrOrStderr(), "Made project %s\n", harmless(p.Name, false))
	return &p, nil
}

// defaultName is the project's name where none is given: the folder's or the
// repository's.
func (d *deployCommand) defaultName() string {
	if d.git != "" {
		name := strings.TrimRight(d.git, "/")
		name = strings.TrimSuffix(path.Base(name), ".git")
		if name == "." || name == "/" {
			return ""
		}
		return name
	}
	abs, err := filepath.Abs(d.dir)
	if err != nil {
		return ""
	}
	// An output folder's own name says nothing: its parent's does.
	for isOutputName(filepath.Base(abs)) && filepath.Dir(abs) != abs {
		abs = filepath.Dir(abs)
	}
	if name := filepath.Base(abs); name != string(filepath.Separator) {
		return name
	}
	return ""
}

func isOutputName(name string) bool {
	switch name {
	case "dist", "build", "out", "public", "_site", "www", ".output", "output":
		return true
	}
	return false
}

// cancelTime is how long the polite end of an interrupted deployment may take.
const cancelTime = 10 * time.Second

// cancel ends a deployment whose command was interrupted, and says so.
func (d *deployCommand) cancel(ctx context.Context, id string) error {
	interrupted := saidError{ctx.Err()}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	stderr := d.cmd.ErrOrStderr()
	var ended controlplane.Deployment
	if err := d.conn.post(ctx, "/deployments/"+id+"/cancel", nil, &ended); err != nil {
		fmt.Fprintf(stderr, "Interrupted, but the deployment could not be canceled (%s); do it with `mini-vercel cancel %s`\n", harmless(err.Error(), false), id[:site.HostIDLength])
		return interrupted
	}
	d.outcome.Status = string(ended.Status)
	fmt.Fprintln(stderr, "Interrupted: the deployment is canceled")
	return interrupted
}
