package logs

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// clickHouseMetrics are what is measured of ClickHouse.
type clickHouseMetrics struct {
	batches  *prometheus.CounterVec
	lines    prometheus.Histogram
	duration prometheus.Histogram
	reads    *prometheus.HistogramVec
}

func newClickHouseMetrics() *clickHouseMetrics {
	const prefix = "mini_vercel_controlplane_log_"
	seconds := []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15}
	return &clickHouseMetrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "batches_total", Help: "Batches of lines for ClickHouse, by result: stored or failed.",
		}, []string{"result"}),
		lines: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + "batch_lines", Help: "Lines of one batch that was stored.", Buckets: []float64{1, 10, 100, 1000, 5000, 10_000, 25_000, 50_000, 100_000},
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: prefix + "batch_duration_seconds", Help: "Time until a batch was stored, retries included.", Buckets: seconds,
		}),
		reads: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "read_duration_seconds", Help: "Time of one read of a log in ClickHouse, by operation (page, search, extent) and result.", Buckets: seconds,
		}, []string{"operation", "result"}),
	}
}

func (m *clickHouseMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.batches, m.lines, m.duration, m.reads}
}

func (m *clickHouseMetrics) inserted(lines int, took time.Duration, err error) {
	if err != nil {
		m.batches.WithLabelValues("failed").Inc()
		return
	}
	m.batches.WithLabelValues("stored").Inc()
	m.lines.Observe(float64(lines))
	m.duration.Observe(took.Seconds())
}

func (m *clickHouseMetrics) read(operation string, took time.Duration, err error) {
	result := "answered"
	if err != nil {
		result = "failed"
	}
	m.reads.WithLabelValues(operation, result).Observe(took.Seconds())
}
