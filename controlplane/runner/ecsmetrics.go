package runner

import "github.com/prometheus/client_golang/prometheus"

const ecsMetricsPrefix = "mini_vercel_controlplane_ecs_"

// ecsMetrics are what is measured of ECS.
type ecsMetrics struct {
	calls *prometheus.CounterVec
	ended *prometheus.CounterVec
	tasks prometheus.Collector
}

func newECSMetrics() *ecsMetrics {
	return &ecsMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: ecsMetricsPrefix + "calls_total", Help: "Calls of the ECS API by operation and result: ok, throttled, refused or failed.",
		}, []string{"operation", "result"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: ecsMetricsPrefix + "tasks_ended_total", Help: "Tasks that have ended, by reason.",
		}, []string{"reason"}),
	}
}

func (m *ecsMetrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.ended, m.tasks}
}
