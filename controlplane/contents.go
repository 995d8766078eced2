package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// readsAtOnce is how many objects are read at the same time: at S3 each takes
// tens of milliseconds.
const readsAtOnce = 16

// contents are what the bucket says of all projects: their records, the routes,
// and what is needed of the manifests that routes lead to.
type contents struct {
	projects    map[string]*site.ProjectRecord
	prefixes    map[string]bool // projects that have an object at all
	routes      []*site.RouteRecord
	deployments map[string]*foundDeployment
	highest     int64 // generation
	losses      []Loss
}

// foundDeployment is a deployment as its manifest tells it.
type foundDeployment struct {
	id, project string
	source      site.Source
	made        site.Made
	files       int
	bytes       int64
}

// Loss is something that can't be recovered.
type Loss struct {
	What string `json:"what"` // such as a host name or a bucket key
	Why  string `json:"why"`
}

// Progress is told how far something got that takes its time.
type Progress func(step string, done int)

// readContents reads the records of the bucket. A record that is damaged is a
// loss; a bucket that fails is an error.
func (s *Service) readContents(ctx context.Context, progress Progress) (*contents, error) {
	c := &contents{projects: map[string]*site.ProjectRecord{}, prefixes: map[string]bool{}, deployments: map[string]*foundDeployment{}}
	for _, step := range []func(context.Context, *Service, Progress) error{c.readHead, c.readProjects, c.readRoutes, c.readManifests} {
		if err := step(ctx, s, progress); err != nil {
			return nil, fmt.Errorf("read the bucket: %w", err)
		}
	}
	return c, nil
}

func (c *contents) readHead(ctx context.Context, s *Service, _ Progress) error {
	var head site.Head
	_, _, err := s.readRecord(ctx, site.HeadKey, &head)
	if errors.Is(err, errRecord) {
		c.losses = append(c.losses, Loss{site.HeadKey, "it is damaged, and begins anew"})
		err = nil
	}
	for _, change := range head.Changes {
		c.highest = max(c.highest, change.Generation)
	}
	return err
}

func (c *contents) readProjects(ctx context.Context, s *Service, progress Progress) error {
	var ids []string
	for id, err := range s.projectPrefixes(ctx) {
		if err != nil {
			return err
		}
		c.prefixes[id] = true
		ids = append(ids, id)
	}
	return readEach(ctx, ids, "projects", progress, func(ctx context.Context, id string) (func(), error) {
		record := &site.ProjectRecord{}
		found, _, err := s.readRecord(ctx, site.ProjectKey(id), record)
		if errors.Is(err, errRecord) || found && err == nil && record.ID != id {
			return func() { c.losses = append(c.losses, Loss{site.ProjectKey(id), "the record of the project is damaged"}) }, nil
		}
		return func() {
			if found {
				c.projects[id] = record
				c.highest = max(c.highest, record.Generation)
			}
		}, err
	})
}

// projectPrefixes yields the ids of projects that have an object in the bucket.
// Each takes one listing: what is in them is skipped.
func (s *Service) projectPrefixes(ctx context.Context) func(yield func(string, error) bool) {
	return func(yield func(string, error) bool) {
		after := ""
		for {
			id := ""
			for info, err := range s.bucket.List(ctx, site.ProjectsPrefix, blob.ListOptions{After: after}) {
				if err != nil {
					yield("", err)
					return
				}
				id, _, _ = strings.Cut(strings.TrimPrefix(info.Key, site.ProjectsPrefix), "/")
				break
			}
			if id == "" || !yield(id, nil) {
				return
			}
			after = site.ProjectsPrefix + id + "0" // the first key that can't begin with id and a slash
		}
	}
}

func (c *contents) readRoutes(ctx context.Context, s *Service, progress Progress) error {
	var hosts []string
	for info, err := range s.bucket.List(ctx, site.RoutesPrefix, blob.ListOptions{}) {
		if err != nil {
			return err
		}
		hosts = append(hosts, strings.TrimPrefix(info.Key, site.RoutesPrefix))
	}
	routes := make([]*site.RouteRecord, len(hosts))
	at := map[string]int{}
	for i, host := range hosts {
		at[host] = i
	}
	err := readEach(ctx, hosts, "routes", progress, func(ctx context.Context, host string) (func(), error) {
		record := &site.RouteRecord{}
		found, _, err := s.readRecord(ctx, site.RouteKey(host), record)
		if errors.Is(err, errRecord) || found && err == nil && record.Host != host {
			return func() { c.losses = append(c.losses, Loss{site.RouteKey(host), "the route is damaged"}) }, nil
		}
		return func() {
			if found {
				routes[at[host]] = record
				c.highest = max(c.highest, record.Generation)
			}
		}, err
	})
	for _, r := range routes {
		if r != nil {
			c.routes = append(c.routes, r)
		}
	}
	return err
}

// readManifests reads those that a route leads to, now or before. Others belong
// to uploads that never ended, and to deployments that were removed.
func (c *contents) readManifests(ctx context.Context, s *Service, progress Progress) error {
	project := map[string]string{}
	var ids []string
	named := func(id, of string) {
		if _, known := project[id]; !known && id != "" {
			project[id] = of
			ids = append(ids, id)
		}
	}
	for _, r := range c.routes {
		named(r.Deployment, r.Project)
		for _, p := range r.Previous {
			named(p.Deployment, r.Project)
		}
	}
	return readEach(ctx, ids, "deployments", progress, func(ctx context.Context, id string) (func(), error) {
		key := site.ManifestKey(project[id], id)
		info, err := s.bucket.Stat(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return func() {
				c.losses = append(c.losses, Loss{key, "a route leads to this deployment, but its manifest is not there"})
			}, nil
		}
		if err != nil {
			return nil, err
		}
		m, err := s.readManifest(ctx, project[id], id)
		if errors.Is(err, errManifest) {
			return func() { c.losses = append(c.losses, Loss{key, "the manifest is damaged"}) }, nil
		}
		if err != nil {
			return nil, err
		}
		d := &foundDeployment{id: id, project: project[id], source: m.Meta.Source, made: m.Meta.Made, files: m.Len(), bytes: m.TotalSize()}
		if d.made.At.IsZero() { // written by a version that did not tell
			d.made.At = d.source.BuiltAt
		}
		if d.made.At.IsZero() {
			d.made.At = info.Modified
		}
		d.made.At = d.made.At.UTC().Truncate(time.Microsecond)
		return func() { c.deployments[id] = d }, nil
	})
}

// readEach reads many objects, some at once. What one read found is taken in by
// one goroutine at a time.
func readEach(ctx context.Context, names []string, step string, progress Progress, read func(context.Context, string) (take func(), err error)) error {
	var mu sync.Mutex
	done := 0
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for _, name := range names {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			take, err := read(ctx, name)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			take()
			if done++; progress != nil && (done%100 == 0 || done == len(names)) {
				progress(step, done)
			}
			return nil
		})
	}
	return g.Wait()
}
