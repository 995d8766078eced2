package controlplane

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
)

// metrics are what the control plane measures of its own work.
type metrics struct {
	ended    *prometheus.CounterVec
	phases   *prometheus.HistogramVec
	live     prometheus.Histogram
	waited   prometheus.Histogram
	started  prometheus.Histogram
	lost     prometheus.Counter
	written  prometheus.Counter
	failures *prometheus.CounterVec

	domainChecks      *prometheus.CounterVec
	certificateChecks *prometheus.CounterVec
	lookups           *prometheus.HistogramVec

	expired      prometheus.Counter
	freedObjects *prometheus.CounterVec
	freedBytes   *prometheus.CounterVec

	lines prometheus.Counter
	cut   prometheus.Counter
	edges *prometheus.CounterVec

	leasesTaken *prometheus.CounterVec
	leasesLost  *prometheus.CounterVec
	takenOver   *prometheus.CounterVec

	collected []prometheus.Collector
}

const metricsPrefix = "mini_vercel_controlplane_"

func newMetrics(s *Service) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricsPrefix + name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "deployments_ended_total", Help: "Deployments that have ended, by kind and status.",
		}, []string{"kind", "status"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricsPrefix + "phase_duration_seconds", Help: "Time of one phase of a deployment.",
			Buckets: []float64{.1, .5, 1, 2, 5, 10, 30, 60, 180, 600, 1800},
		}, []string{"phase"}),
		live:    histogram("publish_duration_seconds", "Time from READY until the routes stood in the bucket.", .005, .01, .025, .05, .1, .2, .5, 1, 2, 5, 30),
		waited:  histogram("queue_duration_seconds", "Time that a deployment waited for its first builder.", .05, .1, .5, 1, 5, 15, 60, 300, 1800),
		started: histogram("builder_start_duration_seconds", "Time from the start of a builder until it claimed its attempt.", .05, .1, .5, 1, 5, 10, 20, 30, 45, 60, 90, 120, 300, 900),
		lost:    counter("attempts_lost_total", "Attempts that the platform failed: drains, kills, lost machines, builders that did not start."),
		written: counter("records_published_total", "Routes and project records written to the bucket."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "work_failures_total", Help: "Rounds of work in the background that failed, by work.",
		}, []string{"work"}),
		domainChecks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "domain_checks_total", Help: "Looks at the DNS records of domains, by result: good, gone or unknown.",
		}, []string{"result"}),
		certificateChecks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "certificate_checks_total", Help: "Looks at the certificates of domains, by state.",
		}, []string{"state"}),
		lookups: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricsPrefix + "dns_lookup_duration_seconds", Help: "Time of one question to the DNS resolver, by result.",
			Buckets: []float64{.001, .005, .02, .05, .1, .25, .5, 1, 2},
		}, []string{"result"}),
		expired: counter("deployments_expired_total", "Deployments that were removed because they had outlived their retention."),
		freedObjects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "freed_objects_total", Help: "Objects that were removed from the bucket because nothing needed them, by what they were.",
		}, []string{"what"}),
		freedBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "freed_bytes_total", Help: "Bytes that were removed from the bucket because nothing needed them, by what they were.",
		}, []string{"what"}),
		lines: counter("log_lines_total", "Lines that were taken into logs."),
		cut:   counter("logs_cut_total", "Logs that reached their limit."),
		edges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "edge_questions_total", Help: "Times that an edge was asked what it has cached, by result: answered or failed.",
		}, []string{"result"}),
		leasesTaken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "leases_taken_total", Help: "Leases that this control plane came to hold: it acts for all of them since.",
		}, []string{"lease"}),
		leasesLost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "leases_lost_total", Help: "Leases that this control plane could not renew in time.",
		}, []string{"lease"}),
		takenOver: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "builds_taken_over_total", Help: "Builds of another control plane that this one took over, by what became of them: kept or queued.",
		}, []string{"result"}),
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, f)
	}
	m.collected = []prometheus.Collector{
		m.ended, m.phases, m.live, m.waited, m.started, m.lost, m.written, m.failures, m.lines, m.cut, m.domainChecks, m.certificateChecks, m.lookups, m.edges,
		m.expired, m.freedObjects, m.freedBytes,
		m.leasesTaken, m.leasesLost, m.takenOver,
		gauge("builders", "Builders that this control plane looks after.", func() float64 { return float64(len(s.builders.all())) }),
		newBacklogMetrics(s),
	}
	return m
}

// Collectors returns what to register with a Prometheus registry.
func (s *Service) Collectors() []prometheus.Collector {
	return slices.Concat(s.metrics.collected, s.stream.Collectors())
}

func (m *metrics) observeLookup(o dnslookup.Outcome, took time.Duration) {
	m.lookups.WithLabelValues(string(o)).Observe(took.Seconds())
}

// observe measures a deployment whose row was just saved. Only the save that
// ended it, began it, or noted that it is live has that very time.
func (m *metrics) observe(d *DeploymentRow) {
	is := func(t *time.Time) bool { return t != nil && t.Equal(d.UpdatedAt) }
	switch {
	case d.Status.Ended() && is(d.EndedAt):
		m.ended.WithLabelValues(string(d.Kind), string(d.Status)).Inc()
		for _, p := range d.Phases {
			if p.EndedAt != nil {
				m.phases.WithLabelValues(string(p.Phase)).Observe(p.EndedAt.Sub(p.StartedAt).Seconds())
			}
		}
	case d.Status == StatusReady && is(d.LiveAt):
		m.live.Observe(max(d.LiveAt.Sub(*d.EndedAt).Seconds(), 0)) // their clocks may differ
	case d.Status == StatusInProgress && is(d.StartedAt) && d.Attempt == 1 && d.Kind != KindFiles:
		m.waited.Observe(d.StartedAt.Sub(d.CreatedAt).Seconds())
	}
}

// explained counts that an edge was asked.
func (m *metrics) explained(err error) {
	result := "answered"
	if err != nil {
		result = "failed"
	}
	m.edges.WithLabelValues(result).Inc()
}
