package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestMain(m *testing.M) {
	code := m.Run()
	kafkatest.Stop()
	os.Exit(code)
}

var topics atomic.Int64

// newTopic names a topic that no other test has.
func newTopic() string { return fmt.Sprintf("events-%d-%d", os.Getpid(), topics.Add(1)) }

func openKafka(t testing.TB, o stream.KafkaOptions, logs controlplane.LogStore) *stream.Kafka {
	t.Helper()
	if o.StoreEvery == 0 {
		o.StoreEvery = 5 * time.Millisecond
	}
	k, err := stream.OpenKafka(t.Context(), o, logs, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run starts a control plane's part of the stream; stop ends it.
func run(t testing.TB, k *stream.Kafka) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func TestKafka(t *testing.T) {
	c := kafkatest.Shared(t)
	streamtest.Run(t, openLogs, func(t *testing.T, logs controlplane.LogStore) controlplane.Stream {
		return openKafka(t, stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 3}, logs)
	})
}

var (
	discard = slog.New(slog.DiscardHandler)
	limited = plain.Mechanism{Username: kafkatest.LimitedUsername, Password: kafkatest.LimitedPassword}
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func oneEvent(log controlplane.LogRef, seq int64, texts ...string) []site.Event {
	return []site.Event{streamtest.Event(log, 1, seq, texts...)}
}

// metric reads one of the stream's: a counter, a gauge, or how often a histogram
// was observed; of those with a label's value, if one is given.
func metric(t testing.TB, k *stream.Kafka, name, label string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(k.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// eventually polls until f reports true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
