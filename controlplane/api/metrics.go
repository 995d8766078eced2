package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the API's counters and histograms, by operationId.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	limited  *prometheus.CounterVec
	streams  prometheus.Gauge
}

// NewMetrics makes metrics that no registry knows yet.
func NewMetrics() *Metrics {
	const prefix = "mini_vercel_api_"
	return &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "requests_total", Help: "Requests to the API, by operation and status.",
		}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: prefix + "request_duration_seconds", Help: "Time that the API took to answer, by operation; streams are left out.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2, 10, 30},
		}, []string{"operation"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "rate_limited_total", Help: "Requests that were refused because they were too many, by limit.",
		}, []string{"rate"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: prefix + "streams", Help: "Streams of logs and changes that are open.",
		}),
	}
}

// Collectors returns what to register with a Prometheus registry.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.duration, m.limited, m.streams}
}

// answered notes an answer. What belongs to no operation, such as an unknown
// path, counts as "none": paths are not labels, there is no end of them.
func (m *Metrics) answered(rec *recorder, took time.Duration) {
	operation := rec.operation
	if operation == "" {
		operation = "none"
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(rec.status)).Inc()
	if rec.operation != "" && !rec.stream {
		m.duration.WithLabelValues(operation).Observe(took.Seconds())
	}
}
