package stream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
)

// TestBrokersThatStartAfterTheControlPlane opens streams while no broker is there:
// a good one, and two that the broker then refuses.
func TestBrokersThatStartAfterTheControlPlane(t *testing.T) {
	c := kafkatest.Start(t, 1)
	c.Brokers[0].Stop()
	logs := openLogs(t)
	log := streamtest.Ref("d")
	k := openKafka(t, stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 2}, logs)
	run(t, k)
	password := openKafka(t, stream.KafkaOptions{Brokers: c.SASL(), Topic: newTopic(), SASL: plain.Mechanism{Username: kafkatest.Username, Password: "hush"}}, logs)
	run(t, password)
	topic := openKafka(t, stream.KafkaOptions{Brokers: c.SASL(), Topic: newTopic(), SASL: limited}, logs)
	run(t, topic)
	for _, k := range []*stream.Kafka{k, password, topic} {
		if err := k.Parts(t.Context())["kafka"]; !errors.Is(err, stream.ErrUnreachable) || !contains(err.Error(), "KAFKA_BROKERS: ") {
			t.Errorf("it says %v", err)
		}
	}
	if _, err := k.Tail(t.Context(), log, false); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("a tail: %v", err)
	}
	if _, err := k.Stored(t.Context(), log, time.Now()); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("what is stored: %v", err)
	}
	if _, _, err := k.Size(t.Context()); !errors.Is(err, stream.ErrUnreachable) {
		t.Errorf("its size: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	err := k.Publish(ctx, log, oneEvent(log, 1, "line 0"))
	cancel()
	if !errors.Is(err, stream.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a publish: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- k.Publish(context.Background(), log, oneEvent(log, 1, "line 0")) }()

	if err := c.Brokers[0].Start(); err != nil {
		t.Fatal(err)
	}
	<-waiting // published, or given up while the broker took its time
	streamtest.Publish(t, k, log, oneEvent(log, 1, "line 0")...)
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 1))
	if err := k.Parts(t.Context())["kafka"]; err != nil {
		t.Error(err)
	}
	if _, partitions, err := k.Size(t.Context()); err != nil || partitions != 2 {
		t.Errorf("%d partitions, %v", partitions, err)
	}
	for kind, k := range map[error]*stream.Kafka{stream.ErrCredentials: password, stream.ErrTopic: topic} {
		eventually(t, "it says what is wrong", func() bool {
			err = k.Parts(t.Context())["kafka"]
			return errors.Is(err, kind)
		})
		var refused controlplane.SettingsError
		if !errors.As(err, &refused) || contains(err.Error(), "hush") {
			t.Errorf("%v", err)
		}
		if err := k.Close(); err != nil { // while it is tried
			t.Error(err)
		}
	}
}

// TestATopicIsNotMadeBeforeItsReplicas names two brokers where one has started.
func TestATopicIsNotMadeBeforeItsReplicas(t *testing.T) {
	c := kafkatest.Shared(t)
	o := stream.KafkaOptions{Brokers: append(c.Plain(), "127.0.0.1:1"), Topic: newTopic()}
	k := openKafka(t, o, openLogs(t))
	defer k.Close()
	if err := k.Parts(t.Context())["kafka"]; err == nil || !contains(err.Error(), "is made with 2 replicas") || !contains(err.Error(), "now there are 1") || !contains(err.Error(), "--replication-factor 2") {
		t.Fatalf("got %v", err)
	}
	admin := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	for _, name := range []string{o.Topic, o.Topic + "-dead"} { // somebody does it
		made, err := admin.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: 1, ReplicationFactor: 1}}})
		if err = errors.Join(err, made.Errors[name]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it works", func() bool { return k.Parts(t.Context())["kafka"] == nil })
}
