package logs

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// counting counts the lines that a log store has taken.
type counting struct {
	controlplane.LogStore
	lines atomic.Int64
	want  int64
	once  sync.Once
	first time.Time     // when the first came
	all   chan struct{} // closed when it has as many as are wanted
}

func (c *counting) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	c.once.Do(func() { c.first = time.Now() })
	if err := c.LogStore.Append(ctx, batches...); err != nil {
		return err
	}
	n := int64(0)
	for _, b := range batches {
		n += int64(len(b.Lines))
	}
	if now := c.lines.Add(n); now >= c.want && now-n < c.want {
		close(c.all)
	}
	return nil
}

// BenchmarkKafkaToClickHouse has a control plane's consumer store a million
// lines of 50 builds that wait in Kafka, as after an outage of ClickHouse. Lines
// a second count from the first insert: to join the group takes seconds, once.
func BenchmarkKafkaToClickHouse(b *testing.B) {
	const prints, perEvent, events = 50, 400, 50
	const total = prints * perEvent * events
	cluster := kafkatest.Start(b, 1)
	var storing time.Duration
	for b.Loop() {
		store := &counting{LogStore: clickHouse(b), want: total, all: make(chan struct{})}
		k, err := stream.OpenKafka(b.Context(), stream.KafkaOptions{Brokers: cluster.Plain(), Topic: "bench-" + time.Now().Format("150405.000000")}, store,
			slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		publish(b, k, prints, perEvent, events)
		b.Logf("published %d lines in %v", total, time.Since(began))
		ctx, cancel := context.WithCancel(b.Context())
		var consumer sync.WaitGroup
		consumer.Go(func() { k.Run(ctx) })
		<-store.all
		storing += time.Since(store.first)
		cancel()
		consumer.Wait()
		if err := k.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*total)/storing.Seconds(), "lines/s")
	b.ReportMetric(0, "ns/op")
}

// publish hands in what builds print, as their builders do: each one event after
// the other, all at once.
func publish(b *testing.B, k *stream.Kafka, count, perEvent, events int) {
	b.Helper()
	made := &builds{created: time.Now()}
	var all [][]controlplane.LogBatch // by event
	for range events {
		all = append(all, made.batches(count, perEvent))
	}
	var builders sync.WaitGroup
	for n := range count {
		builders.Go(func() {
			for _, batches := range all {
				batch := batches[n]
				e := site.Event{Version: site.EventVersion, Type: site.EventLog, Deployment: batch.Deployment, Attempt: 1, Seq: batch.Lines[0].Seq, Time: made.created, Phase: site.PhaseBuild}
				for _, l := range batch.Lines {
					e.Lines = append(e.Lines, site.LogLine{Time: l.Time, Stream: l.Stream, Text: l.Text})
				}
				if err := k.Publish(b.Context(), batch.LogRef, []site.Event{e}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	builders.Wait()
}
