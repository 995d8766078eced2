package edge

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	// switchWait is how long a host waits at most for what its new deployment
	// needs before it shows it.
	switchWait = 300 * time.Millisecond
	// prefetchTime is how long the rest is fetched after that.
	prefetchTime  = 30 * time.Second
	prefetchHosts = 16       // at once; others switch without
	prefetchReads = 8        // at once, for one host
	prefetchPages = 64       // for one host
	prefetchBytes = 16 << 20 // for one host
	// recentMinutes is for how long after a request a host counts as in use.
	recentMinutes = 10
)

// turn makes a route what requests see. A host in use that only gets another
// deployment waits a moment, until the edge has of that one what it served of
// the one before, so that nobody is the first visitor after a deployment.
// Whatever takes something away is shown at once.
func (r *resolver) turn(h *host, route *site.Route, p *project) {
	from, to := h.view.Load(), newHostView(route, p)
	show := func() {
		if h.turn(to) && h.route.floor.Load() == route.Generation { // the change log named it
			r.metrics.applied(r.now().Sub(route.PublishedAt))
		}
		h.next.CompareAndSwap(route, nil)
	}
	if from == nil || !replaces(from, to) || r.minute.Load()-h.used.Load() >= recentMinutes {
		show()
		return
	}
	select {
	case r.prefetches <- struct{}{}:
	default:
		show()
		return
	}
	h.next.Store(route)
	soon := time.AfterFunc(switchWait, show)
	began := r.flights.tasks.start(func() {
		ctx, cancel := context.WithTimeout(r.ctx, prefetchTime)
		defer cancel()
		r.prefetch(ctx, from, to)
		if soon.Stop() {
			show()
		}
		<-r.prefetches
	})
	if !began { // the edge is closed
		soon.Stop()
		<-r.prefetches
	}
}

// replaces reports whether the second view differs from the first by its
// deployment and what follows from that alone.
func replaces(from, to *hostView) bool {
	a, b := from.route, to.route
	return !a.Gone && !b.Gone && a.RedirectTo == "" && b.RedirectTo == "" &&
		a.Deployment != "" && b.Deployment != "" && a.Deployment != b.Deployment &&
		a.Project == b.Project && a.Environment == b.Environment &&
		to.project.record.value.Load().State == site.ProjectActive
}

// prefetch fetches a deployment's manifest, prepares the pages that were asked
// for under the deployment before, the most used first, and fetches their first
// chunks in the encodings that were sent. What fails, whoever asks will see.
func (e *Edge) prefetch(ctx context.Context, from, to *hostView) {
	m, _, err := e.manifests.get(ctx, to.deployment)
	if err != nil {
		return
	}
	f := &prefetch{edge: e, to: to, manifest: m, budget: prefetchBytes}
	f.reads.SetLimit(prefetchReads)
	for _, key := range e.pages.recent(prefetchPages, func(k pageKey) bool { return k.deployment == from.deployment.key }) {
		if ctx.Err() != nil {
			break
		}
		old, ok := e.pages.peek(key)
		if ok && old.hosts != nil {
			old = old.hosts.get(from.route.Host)
		}
		if old != nil {
			f.page(ctx, key.path, old)
		}
	}
	if before, ok := e.manifests.cache.peek(from.deployment.key); ok {
		f.elsewhere(ctx, from, before)
	}
	_ = f.reads.Wait() // none returns an error
}

// prefetch is what is done for one host.
type prefetch struct {
	edge     *Edge
	to       *hostView
	manifest *site.Manifest
	budget   int64 // bytes that may still be fetched
	reads    errgroup.Group
}

// page prepares what stands in the new deployment for a page of the old one.
func (f *prefetch) page(ctx context.Context, at string, old *page) {
	d := f.decide(at)
	switch {
	case d.Outcome == site.Served && !d.Rewrite:
		f.fetch(ctx, f.edge.pageOf(f.to, f.to.deployment.key, &d), old)
	case old.immutable && (d.Outcome == site.Shell || d.Outcome == site.Missing):
		for file := range f.successors(d.Path) {
			if d := f.decide(site.CanonicalPath(file.Path())); d.Outcome == site.Served && !d.Rewrite {
				f.fetch(ctx, f.edge.pageOf(f.to, f.to.deployment.key, &d), old)
			}
		}
	}
}

func (f *prefetch) decide(path string) site.Decision {
	return f.manifest.Decide(&site.Request{Method: http.MethodGet, Host: f.to.route.Host, Path: path})
}

// elsewhere fetches the contents of what answered at other paths than its own,
// such as the shell of an application. Those pages are prepared when they are
// asked for.
func (f *prefetch) elsewhere(ctx context.Context, from *hostView, before *site.Manifest) {
	keys := f.edge.elsewhere.recent(prefetchPages, func(k elsewhereKey) bool {
		return k.by == from.deployment.key && k.of == from.deployment.key
	})
	for _, key := range keys {
		old, held := f.edge.elsewhere.peek(key)
		if file, ok := f.manifest.Lookup(before.File(key.file).Path()); held && ok && ctx.Err() == nil {
			f.fetch(ctx, newPage(f.to.project, file), old)
		}
	}
}

// maxSuccessors is how many files may stand for one whose name has a hash.
const maxSuccessors = 4

// successors yields the immutable files whose names differ from a path's after
// the last hyphen or dot only: where a name holds a hash of the contents, that
// is the same file after a change.
func (f *prefetch) successors(path string) func(yield func(site.File) bool) {
	dot := strings.LastIndexByte(path, '.')
	if dot < strings.LastIndexByte(path, '/') {
		dot = len(path)
	}
	stem := path[:max(strings.LastIndexAny(path[:dot], "-./"), 0)+1]
	return func(yield func(site.File) bool) {
		n := 0
		for i, _ := f.manifest.Search(stem); i < f.manifest.Len() && n < maxSuccessors; i++ {
			file := f.manifest.File(i)
			if !strings.HasPrefix(file.Path(), stem) {
				return
			}
			if file.Immutable() && strings.HasSuffix(file.Path(), path[dot:]) && !strings.Contains(file.Path()[len(stem):], "/") {
				n++
				if !yield(file) {
					return
				}
			}
		}
	}
}

// fetch fetches the first chunks of a page in the encodings that were sent of the
// old one.
func (f *prefetch) fetch(ctx context.Context, g, old *page) {
	e := f.edge
	for encoding, v := range old.variants {
		if v == nil {
			continue
		}
		if _, hot := e.chunks.held(v).peek(v.chunk); !hot {
			continue
		}
		next := g.variants[encoding]
		if next == nil {
			next = g.variants[site.Identity]
		}
		where := next.span(g, 0)
		if _, known := e.chunks.held(next).peek(next.chunk); known || where.length == 0 || where.length > f.budget {
			continue
		}
		f.budget -= where.length
		f.reads.Go(func() error {
			_, _ = e.chunks.fetch(ctx, g, next, 0, 0)
			return nil
		})
	}
}

// recent returns up to n keys that match: those that were used most lately
// first, and of those the newest.
func (c *cache[K, V]) recent(n int, match func(K) bool) []K {
	shards := make([][]K, len(c.shards))
	longest := 0
	for i := range c.shards {
		shards[i] = c.shards[i].recent(match)
		longest = max(longest, len(shards[i]))
	}
	// Each shard knows its own order only.
	var all []K
	for rank := range longest {
		for _, keys := range shards {
			if rank < len(keys) && len(all) < n {
				all = append(all, keys[rank])
			}
		}
	}
	return all
}

func (s *cacheShard[K, V]) recent(match func(K) bool) []K {
	s.mu.Lock()
	defer s.mu.Unlock()
	var byUses [maxUses + 1][]K
	for _, e := range s.all.Values() { // the oldest first
		if match(e.key) {
			byUses[e.uses] = append(byUses[e.uses], e.key)
		}
	}
	var keys []K
	for _, some := range slices.Backward(byUses[:]) {
		slices.Reverse(some)
		keys = append(keys, some...)
	}
	return keys
}
