package store

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the store measures of its work.
type metrics struct {
	retries   *prometheus.CounterVec
	locksLost prometheus.Counter

	listensLost prometheus.Counter

	collected []prometheus.Collector
}

const metricsPrefix = "mini_vercel_controlplane_database_"

func newMetrics(stats func() sql.DBStats) *metrics {
	m := &metrics{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "retries_total",
			Help: "Transactions that were run again, by reason: serialization, deadlock, unique (a key that another one was faster with), connection (one that broke).",
		}, []string{"reason"}),
		locksLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricsPrefix + "locks_lost_total", Help: "Locks of projects that were lost with their connection.",
		}),
		listensLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricsPrefix + "listens_lost_total", Help: "Times that the connection broke, or could not be made, by which other control planes tell what has changed.",
		}),
	}
	for _, reason := range []string{retrySerialization, retryDeadlock, retryUnique, retryConnection} {
		m.retries.WithLabelValues(reason)
	}
	gauge := func(name, help string, f func(sql.DBStats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, func() float64 { return f(stats()) })
	}
	m.collected = []prometheus.Collector{
		m.retries, m.locksLost, m.listensLost,
		gauge("connections", "Connections for transactions that are open.", func(s sql.DBStats) float64 { return float64(s.OpenConnections) }),
		gauge("connections_used", "Connections for transactions that one is using.", func(s sql.DBStats) float64 { return float64(s.InUse) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: metricsPrefix + "connection_wait_seconds_total", Help: "Time that transactions waited for a connection.",
		}, func() float64 { return stats().WaitDuration.Seconds() }),
	}
	return m
}
