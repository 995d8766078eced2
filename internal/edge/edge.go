package edge

import (
	"context"
	"log/slog"
	"time"
	"weak"

	"golang.org/x/time/rate"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Edge answers requests from one bucket. It is made by [New] and ended by
// [Edge.Close]; in between, all its methods may be called by many goroutines.
type Edge struct {
	log       *slog.Logger
	config    Config
	metrics   *Metrics
	origin    *origin
	state     *state
	resolver  *resolver
	manifests *manifests
	pages     *cache[pageKey, *page]
	elsewhere *cache[elsewhereKey, *page]
	chunks    *chunks
	issuing   *issuing

	tries  *tryLimit
	checks *passwordChecks

	failures rate.Sometimes

	tasks  tasks
	cancel context.CancelFunc
}

// New starts an edge: it begins to follow the change log at once. It fails
// where the configuration is wrong or the state directory can't be made, never
// because the bucket is away.
func New(c Config) (*Edge, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	state, err := openState(c.StateDir, c.Store.Identity())
	if err != nil {
		return nil, err
	}
	state.maxBytes.Store(c.Sizes.StateBytes)
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{log: c.Log, config: c, state: state, cancel: cancel, failures: rate.Sometimes{First: 1, Interval: time.Second}}
	e.metrics = newMetrics(e)
	e.metrics.projects.limit.Store(int64(c.Sizes.ProjectSeries))
	e.tries, e.checks = newTryLimit(), newPasswordChecks()
	e.issuing = newIssuing(c.Now)
	e.origin = newOrigin(&c, e.metrics, &e.tasks)
	e.pages = newCache[pageKey, *page](c.Sizes.PageBytes, 1<<20, pageKey.shard)
	e.elsewhere = newCache[elsewhereKey, *page](elsewhereBytes(c.Sizes), 1<<20, elsewhereKey.shard)
	e.manifests = &manifests{
		cache:   newCache[deploymentKey, *site.Manifest](c.Sizes.ManifestBytes, c.Sizes.ManifestBytes+1, func(deploymentKey) uint64 { return 0 }),
		flights: newFlights[deploymentKey, loaded[*site.Manifest]](&e.tasks),
		origin:  e.origin, state: state, ctx: ctx, slots: make(chan struct{}, manifestReads),
	}
	e.manifests.cache.keepLast = true
	e.chunks = newChunks(c.Sizes.ChunkBytes)
	e.chunks.disk = openDisk(c.StateDir, c.Sizes.DiskBytes, c.Log, e.metrics, c.Now)
	e.chunks.flights = newFlights[chunkKey, loaded[[]byte]](&e.tasks)
	e.chunks.origin, e.chunks.metrics, e.chunks.ctx = e.origin, e.metrics, ctx
	e.resolver = &resolver{
		base: "." + c.BaseDomain, ctx: ctx, origin: e.origin, state: state, metrics: e.metrics, log: c.Log, now: c.Now,
		budget:   rate.NewLimiter(rate.Limit(c.Pace.UnknownPerSecond), 2*c.Pace.UnknownPerSecond),
		ready:    make(chan struct{}),
		hosts:    newCache[string, *host](int64(c.Sizes.Routes), 1024, hashString),
		absent:   newCache[string, int64](absentHosts(c.Sizes), 1024, hashString),
		named:    newCache[string, struct{}](10*site.MaxChanges, 1024, hashString),
		flights:  newFlights[string, loaded[*host]](&e.tasks),
		loading:  map[string]*host{},
		projects: map[string]weak.Pointer[project]{},

		prefetches: make(chan struct{}, prefetchHosts), prefetch: e.prefetch, manifest: e.manifests.ahead,
	}
	e.resolver.minute.Store(recentMinutes) // no host was used by then
	e.resolver.refresh = newRefresher(e.resolver, c.Pace.RevalidatePerSecond)
	follower := &changeLog{origin: e.origin, resolver: e.resolver, metrics: e.metrics, log: c.Log}
	e.tasks.start(func() { follower.follow(ctx, e.resolver.ready) })
	e.tasks.start(func() { e.resolver.refresh.run(ctx) })
	e.tasks.start(func() { e.chunks.disk.run(ctx) })
	e.tasks.start(func() {
		state.run(ctx, e.resolver.keys(), func(err error) {
			c.Log.Warn("known routes and manifests can't be kept; a restart while the bucket is away would miss them", slog.Any("error", err))
		})
	})
	return e, nil
}

// manifestReads is how many manifests are read and decoded at once.
const manifestReads = 4

// absentHosts is how many hosts without a route are remembered.
func absentHosts(s Sizes) int64 { return int64(max(s.Routes/10, 1024)) }

// elsewhereBytes is how much of pages is kept that answer at more paths than
// their own: a few for each deployment.
func elsewhereBytes(s Sizes) int64 { return s.PageBytes / 4 }

// Close ends what the edge does in the background and waits for it. Answers
// that are being written must have ended before.
func (e *Edge) Close() {
	e.cancel()
	e.tasks.wait()
}

// Adjust changes how much the edge may hold and how often it asks.
func (e *Edge) Adjust(s Sizes, p Pace) {
	s.complete()
	p.complete()
	e.origin.pace.Store(&p)
	e.state.maxBytes.Store(s.StateBytes)
	e.resolver.budget.SetLimit(rate.Limit(p.UnknownPerSecond))
	e.resolver.budget.SetBurst(2 * p.UnknownPerSecond)
	e.resolver.refresh.limit.SetLimit(rate.Limit(p.RevalidatePerSecond))
	e.pages.resize(s.PageBytes)
	e.elsewhere.resize(elsewhereBytes(s))
	e.manifests.cache.resize(s.ManifestBytes)
	e.chunks.resize(s.ChunkBytes)
	e.chunks.disk.resize(s.DiskBytes)
	e.resolver.hosts.resize(int64(s.Routes))
	e.resolver.absent.resize(absentHosts(s))
	e.metrics.projects.limit.Store(int64(s.ProjectSeries))
}

// Metrics returns the edge's collectors, for registries.
func (e *Edge) Metrics() *Metrics { return e.metrics }

// gauges are what is asked for when metrics are scraped.
func (e *Edge) gauges(prefix string) []prometheus.Collector {
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help, ConstLabels: labels}, f)
	}
	all := append(e.cacheCollectors(prefix), prometheus.NewCounterFunc(lookupOpts(prefix, lookupMemory), func() float64 {
		return float64(e.resolver.hosts.stats().hits) // so a request for a host that is held counts it once
	}))
	for kind := range kindCount {
		all = append(all, gauge("origin_breaker_state", "Whether the bucket is asked: 0 yes, 1 by one read that decides, 2 no, because it keeps failing. By what is read.",
			prometheus.Labels{"object": kind.String()}, func() float64 { return float64(e.origin.kinds[kind].breaker.now()) }))
	}
	return append(all, gauge("origin_down", "1 while the change log can't be read.", nil, func() float64 {
		if e.origin.down.Load() {
			return 1
		}
		return 0
	}))
}
