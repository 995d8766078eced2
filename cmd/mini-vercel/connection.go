package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/builder/publish"
	"github.com/mini-vercel/mini-vercel/controlplane"
)

// connection is a client command's way to the control plane.
type connection struct {
	*publish.Client
}

// connect opens the connection that the credentials name.
func connect(cmd *cobra.Command) (*connection, error) {
	c, err := loadCredentials(os.Getenv)
	if err != nil {
		return nil, err
	}
	return connectAs(cmd, c)
}

func connectAs(cmd *cobra.Command, c Credentials) (*connection, error) {
	stderr := cmd.ErrOrStderr()
	client, err := publish.NewClient(publish.ClientOptions{
		URL: c.URL, Token: c.Token,
		UserAgent: "mini-vercel-cli/" + version,
		Notify:    func(s string) { fmt.Fprintln(stderr, harmless(s, false)) },
	})
	if err != nil {
		return nil, err
	}
	return &connection{client}, nil
}

// Do makes a call. What the control plane refuses is told in its own words:
// they name what is wrong, and the call means nothing to a person.
func (c *connection) Do(ctx context.Context, call publish.Call) error {
	err := c.Client.Do(ctx, call)
	var refused *publish.APIError
	if errors.As(err, &refused) && refused.Status/100 == 4 && refused.Detail != "" {
		return refusal{refused}
	}
	return err
}

// refusal is an answer that the caller, not the control plane, can do something
// about.
type refusal struct{ *publish.APIError }

func (r refusal) Error() string {
	return strings.Replace(r.APIError.Error(), fmt.Sprintf(" (status %d)", r.Status), "", 1)
}

func (r refusal) Unwrap() error { return r.APIError }

func (c *connection) get(ctx context.Context, path string, query url.Values, out any) error {
	return c.Do(ctx, publish.Call{Method: http.MethodGet, Path: path, Query: query, Out: out})
}

func (c *connection) post(ctx context.Context, path string, in, out any) error {
	return c.Do(ctx, publish.Call{Method: http.MethodPost, Path: path, In: in, Out: out})
}

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// each reads a list page by page until use has seen enough.
func each[T any](ctx context.Context, c *connection, path string, query url.Values, use func(T) (more bool)) error {
	q := url.Values{"limit": {"100"}}
	for k, v := range query {
		q[k] = v
	}
	for {
		var p page[T]
		if err := c.get(ctx, path, q, &p); err != nil {
			return err
		}
		for _, item := range p.Items {
			if !use(item) {
				return nil
			}
		}
		if p.Next == "" {
			return nil
		}
		q.Set("cursor", p.Next)
	}
}

// project finds a project by its id, its subdomain or its name; nil where there
// is none.
func (c *connection) project(ctx context.Context, name string) (*controlplane.Project, error) {
	var found []*controlplane.Project
	var exact *controlplane.Project
	err := each(ctx, c, "/projects", nil, func(p *controlplane.Project) bool {
		if p.ID == name || p.SubDomain == name {
			exact = p
			return false
		}
		if p.Name == name {
			found = append(found, p)
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case exact != nil:
		return exact, nil
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		var names []string
		for _, p := range found {
			names = append(names, p.SubDomain)
		}
		return nil, fmt.Errorf("%d projects are called %q: name the one you mean by its subdomain, one of %s", len(found), name, strings.Join(names, ", "))
	}
	return found[0], nil
}

// mustProject is project where one has to exist.
func (c *connection) mustProject(ctx context.Context, name string) (*controlplane.Project, error) {
	p, err := c.project(ctx, name)
	if err == nil && p == nil {
		err = fmt.Errorf("there is no project %q: `mini-vercel projects` lists yours", name)
	}
	return p, err
}

const (
	uuidLength  = 36
	leastPrefix = 4
)

// deployment finds a deployment by its id or the beginning of it, among those
// of one project or, where that is "", of all.
func (c *connection) deployment(ctx context.Context, project, id string) (*controlplane.Deployment, error) {
	if id = strings.ToLower(id); strings.Trim(id, "0123456789abcdef-") != "" || len(id) < leastPrefix {
		return nil, usagef("%q is not the id of a deployment: give it, or its first 8 digits as in `mini-vercel list`", id)
	}
	path := "/deployments"
	if project != "" {
		p, err := c.mustProject(ctx, project)
		if err != nil {
			return nil, err
		}
		path = "/projects/" + p.ID + "/deployments"
	}
	if len(id) == uuidLength && project == "" {
		var d controlplane.Deployment
		return &d, c.get(ctx, "/deployments/"+id, nil, &d)
	}
	var found []*controlplane.Deployment
	err := each(ctx, c, path, nil, func(d *controlplane.Deployment) bool {
		if strings.HasPrefix(d.ID, id) {
			found = append(found, d)
		}
		return len(found) < 2
	})
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("there is no deployment %s: `mini-vercel list` shows yours", id)
	case len(found) > 1:
		return nil, fmt.Errorf("%s is the beginning of several deployments' ids: give more of it", id)
	}
	return found[0], nil
}
