package edge

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// statusClass is the first digit of a status, from 2 on: the edge's own answers
// have no other.
type statusClass uint8

const classCount = 4

func classOf(status int) statusClass {
	return statusClass(min(max(status/100, 2), 5) - 2)
}

func (c statusClass) String() string { return [...]string{"2xx", "3xx", "4xx", "5xx"}[c] }

// protocol is the version of HTTP that a request came by.
type protocol uint8

const protocolCount = 3

func protocolOf(major int) protocol { return protocol(min(max(major, 1), protocolCount) - 1) }

func (p protocol) String() string { return [...]string{"h1", "h2", "h3"}[p] }

// requestMetrics are what every request counts.
type requestMetrics struct {
	requests  [classCount][resultCount][protocolCount]prometheus.Counter
	firstByte *histograms
	duration  *histograms
	size      *histograms
	sent      prometheus.Counter
	projects  *projectMetrics
}

func newRequestMetrics(prefix string) (m requestMetrics, all []prometheus.Collector) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: prefix + "requests_total", Help: "Requests, by class of status, where the answer came from, and version of HTTP.",
	}, []string{"class", "result", "protocol"})
	for c := range statusClass(classCount) {
		for r := range resultCount {
			for p := range protocol(protocolCount) {
				m.requests[c][r][p] = requests.WithLabelValues(c.String(), r.String(), p.String())
			}
		}
	}
	const us, ms = int64(time.Microsecond), int64(time.Millisecond)
	m.firstByte = newHistograms(prefix+"time_to_first_byte_seconds", "Time from a request's head to its answer's: until the first bytes were there to be sent.", 1e9,
		10*us, 25*us, 100*us, 500*us, 1*ms, 5*ms, 25*ms, 100*ms, 250*ms, 500*ms, 1000*ms, 2500*ms, 10_000*ms)
	m.duration = newHistograms(prefix+"request_duration_seconds", "Time from a request's head until the last byte was handed to its connection, which a slow client makes long.", 1e9,
		25*us, 100*us, 500*us, 1*ms, 5*ms, 25*ms, 100*ms, 500*ms, 1000*ms, 2500*ms, 10_000*ms, 60_000*ms)
	m.size = newHistograms(prefix+"response_size_bytes", "Bytes of an answer's body that were sent.", 1,
		1<<10, 4<<10, 16<<10, 64<<10, 256<<10, 1<<20, 4<<20, 16<<20, 64<<20, 256<<20)
	m.sent = prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "body_bytes_total", Help: "Bytes of bodies that were sent, those of answers that are not complete yet included."})
	m.projects = newProjectMetrics(prefix)
	return m, []prometheus.Collector{requests, m.firstByte, m.duration, m.size, m.sent, m.projects.requests, m.projects.bytes}
}

// processStart is what times within the process are counted from: one number is
// cheaper to carry than a time.
var processStart = time.Now()

func sinceStart() time.Duration { return time.Since(processStart) }

// answered counts an answer whose first bytes are there.
func (m *requestMetrics) answered(q *Request, a *Answer) {
	m.requests[classOf(a.Status)][a.Result][protocolOf(q.ProtoMajor)].Inc()
	m.firstByte.observe(a.Result, int64(sinceStart()-a.began))
	if c := m.projects.of(a.view); c != nil {
		c.requests[classOf(a.Status)].Inc()
	}
}

// written counts an answer that was sent, or as much of it as could be.
func (m *requestMetrics) written(a *Answer) {
	m.duration.observe(a.Result, int64(sinceStart()-a.began))
	m.size.observe(a.Result, a.sent)
	if c := m.projects.of(a.view); c != nil {
		c.bytes.Add(float64(a.sent))
	}
}
