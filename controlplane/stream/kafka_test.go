package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
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
