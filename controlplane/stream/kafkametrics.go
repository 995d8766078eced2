package stream

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a stream through Kafka measures.
type metrics struct {
	publishes     *prometheus.HistogramVec
	retries       prometheus.Counter
	dead          *prometheus.CounterVec
	rebalances    prometheus.Counter
	storeFailures prometheus.Counter
	collected     []prometheus.Collector
}

const metricsPrefix = "mini_vercel_controlplane_kafka_"

func newMetrics(k *Kafka) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, f)
	}
	m := &metrics{
		publishes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricsPrefix + "publish_duration_seconds", Help: "Time until builders' events were on all replicas, by result: published or failed.",
			Buckets: []float64{.001, .002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"result"}),
		retries: counter("write_retries_total", "Writes to Kafka that failed and were tried again."),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricsPrefix + "dead_letters_total", Help: "Messages that are no events, by result: buried in the topic for them, or left where they are.",
		}, []string{"result"}),
		rebalances:    counter("rebalances_total", "Times that partitions were given out anew."),
		storeFailures: counter("store_failures_total", "Batches from Kafka that the log store did not take, and that were tried again."),
	}
	for _, result := range []string{"published", "failed"} {
		m.publishes.WithLabelValues(result)
	}
	for _, result := range []string{"buried", "left"} {
		m.dead.WithLabelValues(result)
	}
	m.collected = []prometheus.Collector{
		m.publishes, m.retries, m.dead, m.rebalances, m.storeFailures,
		gauge("lag_messages", "Messages in this control plane's partitions that are not in the log store yet.", func() float64 { return float64(k.progress.lag()) }),
		gauge("lag_seconds", "Age of the oldest message that was read and is not in the log store yet.", func() float64 { return k.progress.age(time.Now()).Seconds() }),
	}
	return m
}

func (m *metrics) published(took time.Duration, err error) {
	result := "published"
	if err != nil {
		result = "failed"
	}
	m.publishes.WithLabelValues(result).Observe(took.Seconds())
}

// progress knows how far the partitions of this control plane are stored.
type progress struct {
	mu sync.Mutex
	of map[int]*partitionProgress
}

type partitionProgress struct {
	stored int64     // the offset before which all is
	high   int64     // the offset at which the next message will be
	oldest []arrival // of what is read and not stored, of each answer the first
}

type arrival struct {
	offset int64
	time   time.Time
}

func newProgress() *progress { return &progress{of: map[int]*partitionProgress{}} }

// reset forgets partitions that may be another's now.
func (p *progress) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.of)
}

func (p *progress) get(partition int, from int64) *partitionProgress {
	one := p.of[partition]
	if one == nil {
		one = &partitionProgress{stored: from}
		p.of[partition] = one
	}
	return one
}

// waits notes that a message was read.
func (p *progress) waits(partition int, offset int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.get(partition, offset)
	if n := len(one.oldest); n == 0 || at.Sub(one.oldest[n-1].time) > time.Second {
		one.oldest = append(one.oldest, arrival{offset, at})
	}
}

// read notes how far a partition reaches.
func (p *progress) read(partition int, from, high int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.get(partition, from); high > one.high {
		one.high = high
	}
}

// reaches notes it of a partition that is read.
func (p *progress) reaches(partition int, high int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.of[partition]; one != nil && high > one.high {
		one.high = high
	}
}

// stored notes what is in the log store: all before the offsets.
func (p *progress) stored(offsets map[int]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for partition, offset := range maps.All(offsets) {
		one := p.get(partition, offset)
		one.stored = offset
		for len(one.oldest) > 1 && one.oldest[1].offset <= offset || len(one.oldest) == 1 && one.high <= offset {
			one.oldest = one.oldest[1:]
		}
	}
}

func (p *progress) lag() (messages int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.of {
		messages += max(one.high-one.stored, 0)
	}
	return messages
}

func (p *progress) age(now time.Time) (oldest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.of {
		if len(one.oldest) > 0 && one.stored < one.high {
			oldest = max(oldest, now.Sub(one.oldest[0].time))
		}
	}
	return oldest
}
