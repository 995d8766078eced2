package stream_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
)

// builds are some builds that print at the same time, each with a reader that
// follows it on some control plane.
type builds struct {
	t     *testing.T
	logs  controlplane.LogStore
	refs  []controlplane.LogRef
	total int
	done  atomic.Int64 // lines that were handed in
	all   sync.WaitGroup
}

// startBuilds begins. Control plane n%len hands in what build n prints, and the
// next one has its reader.
func startBuilds(t *testing.T, logs controlplane.LogStore, builders, lines int, planes ...*stream.Kafka) *builds {
	b := &builds{t: t, logs: logs, total: lines}
	for n := range builders {
		log := streamtest.Ref(fmt.Sprint("build-", n))
		b.refs = append(b.refs, log)
		b.all.Go(func() {
			for i := 0; i < lines; i += 5 {
				streamtest.Publish(t, planes[n%len(planes)], log, streamtest.Event(log, 1, int64(i+1), streamtest.Texts(i, i+5)...))
				b.done.Add(5)
			}
		})
		b.all.Go(func() { b.follow(planes[(n+1)%len(planes)], log) })
	}
	return b
}

// follow reads tail and history until it has all lines.
func (b *builds) follow(plane *stream.Kafka, log controlplane.LogRef) {
	r := &streamtest.Reader{}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Errorf("%s: no tail", log.Deployment)
			return
		}
		tail, err := plane.Tail(b.t.Context(), log, false)
		if err != nil {
			continue // a broker is away
		}
		lines, err := b.logs.Lines(b.t.Context(), log, controlplane.Cursor{}, 1<<20, "")
		if err != nil {
			b.t.Error(err)
		}
		r.Take(lines)
		r.Tail = tail
		all := r.Until(b.t, b.total)
		tail.Close()
		if all {
			break
		}
	}
	if want := streamtest.Texts(0, b.total); !slices.Equal(r.Texts, want) {
		b.t.Errorf("%s: the reader has %d lines of %d: %.300q", log.Deployment, len(r.Texts), len(want), r.Texts)
	}
}

// until waits until builds have printed so many lines in all.
func (b *builds) until(lines int) {
	b.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); b.done.Load() < int64(lines); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%d lines of %d", b.done.Load(), lines)
		}
	}
}

// check waits for the end: every line is stored and was read, once and in order.
func (b *builds) check() {
	b.t.Helper()
	b.all.Wait()
	for _, log := range b.refs {
		streamtest.WantStored(b.t, b.logs, log, streamtest.Texts(0, b.total))
	}
}

func TestControlPlanesComeAndGoDuringBuilds(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 4}
	first, second, third := openKafka(t, o, logs), openKafka(t, o, logs), openKafka(t, o, logs)
	stopFirst := run(t, first)
	b := startBuilds(t, logs, 8, 600, second) // which only hands in and reads, until it takes part itself
	b.until(500)
	stopThird := run(t, third)
	b.until(1500)
	run(t, second)
	b.until(2500)
	stopThird()
	b.until(3500)
	stopFirst()
	b.check()
}

// TestMoreControlPlanesThanPartitions has two that have nothing to read until the
// one that reads ends.
func TestMoreControlPlanesThanPartitions(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}
	hands := openKafka(t, o, logs) // takes no part
	t.Cleanup(func() { hands.Close() })
	type member struct {
		logs *streamtest.Gate
		stop func()
	}
	var members []*member
	for range 3 {
		m := &member{logs: &streamtest.Gate{LogStore: logs}}
		m.stop = run(t, openKafka(t, o, m.logs))
		members = append(members, m)
	}
	log := streamtest.Ref("d")
	const lines = 300 // while there are so many members
	for n := range 3 {
		for _, m := range members {
			m.logs.Appends.Store(0)
		}
		var printing sync.WaitGroup
		printing.Go(func() {
			for i := n * lines; i < (n+1)*lines; i += 5 {
				streamtest.Publish(t, hands, log, streamtest.Event(log, 1, int64(i+1), streamtest.Texts(i, i+5)...))
			}
		})
		var reads int
		eventually(t, "one reads", func() bool {
			reads = slices.IndexFunc(members, func(m *member) bool { return m.logs.Appends.Load() > 0 })
			return reads >= 0
		})
		if n < 2 {
			members[reads].stop()
			members = slices.Delete(members, reads, reads+1)
		}
		printing.Wait()
	}
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 3*lines))
}

func TestBrokerEndsDuringBuilds(t *testing.T) {
	c := kafkatest.Start(t, 1)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 3}
	first, second := openKafka(t, o, logs), openKafka(t, o, logs)
	run(t, first)
	run(t, second)
	b := startBuilds(t, logs, 6, 600, first, second)
	for i, end := range []func(){c.Brokers[0].Kill, c.Brokers[0].Stop, c.Brokers[0].Kill} {
		b.until(600 * (i + 1))
		end()
		if err := c.Brokers[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	b.check()
}

func TestOneOfThreeBrokersDiesDuringBuilds(t *testing.T) {
	c := kafkatest.Start(t, 3)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 6}
	first, second := openKafka(t, o, logs), openKafka(t, o, logs)
	run(t, first)
	run(t, second)
	b := startBuilds(t, logs, 6, 400, first, second)
	for i, broker := range c.Brokers {
		b.until(500 * (i + 1))
		broker.Kill()
		b.until(500*(i+1) + 200) // it goes on with two
		if err := broker.Start(); err != nil {
			t.Fatal(err)
		}
	}
	b.check()
}

// dyingLogs keep lines, and then the control plane dies that had them kept.
type dyingLogs struct {
	controlplane.LogStore
	die  func()
	kept atomic.Int64
}

func (l *dyingLogs) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	if err := l.LogStore.Append(ctx, batches...); err != nil {
		return err
	}
	l.kept.Add(1)
	l.die()
	return errors.New("killed")
}

func TestConsumerDiesBetweenStoreAndCommit(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}
	dying := &dyingLogs{LogStore: logs}
	first := openKafka(t, o, dying)
	ctx, cancel := context.WithCancel(context.Background())
	dying.die = cancel
	log := streamtest.Ref("d")
	streamtest.Publish(t, first, log, streamtest.Event(log, 1, 1, streamtest.Texts(0, 20)...))
	first.Run(ctx) // until it dies
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 20))
	if dying.kept.Load() != 1 {
		t.Fatalf("it has stored %d times", dying.kept.Load())
	}
	again := &streamtest.Gate{LogStore: logs}
	second := openKafka(t, o, again)
	run(t, second)
	streamtest.Publish(t, first, log, streamtest.Event(log, 1, 21, streamtest.Texts(20, 40)...))
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 40))
	if again.Appends.Load() == 0 {
		t.Error("nothing was stored again")
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoEventIsPutAside(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}
	k := openKafka(t, o, logs)
	run(t, k)
	client := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	log := streamtest.Ref("d")
	created := []kafka.Header{{Key: "created", Value: []byte(log.Created.Format(time.RFC3339Nano))}}
	good := `{"v":1,"deployment":"d","attempt":1,"seq":1,"time":"2026-01-02T03:04:05Z","type":"log","lines":[{"time":"2026-01-02T03:04:05Z","stream":"stdout","text":"x"}]}`
	rows := []struct {
		key, value string
		headers    []kafka.Header
		reason     string
	}{
		{"d", "{", created, "malformed JSON"},
		{"d", "", created, "malformed JSON"},
		{"d", `[]`, created, "malformed JSON"},
		{"d", `{"v":2,"new":true}`, created, "version 2 is not known"},
		{"d", `{"v":3,"seq":{"new":"form"}}`, created, "version 3 is not known"},
		{"d", `{"v":1,"seq":"x"}`, created, "malformed JSON"},
		{"d", good, nil, "the header created is missing"},
		{"d", good, []kafka.Header{{Key: "created", Value: []byte("today")}}, "the header created is not a time"},
		{"e", good, created, "the key is not the event's deployment"},
		{"", good, created, "the key is not the event's deployment"},
		{"d", `{"v":1,"deployment":"d","attempt":1,"seq":1,"type":"ready"}`, created, "is no type of event"},
		{"d", `{"v":1,"deployment":"d","attempt":70000,"seq":1,"type":"heartbeat"}`, created, "attempt 70000 is out of range"},
		{"d", `{"v":1,"deployment":"d","attempt":1,"seq":0,"type":"heartbeat"}`, created, "Number events upwards"},
	}
	for i, row := range rows {
		answer, err := client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: o.Topic, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Key: kafka.NewBytes([]byte(row.key)), Value: kafka.NewBytes([]byte(row.value)), Headers: row.headers, Time: time.Now()}),
		})
		if err != nil || answer.Error != nil {
			t.Fatal(err, answer.Error)
		}
		streamtest.Publish(t, k, log, streamtest.Event(log, 1, int64(i+1), fmt.Sprint("line ", i)))
	}
	// It holds up nothing.
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, len(rows)))
	dead := kafka.NewReader(kafka.ReaderConfig{Brokers: c.Plain(), Topic: o.Topic + "-dead", MaxWait: 100 * time.Millisecond})
	defer dead.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, row := range rows {
		m, err := dead.ReadMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{}
		for _, h := range m.Headers {
			headers[h.Key] = string(h.Value)
		}
		if string(m.Value) != row.value || string(m.Key) != row.key || !contains(headers["reason"], row.reason) ||
			headers["source-topic"] != o.Topic || headers["source-partition"] != "0" || headers["source-offset"] != fmt.Sprint(2*i) {
			t.Errorf("row %d: %q %q %v", i, m.Key, m.Value, headers)
		}
	}
	if got := metric(t, k, "mini_vercel_controlplane_kafka_dead_letters_total", "buried"); got != float64(len(rows)) {
		t.Errorf("%v are counted", got)
	}
}

// TestWhatCannotBePutAsideHoldsUpNothing: the topic for what is no event is gone.
func TestWhatCannotBePutAsideHoldsUpNothing(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}
	k := openKafka(t, o, logs)
	client := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	deleted, err := client.DeleteTopics(t.Context(), &kafka.DeleteTopicsRequest{Topics: []string{o.Topic + "-dead"}})
	if err != nil || deleted.Errors[o.Topic+"-dead"] != nil {
		t.Fatal(err, deleted)
	}
	const bad = 30 // at 10 s each nobody would wait for them
	log := streamtest.Ref("d")
	for n := range bad {
		answer, err := client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: o.Topic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Key: kafka.NewBytes([]byte("d")), Value: kafka.NewBytes([]byte("{"))}),
		})
		if err != nil || answer.Error != nil {
			t.Fatal(err, answer.Error)
		}
		streamtest.Publish(t, k, log, streamtest.Event(log, 1, int64(n+1), fmt.Sprint("line ", n)))
	}
	run(t, k)
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, bad))
	if got := metric(t, k, "mini_vercel_controlplane_kafka_dead_letters_total", "left"); got != bad {
		t.Errorf("%v are counted", got)
	}
}

// TestMarksOfTransactionsHoldUpNothing ends a partition with the mark of somebody's
// transaction, which is no message and takes an offset.
func TestMarksOfTransactionsHoldUpNothing(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}
	k := openKafka(t, o, logs)
	run(t, k)
	log := streamtest.Ref("d")
	streamtest.Publish(t, k, log, streamtest.Event(log, 1, 1, "line 0"))
	client := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	// The coordinator of transactions may just be starting.
	var producer *kafka.ProducerSession
	eventually(t, "a transaction begins", func() bool {
		answer, err := client.InitProducerID(t.Context(), &kafka.InitProducerIDRequest{TransactionalID: o.Topic, TransactionTimeoutMs: 60_000})
		if err == nil && answer.Error == nil {
			producer = answer.Producer
		}
		return producer != nil
	})
	for _, committed := range []bool{true, false} {
		// The mark of the transaction before may be on its way still.
		eventually(t, "the partition is in a transaction", func() bool {
			added, err := client.AddPartitionsToTxn(t.Context(), &kafka.AddPartitionsToTxnRequest{
				TransactionalID: o.Topic, ProducerID: producer.ProducerID, ProducerEpoch: producer.ProducerEpoch, Topics: map[string][]kafka.AddPartitionToTxn{o.Topic: {{Partition: 0}}},
			})
			return err == nil && added.Topics[o.Topic][0].Error == nil
		})
		ended, err := client.EndTxn(t.Context(), &kafka.EndTxnRequest{
			TransactionalID: o.Topic, ProducerID: producer.ProducerID, ProducerEpoch: producer.ProducerEpoch, Committed: committed,
		})
		if err == nil {
			err = ended.Error
		}
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "all is known to be stored", func() bool {
			stored, err := k.Stored(t.Context(), log, time.Now())
			return err == nil && stored
		})
	}
	tail, err := k.Tail(t.Context(), log, true)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	end, err := tail.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if end < 3 {
		t.Fatalf("the partition ends at %d, without the marks", end)
	}
	for deadline := time.After(time.Minute); ; {
		select {
		case some := <-tail.Lines():
			if some.Position < end {
				continue
			}
		case <-deadline:
			t.Errorf("the tail does not reach %d", end)
		}
		break
	}
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 1))
}

func TestPublishFailsInTimeWhileKafkaIsAway(t *testing.T) {
	c := kafkatest.Start(t, 1)
	logs := openLogs(t)
	k := openKafka(t, stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}, logs)
	run(t, k)
	log := streamtest.Ref("d")
	streamtest.Publish(t, k, log, streamtest.Event(log, 1, 1, "line 0"))
	c.Brokers[0].Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	err := k.Publish(ctx, log, oneEvent(log, 2, "line 1"))
	cancel()
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// Who has more time hears early all the same.
	if err = k.Publish(t.Context(), log, oneEvent(log, 2, "line 1")); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with all its time: got %v", err)
	}
	if err := k.Parts(t.Context())["kafka"]; err == nil {
		t.Error("it is said to answer")
	}
	if got := metric(t, k, "mini_vercel_controlplane_kafka_publish_duration_seconds", "failed"); got != 2 {
		t.Errorf("%v failures are counted", got)
	}
	if err := c.Brokers[0].Start(); err != nil {
		t.Fatal(err)
	}
	streamtest.Publish(t, k, log, oneEvent(log, 2, "line 1")...)
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 2))
}

func TestLagIsMeasuredWhileTheLogStoreIsAway(t *testing.T) {
	c := kafkatest.Shared(t)
	logs := &streamtest.Gate{LogStore: openLogs(t)}
	k := openKafka(t, stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 1}, logs)
	run(t, k)
	log := streamtest.Ref("d")
	streamtest.Publish(t, k, log, oneEvent(log, 1, "line 0")...)
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 1))
	logs.Down.Store(true)
	for i := 1; i < 50; i++ {
		streamtest.Publish(t, k, log, oneEvent(log, int64(i+1), fmt.Sprint("line ", i))...)
	}
	lag := func() (float64, float64) {
		return metric(t, k, "mini_vercel_controlplane_kafka_lag_messages", ""), metric(t, k, "mini_vercel_controlplane_kafka_lag_seconds", "")
	}
	eventually(t, "49 messages wait", func() bool { messages, age := lag(); return messages == 49 && age > 0 })
	logs.Down.Store(false)
	eventually(t, "none wait", func() bool { messages, age := lag(); return messages == 0 && age == 0 })
	if got := metric(t, k, "mini_vercel_controlplane_kafka_rebalances_total", ""); got != 1 {
		t.Errorf("%v rebalances", got)
	}
}

func TestTailsLeaveNothingBehind(t *testing.T) {
	c := kafkatest.Shared(t)
	before := runtime.NumGoroutine()
	k := openKafka(t, stream.KafkaOptions{Brokers: c.Plain(), Topic: newTopic(), Partitions: 2}, openLogs(t))
	for range 5 {
		var all sync.WaitGroup
		for n := range 20 {
			all.Go(func() {
				tail, err := k.Tail(t.Context(), streamtest.Ref(fmt.Sprint("d", n)), n%2 == 0)
				if err != nil {
					t.Error(err)
					return
				}
				<-tail.Lines()
				tail.Close()
			})
		}
		all.Wait()
	}
	stacks := make([]byte, 8<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; contains(string(stacks), "kafkaTail") {
		t.Errorf("a closed tail goes on:\n%s", stacks)
	}
	if _, err := k.Tail(t.Context(), streamtest.Ref("d"), false); err != nil {
		t.Fatal(err) // this one is left open
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestTopicsThatMayNotBeMade(t *testing.T) {
	c := kafkatest.Shared(t)
	topic := newTopic()
	admin := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	var acls []kafka.ACLEntry
	allow := func(kind kafka.ResourceType, name string, operations ...kafka.ACLOperationType) {
		for _, operation := range operations {
			acls = append(acls, kafka.ACLEntry{ResourceType: kind, ResourceName: name, ResourcePatternType: kafka.PatternTypeLiteral,
				Principal: "User:" + kafkatest.LimitedUsername, Host: "*", Operation: operation, PermissionType: kafka.ACLPermissionTypeAllow})
		}
	}
	for _, name := range []string{topic, topic + "-dead"} {
		allow(kafka.ResourceTypeTopic, name, kafka.ACLOperationTypeRead, kafka.ACLOperationTypeWrite, kafka.ACLOperationTypeDescribe)
	}
	allow(kafka.ResourceTypeGroup, topic, kafka.ACLOperationTypeRead)
	answer, err := admin.CreateACLs(t.Context(), &kafka.CreateACLsRequest{ACLs: acls})
	if err = errors.Join(append(answer.Errors, err)...); err != nil {
		t.Fatal(err)
	}
	logs := openLogs(t)
	o := stream.KafkaOptions{Brokers: c.SASL(), SASL: limited, Topic: topic, StoreEvery: time.Millisecond, StartTime: time.Millisecond}
	_, err = stream.OpenKafka(t.Context(), o, logs, discard)
	want := "kafka-topics.sh --bootstrap-server " + c.SASL()[0] + " --create --topic " + topic + " --partitions 12 --replication-factor 1 --config retention.ms=604800000"
	if !errors.Is(err, stream.ErrTopic) || !contains(err.Error(), want) || contains(err.Error(), "\n") {
		t.Fatalf("got %v, want %s", err, want)
	}
	// Once somebody has made them, it works with no more rights than it has.
	for _, name := range []string{topic, topic + "-dead"} {
		made, err := admin.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: 2, ReplicationFactor: 1}}})
		if err = errors.Join(err, made.Errors[name]); err != nil {
			t.Fatal(err)
		}
	}
	k := openKafka(t, o, logs)
	run(t, k)
	log := streamtest.Ref("d")
	streamtest.Publish(t, k, log, oneEvent(log, 1, "line 0")...)
	streamtest.WantStored(t, logs, log, streamtest.Texts(0, 1))
}

func TestTopicsWithSettingsThatLoseLinesAreRefused(t *testing.T) {
	c := kafkatest.Shared(t)
	admin := &kafka.Client{Addr: kafka.TCP(c.Plain()...), Transport: &kafka.Transport{}, Timeout: 20 * time.Second}
	for _, row := range []struct{ name, value, want string }{
		{"cleanup.policy", "compact", "cleanup.policy is compact"},
		{"cleanup.policy", "compact,delete", "cleanup.policy is compact,delete"},
		{"max.message.bytes", "1048587", "max.message.bytes is 1048587; set it to 1048588"},
		{"max.message.bytes", "1048588", ""},
		{"max.message.bytes", "1048589", ""},
	} {
		topic := newTopic()
		made, err := admin.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
			{Topic: topic, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{{ConfigName: row.name, ConfigValue: row.value}}}}})
		if err = errors.Join(err, made.Errors[topic]); err != nil {
			t.Fatal(err)
		}
		k, err := stream.OpenKafka(t.Context(), stream.KafkaOptions{Brokers: c.Plain(), Topic: topic, StartTime: time.Millisecond}, nil, discard)
		if err == nil {
			k.Close()
		}
		if row.want == "" && err != nil || row.want != "" && (!errors.Is(err, stream.ErrTopic) || !contains(err.Error(), row.want)) {
			t.Errorf("%s=%s: %v", row.name, row.value, err)
		}
	}
}
