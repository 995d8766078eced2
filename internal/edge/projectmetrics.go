package edge

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// otherProjects is the label of all projects beyond the limit. No id of a project
// looks like it.
const otherProjects = "_other"

// projectMetrics count the requests of single projects where an operator wants
// that: the first projects that are asked for, up to a limit, have series of
// their own for as long as the process lives.
type projectMetrics struct {
	limit    atomic.Int64 // 0: nothing is counted
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec

	mu    sync.Mutex
	known map[string]*projectCounters
	other *projectCounters
}

// projectCounters are one project's, or those of all others.
type projectCounters struct {
	requests [classCount]prometheus.Counter
	bytes    prometheus.Counter
	beyond   int64 // the limit beyond which these are used; 0: one project's own
}

func newProjectMetrics(prefix string) *projectMetrics {
	return &projectMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "project_requests_total", Help: "Requests by project and class of status, where projects are counted; _other is all projects beyond the limit.",
		}, []string{"project", "class"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "project_body_bytes_total", Help: "Bytes of bodies that were sent, by project, where projects are counted; _other is all projects beyond the limit.",
		}, []string{"project"}),
		known: map[string]*projectCounters{},
	}
}

// of returns where to count a request for what a host shows; nil: nowhere.
func (m *projectMetrics) of(v *hostView) *projectCounters {
	limit := m.limit.Load()
	if limit <= 0 || v == nil || v.project == nil {
		return nil
	}
	if c := v.project.counters.Load(); c != nil && (c.beyond == 0 || c.beyond == limit) {
		return c
	}
	c := m.take(v.project.id, limit)
	v.project.counters.Store(c)
	return c
}

func (m *projectMetrics) take(id string, limit int64) *projectCounters {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.known[id]; ok {
		return c
	}
	if int64(len(m.known)) < limit {
		c := m.counters(id)
		m.known[id] = c
		return c
	}
	if m.other == nil || m.other.beyond != limit {
		m.other = m.counters(otherProjects)
		m.other.beyond = limit
	}
	return m.other
}

func (m *projectMetrics) counters(label string) *projectCounters {
	c := &projectCounters{bytes: m.bytes.WithLabelValues(label)}
	for class := range statusClass(classCount) {
		c.requests[class] = m.requests.WithLabelValues(label, class.String())
	}
	return c
}
