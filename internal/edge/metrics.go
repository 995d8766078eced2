package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Result says where an answer came from.
type Result uint8

// The results. A request that needed several things counts as the one that was
// farthest away.
const (
	ResultMemory   Result = iota
	ResultDisk            // of the state directory
	ResultOrigin          // from the bucket
	ResultStale           // known, but the bucket can't be asked whether it is current
	ResultNegative        // the host has no route
	ResultError           // the bucket could not be read, or what it holds is wrong
	resultCount
)

// String returns the result as it stands in metrics and in Server-Timing.
func (r Result) String() string {
	return [...]string{"memory", "disk", "origin", "stale", "negative", "error"}[r]
}

// objectKind is what the edge reads from the bucket.
type objectKind uint8

const (
	kindHead objectKind = iota
	kindRoute
	kindProject
	kindManifest
	kindChunk
	kindCount
)

func (k objectKind) String() string {
	return [...]string{"head", "route", "project", "manifest", "chunk"}[k]
}

// accessOutcome is what became of a request that needs access to its host.
type accessOutcome uint8

const (
	accessAsked        accessOutcome = iota // without access: the page that asks was sent
	accessGranted                           // the right password
	accessWrong                             // a wrong one
	accessLimited                           // too many tries by one client
	accessBusy                              // too many passwords at once
	accessShared                            // a share link
	accessShareRefused                      // one that has expired, or was never good
	accessCount
)

func (o accessOutcome) String() string {
	return [...]string{"asked", "granted", "wrong", "limited", "busy", "shared", "share_refused"}[o]
}

// Metrics are an edge's counters and histograms. Every label is resolved when
// they are made: a request does no look-up.
type Metrics struct {
	requestMetrics
	lookups      [lookupCount]prometheus.Counter
	cut          prometheus.Counter
	hints        prometheus.Counter
	corrupt      prometheus.Counter
	access       [accessCount]prometheus.Counter
	changes      prometheus.Counter
	gaps         prometheus.Counter
	certificates [certOutcomes]prometheus.Counter
	publish      prometheus.Observer
	publishClock prometheus.Counter
	collectors   []prometheus.Collector

	originReads   [kindCount]prometheus.Observer
	originResults [kindCount][readResultCount]prometheus.Counter
	retries       [kindCount]prometheus.Counter
	hedgesSent    [kindCount]prometheus.Counter
	hedgesWon     [kindCount]prometheus.Counter
	cacheMetrics
}

// newMetrics makes the collectors; gauges ask the edge when they are scraped.
func newMetrics(e *Edge) *Metrics {
	const prefix = "mini_vercel_edge_"
	m := &Metrics{}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
		m.collectors = append(m.collectors, c)
		return c
	}
	m.requestMetrics, m.collectors = newRequestMetrics(prefix)
	m.lookups = newLookups(prefix, func(c prometheus.Collector) { m.collectors = append(m.collectors, c) })
	reads := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "origin_read_duration_seconds", Help: "Time of one read of the bucket, by what was read.",
		Buckets: []float64{.000_1, .001, .005, .025, .1, .5, 2, 10},
	}, []string{"object"})
	results := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "origin_reads_total", Help: "Reads of the bucket, by what was read and how that ended; retries and hedges are part of their read."}, []string{"object", "result"})
	retries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "origin_retries_total", Help: "Reads of the bucket that were tried again, by what was read."}, []string{"object"})
	hedges := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "origin_hedges_total", Help: "Second reads that were sent because the first took long, and those of them that were faster, by what was read."}, []string{"object", "outcome"})
	for k := range kindCount {
		m.originReads[k] = reads.WithLabelValues(k.String())
		for r := range readResultCount {
			m.originResults[k][r] = results.WithLabelValues(k.String(), r.String())
		}
		m.retries[k] = retries.WithLabelValues(k.String())
		m.hedgesSent[k] = hedges.WithLabelValues(k.String(), "sent")
		m.hedgesWon[k] = hedges.WithLabelValues(k.String(), "won")
	}
	access := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "access_total", Help: "Requests that asked for access to a protected host, by what became of them."}, []string{"outcome"})
	for o := range accessCount {
		m.access[o] = access.WithLabelValues(o.String())
	}
	certificates := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + "certificate_decisions_total", Help: "Decisions whether a server name may have a certificate, by outcome."}, []string{"outcome"})
	for o := range certOutcomes {
		m.certificates[o] = certificates.WithLabelValues(o.String())
	}
	m.collectors = append(m.collectors, newBuildInfo(prefix), reads, results, retries, hedges, access, certificates)
	m.cut = counter("cut_total", "Answers that were cut because a later chunk could not be had.")
	m.hints = counter("early_hints_total", "Pages whose preloads were named before them, in a 103 response.")
	m.corrupt = counter("corrupt_chunks_total", "Chunks from the bucket whose bytes were not those of their sha256.")
	m.changes = counter("changes_total", "Changes that the change log named.")
	m.gaps = counter("change_log_gaps_total", "Times when the change log had moved on too far, or back, and everything was revalidated.")
	publish := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: prefix + "publish_applied_seconds", Help: "Time from the publishing of a route, by the publisher's clock, until this edge answered by it.",
		Buckets: []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 7.5, 10},
	})
	m.publish, m.collectors = publish, append(m.collectors, publish)
	m.publishClock = counter("publish_applied_unknown_total", "Routes that were applied, but were published ahead of this machine's clock or more than five minutes ago: a clock is wrong, or this edge or the bucket was away.")
	m.cacheMetrics = newCacheMetrics(counter)
	if e != nil {
		m.collectors = append(m.collectors, e.gauges(prefix)...)
	}
	return m
}

const (
	clockTolerance = time.Second // what clocks differ by anyway
	longestPublish = 5 * time.Minute
)

// applied notes how long ago a route was published that requests see from now
// on. What no clock that is right can say is counted apart.
func (m *Metrics) applied(after time.Duration) {
	if after < -clockTolerance || after > longestPublish {
		m.publishClock.Inc()
		return
	}
	m.publish.Observe(max(after, 0).Seconds())
}

// Collectors returns what to register with a Prometheus registry.
func (m *Metrics) Collectors() []prometheus.Collector { return m.collectors }
