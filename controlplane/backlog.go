package controlplane

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backlog is what waits to be done, as the database has it.
type Backlog struct {
	Queued       int       // deployments that wait for a builder
	OldestQueued time.Time // when the first of them was made; zero: there is none
	Unpublished  int       // routes and project records that the bucket lacks
	OldestChange time.Time // since when the first of them waits; zero: there is none
	Publisher    LeaseRow  // the publisher's lease
	BackedUpAt   time.Time // zero: never
}

// backlogMetrics ask the database once for each scrape.
type backlogMetrics struct {
	s *Service

	queued, queueAge, unpublished, unpublishedAge, publisher, backup *prometheus.Desc
}

// backlogTime bounds the question.
const backlogTime = 2 * time.Second

func newBacklogMetrics(s *Service) *backlogMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(metricsPrefix+name, help, nil, nil)
	}
	return &backlogMetrics{
		s:              s,
		queued:         desc("queued", "Deployments that wait for a builder; -1: the database does not answer."),
		queueAge:       desc("queue_oldest_seconds", "Age of the oldest deployment that waits for a builder."),
		unpublished:    desc("unpublished", "Routes and project records that are not in the bucket yet."),
		unpublishedAge: desc("unpublished_oldest_seconds", "Age of the oldest change that is not in the bucket yet."),
		publisher:      desc("publisher_lease_seconds", "For how long the lease of the control plane that publishes is good; below 0: none publishes."),
		backup:         desc("backup_timestamp_seconds", "When the last backup was made; 0: never."),
	}
}

// Describe implements [prometheus.Collector].
func (m *backlogMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.queued, m.queueAge, m.unpublished, m.unpublishedAge, m.publisher, m.backup} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. Of a database that does not answer
// only that is told: nothing is known of the rest.
func (m *backlogMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogTime)
	defer cancel()
	send := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	now := m.s.now()
	var b Backlog
	err := m.s.store.View(ctx, func(tx Tx) (err error) {
		b, err = tx.Backlog()
		return err
	})
	if err != nil {
		send(m.queued, -1)
		return
	}
	age := func(since time.Time) float64 {
		if since.IsZero() {
			return 0
		}
		return max(now.Sub(since).Seconds(), 0)
	}
	send(m.queued, float64(b.Queued))
	send(m.queueAge, age(b.OldestQueued))
	send(m.unpublished, float64(b.Unpublished))
	send(m.unpublishedAge, age(b.OldestChange))
	lease := -1.0
	if b.Publisher != (LeaseRow{}) {
		at := m.s.clock()
		lease = (leaseTime - at.Sub(m.s.leases.seen.see(publisherLease, b.Publisher, at))).Seconds()
	}
	send(m.publisher, lease)
	backup := 0.0
	if !b.BackedUpAt.IsZero() {
		backup = float64(b.BackedUpAt.UnixMicro()) / 1e6
	}
	send(m.backup, backup)
}
