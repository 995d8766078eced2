package publish

import (
	"sync"
	"time"
)

// reportEvery is how often a step tells of its progress.
const reportEvery = 100 * time.Millisecond

// meter counts what many goroutines do and reports it, now and then.
type meter struct {
	report func(Progress)

	mu   sync.Mutex
	now  Progress
	last time.Time
}

func newMeter(report func(Progress)) *meter {
	if report == nil {
		report = func(Progress) {}
	}
	return &meter{report: report}
}

func (m *meter) begin(step Step, items int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = Progress{Step: step, ItemsTotal: items, BytesTotal: bytes}
	m.last = time.Now()
	m.report(m.now)
}

func (m *meter) add(items int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Items += items
	m.now.Bytes += bytes
	if t := time.Now(); t.Sub(m.last) >= reportEvery {
		m.last = t
		m.report(m.now)
	}
}

// end reports that all is done.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Items, m.now.Bytes = m.now.ItemsTotal, m.now.BytesTotal
	m.report(m.now)
}
