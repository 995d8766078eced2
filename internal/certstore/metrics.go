package certstore

import (
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Result says how an operation of the storage ended.
type Result uint8

// The results.
const (
	ResultOK      Result = iota // in the bucket, or from it
	ResultMissing               // the bucket says that there is none
	ResultCopy                  // from this edge's copy, because the bucket did not answer
	ResultKept                  // on this edge's disk until the bucket answers
	ResultBusy                  // another edge holds the lock
	ResultError
	resultCount
)

func (r Result) String() string {
	return [...]string{"ok", "missing", "copy", "kept", "busy", "error"}[r]
}

func resultOf(err error, otherwise Result) Result {
	if err != nil {
		return ResultError
	}
	return otherwise
}

type operation uint8

const (
	opLoad operation = iota
	opStore
	opDelete
	opStat
	opList
	opLock
	opUnlock
	opCount
)

func (o operation) String() string {
	return [...]string{"load", "store", "delete", "stat", "list", "lock", "unlock"}[o]
}

// Metrics are a storage's counters.
type Metrics struct {
	operations [opCount][resultCount]prometheus.Counter
	lockWait   prometheus.Histogram
	takenOver  prometheus.Counter
	lost       prometheus.Counter
	outdated   prometheus.Counter
	collectors []prometheus.Collector
}

func newMetrics(s *Storage) *Metrics {
	const prefix = "mini_vercel_edge_certificate_"
	m := &Metrics{}
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: prefix + "storage_operations_total", Help: "Operations of the certificate storage, by how they ended.",
	}, []string{"operation", "result"})
	for o := range opCount {
		for r := range resultCount {
			m.operations[o][r] = operations.WithLabelValues(o.String(), r.String())
		}
	}
	m.lockWait = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: prefix + "lock_wait_seconds", Help: "Time until a lock was had.", Buckets: []float64{.01, .1, 1, 5, 30, 120},
	})
	m.takenOver = prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "locks_taken_over_total", Help: "Locks that were taken over because their holder was gone."})
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "locks_lost_total", Help: "Locks of this edge that another took over, or that it could not refresh for too long."})
	m.outdated = prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "previous_secret_reads_total", Help: "Values that were read and still encrypted with the previous secret."})
	m.collectors = []prometheus.Collector{operations, m.lockWait, m.takenOver, m.lost, m.outdated,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "storage_kept", Help: "Values on this edge's disk that the bucket has yet to take."}, func() float64 {
			return float64(len(s.keptBelow("")))
		}),
		NewDaysLeft(s.certificates.ends),
	}
	return m
}

func (m *Metrics) count(o operation, r Result) { m.operations[o][r].Inc() }

// Collectors returns what to register with a Prometheus registry.
func (m *Metrics) Collectors() []prometheus.Collector { return m.collectors }

// daysLeftCollector counts certificates when it is asked.
type daysLeftCollector struct {
	ends func(now time.Time) iter.Seq[time.Time]
	desc *prometheus.Desc
}

// NewDaysLeft returns the metric of how many certificates have how many days left,
// in a few classes however many there are. ends yields when they end.
func NewDaysLeft(ends func(now time.Time) iter.Seq[time.Time]) prometheus.Collector {
	return &daysLeftCollector{ends, prometheus.NewDesc("mini_vercel_edge_certificates", "Certificates that this edge has stored or seen, by the most days that they have left.", []string{"days_left"}, nil)}
}

func (c *daysLeftCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *daysLeftCollector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for i, n := range countDaysLeft(c.ends(now), now) {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), daysLeft[i].label)
	}
}
