package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"golang.org/x/time/rate"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Why a host can't be answered with its site.
var (
	errNoRoute = errors.New("the host has no route")
	errBusy    = errors.New("too many look-ups of unknown hosts")
	errProject = errors.New("the record of the host's project could not be had")
)

// resolver finds hosts: in memory, else in the bucket, else, while the bucket
// is away, in the state directory.
type resolver struct {
	base     string // with a dot in front
	ctx      context.Context
	origin   *origin
	state    *state
	metrics  *Metrics
	log      *slog.Logger
	now      func() time.Time
	budget   *rate.Limiter
	ready    chan struct{} // closed when the change log was asked for the first time
	refresh  *refresher
	hosts    *cache[string, *host]
	absent   *cache[string, int64]    // hosts that have no route, by the epoch in which that was seen
	named    *cache[string, struct{}] // hosts that the change log named: there is something to look up
	epoch    atomic.Int64             // goes up when everything is to be looked at again
	flights  *flights[string, loaded[*host]]
	table    sync.Mutex // guards loading, projects, and moves between loading, hosts and absent
	loading  map[string]*host
	projects map[string]weak.Pointer[project]

	minute     atomic.Uint32 // goes up once a minute
	prefetches chan struct{} // hosts that wait for their new deployment at once
	prefetch   func(ctx context.Context, from, to *hostView)
	manifest   func(deployment) // begins to read one
}

// find returns the host of a Host header's value with what it answers. The
// error is errNoRoute, errBusy, or says why the bucket could not be asked.
func (r *resolver) find(ctx context.Context, raw string) (*host, *hostView, Result, error) {
	name, err := site.NormalHost(raw)
	if err != nil {
		r.metrics.lookedUp(ResultNegative, errNoRoute)
		return nil, nil, ResultNegative, errNoRoute
	}
	if h, ok := r.hosts.get(name); ok {
		h.use(r.minute.Load())
		return h, h.view.Load(), ResultMemory, nil
	}
	h, from, err := r.lookUp(ctx, name)
	r.metrics.lookedUp(from, err)
	if err != nil {
		return nil, nil, from, err
	}
	h.use(r.minute.Load())
	return h, h.view.Load(), from, nil
}

func (r *resolver) lookUp(ctx context.Context, name string) (*host, Result, error) {
	if label, below := strings.CutSuffix(name, r.base); below && strings.Contains(label, ".") {
		return nil, ResultNegative, errNoRoute // hosts below the base domain have one label more
	}
	if name == r.base[1:] {
		return nil, ResultNegative, errNoRoute
	}
	select {
	case <-r.ready:
	case <-ctx.Done():
		return nil, ResultError, context.Cause(ctx)
	case <-r.ctx.Done():
		return nil, ResultError, errClosed
	}
	epoch, known := r.absent.get(name)
	down := r.origin.down.Load()
	if known && !down && epoch == r.epoch.Load() {
		return nil, ResultNegative, errNoRoute
	}
	likely := r.likely(name)
	if !likely && !r.budget.AllowN(r.now(), 1) {
		if known && !down {
			return nil, ResultNegative, errNoRoute
		}
		return nil, ResultError, errBusy
	}
	name = strings.Clone(name) // not to hold a whole request in memory
	l, err := r.flights.do(ctx, name, func() (loaded[*host], error) { return r.load(name, likely) })
	if errors.Is(err, errNoRoute) {
		return nil, ResultNegative, err
	}
	if err != nil {
		return nil, ResultError, err
	}
	return l.value, l.from, nil
}

// likely reports whether a host that is not held has a route all the same. Such
// hosts are outside the budget, so that no flood keeps a new site away.
func (r *resolver) likely(name string) bool {
	_, named := r.named.get(name)
	return named || r.state.has(site.RouteKey(name))
}

// load reads a host's route and its project's record; the route of a host that
// is not likely to have one by one read at most.
func (r *resolver) load(name string, likely bool) (loaded[*host], error) {
	r.table.Lock()
	if h, ok := r.hosts.get(name); ok {
		r.table.Unlock()
		return loaded[*host]{h, ResultMemory}, nil
	}
	// From here on the change log finds the host and raises its floor.
	h := newHost(name)
	h.route.once = !likely
	r.loading[name] = h
	epoch := r.epoch.Load()
	r.table.Unlock()

	from, err := r.fill(h)

	r.table.Lock()
	defer r.table.Unlock()
	delete(r.loading, name)
	h.route.once = false
	switch {
	case err == nil:
		r.absent.remove(name)
		r.hosts.add(name, h, 1)
		if h.route.stale.Load() || epoch != r.epoch.Load() {
			r.refresh.soon(h) // named while it was read, or kept from before
		}
	case errors.Is(err, errNoRoute) && h.route.floor.Load() == 0:
		r.absent.add(name, epoch, 1)
	}
	return loaded[*host]{h, from}, err
}

// fill gives a host its first view.
func (r *resolver) fill(h *host) (Result, error) {
	route, from, err := r.routeOf(h)
	if err != nil {
		return from, err
	}
	if route.Deployment != "" {
		// The manifest is read while the record is: a first visitor waits for three
		// reads in a row, not four.
		r.manifest(newDeployment(route.Project, route.Deployment))
	}
	p, err := r.projectOf(route)
	if err != nil {
		return ResultError, fmt.Errorf("look up %s: %w", h.name, err)
	}
	h.turn(newHostView(route, p))
	return from, nil
}

// routeOf reads a host's route for the first time. Where the bucket is known to
// be away, nobody waits for it if the state directory has the route.
func (r *resolver) routeOf(h *host) (*site.Route, Result, error) {
	if route := r.restoredWhileDown(h); route != nil {
		return route, ResultDisk, nil
	}
	route, err := h.route.readPatiently(r.ctx, r.origin)
	if err == nil {
		r.keep(h.route.key, route)
		return route, ResultOrigin, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		r.state.save(h.route.key, nil)
		return nil, ResultNegative, errNoRoute
	}
	if route = restore(&h.route, r.state); route != nil {
		r.refresh.later(h)
		return route, ResultDisk, nil
	}
	return nil, ResultError, fmt.Errorf("look up %s: %w", h.name, err)
}

func (r *resolver) restoredWhileDown(h *host) *site.Route {
	if !r.origin.down.Load() {
		return nil
	}
	route := restore(&h.route, r.state)
	if route != nil {
		r.refresh.later(h)
	}
	return route
}

// projectOf returns the record of a route's project, read at least once.
func (r *resolver) projectOf(route *site.Route) (*project, error) {
	if route.Gone {
		return nil, nil
	}
	r.table.Lock()
	p := r.projects[route.Project].Value()
	if p == nil {
		p = newProject(route.Project)
		r.projects[route.Project] = weak.Make(p)
	}
	r.table.Unlock()
	if p.record.value.Load() != nil {
		if p.record.behind() && !r.origin.down.Load() {
			// It may say who sees the route. Where it can't be read the old one counts.
			_ = p.refresh(r.ctx, r)
		}
		return p, nil
	}
	if r.origin.down.Load() && restore(&p.record, r.state) != nil {
		r.refresh.later(p)
		return p, nil
	}
	record, err := p.record.readPatiently(r.ctx, r.origin)
	if err == nil {
		r.keep(p.record.key, record)
		return p, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && restore(&p.record, r.state) != nil {
		r.refresh.later(p)
		return p, nil
	}
	// A route without its project's record is a fault, not an absence.
	return nil, fmt.Errorf("%w: %w", errProject, err)
}

// keep writes a record to the state directory.
func (r *resolver) keep(key string, record any) {
	if b, err := json.Marshal(record); err == nil {
		r.state.save(key, b)
	}
}

// keys yields the bucket keys of what the hosts that are held answer with.
func (r *resolver) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range r.hosts.values() {
			v := h.view.Load()
			all := []string{h.route.key}
			if v.project != nil {
				all = append(all, v.project.record.key)
			}
			if d := v.deployment; d.id != "" {
				all = append(all, site.ManifestKey(d.project, d.id))
			}
			for _, key := range all {
				if !yield(key) {
					return
				}
			}
		}
	}
}

// restore fills a record from the state directory; nil where it is not there.
func restore[T record](h *held[T], s *state) *T {
	b, err := s.load(h.key)
	if err != nil {
		return nil
	}
	v := new(T)
	if json.Unmarshal(b, v) != nil {
		return nil
	}
	return h.restore(v)
}
