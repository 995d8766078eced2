package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	// metadataTime is the longest time between two looks at who leads which
	// partition: after a leader has moved, calls fail for so long.
	metadataTime = time.Second
	callTime     = 5 * time.Second // for a broker to answer
	// publishTime is how long a publish is tried. It is below the time that a
	// builder gives a delivery, so that the builder hears of the failure.
	publishTime = 10 * time.Second
)

// Kafka is a stream through a topic, keyed by deployment, that all control
// planes write to. As one consumer group they move it to the log store.
type Kafka struct {
	options KafkaOptions
	logs    controlplane.LogStore
	log     *slog.Logger
	metrics *metrics

	transport  *kafka.Transport
	client     *kafka.Client
	link       link
	partitions int           // this and the next three: once the link is up
	retention  time.Duration // of the topic; 0: not known
	batchBytes int           // of one write, which the topic takes
	writers    []*writer     // by partition
	progress   *progress
	dead       deadTopic
	complaints complaints

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	mu     sync.Mutex // guards the start of tasks against being waited for
	tasks  sync.WaitGroup
}

var _ controlplane.Stream = (*Kafka)(nil)

var errClosed = errors.New("the stream is closed")

// OpenKafka connects to a cluster, and makes the topics that it lacks. Where no
// broker can be reached it does so later; what the brokers refuse is an error of
// one line that names the settings.
func OpenKafka(ctx context.Context, o KafkaOptions, logs controlplane.LogStore, log *slog.Logger) (*Kafka, error) {
	o = o.withDefaults()
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k := &Kafka{options: o, logs: logs, log: log, progress: newProgress(), link: link{up: make(chan struct{})}, ctx: own, cancel: cancel}
	k.metrics = newMetrics(k)
	k.transport = o.transport(own)
	k.client = &kafka.Client{Addr: kafka.TCP(o.Brokers...), Transport: k.transport, Timeout: callTime}
	if err := k.open(ctx); err != nil {
		k.Close()
		return nil, err
	}
	return k, nil
}

// partition is where a deployment's events are: as Java's own clients choose it.
func (k *Kafka) partition(deployment string) int {
	return kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: []byte(deployment)}, k.all()...)
}

// Publish implements [controlplane.Stream].
func (k *Kafka) Publish(ctx context.Context, log controlplane.LogRef, events []site.Event) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	var records []record
	err := k.reached(ctx)
	if err == nil {
		records, err = encode(log, events, k.batchBytes)
	}
	if err == nil {
		err = k.writers[k.partition(log.Deployment)].write(ctx, records)
	}
	k.metrics.published(time.Since(begin), err)
	if err != nil {
		return fmt.Errorf("publish %d events of %s to Kafka: %w", len(events), log.Deployment, err)
	}
	return nil
}

// reached waits for a cluster that was not reached yet, as long as for one that
// refuses.
func (k *Kafka) reached(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refusedTime)
	defer cancel()
	return k.link.wait(ctx)
}

// storedSkew is how much earlier than others the clock may be of whoever wrote.
const storedSkew = 5 * time.Second

// Stored implements [controlplane.Stream].
func (k *Kafka) Stored(ctx context.Context, log controlplane.LogRef, before time.Time) (bool, error) {
	if err := k.link.err(); err != nil {
		return false, err
	}
	p := k.partition(log.Deployment)
	behind, err := k.since(ctx, p, before.Add(storedSkew))
	if err != nil || behind == 0 {
		return err == nil, err
	}
	committed, err := k.committed(ctx, p)
	return committed >= behind, err
}

// Everywhere implements [controlplane.Stream].
func (k *Kafka) Everywhere() bool { return true }

// Parts implements [controlplane.Stream].
func (k *Kafka) Parts(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	err := k.link.err()
	if err == nil {
		_, err = k.offsets(ctx, kafka.LastOffset, k.all()...)
	}
	if errors.Is(err, kafka.SASLAuthenticationFailed) && !isSettings(err) {
		err = fmt.Errorf("%w: %w", ErrCredentials, err)
	}
	return map[string]error{"kafka": err}
}

// Collectors implements [controlplane.Stream].
func (k *Kafka) Collectors() []prometheus.Collector { return k.metrics.collected }

// Close implements [controlplane.Stream].
func (k *Kafka) Close() error {
	k.mu.Lock()
	k.cancel()
	k.mu.Unlock()
	k.tasks.Wait()
	k.transport.CloseIdleConnections()
	return nil
}

// spawn runs f in a goroutine that Close waits for; not any more once it is
// closed.
func (k *Kafka) spawn(f func()) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() != nil {
		return errClosed
	}
	k.tasks.Go(f)
	return nil
}

// all lists the topic's partitions.
func (k *Kafka) all() []int {
	all := make([]int, k.partitions)
	for i := range all {
		all[i] = i
	}
	return all
}

// offsets asks for an offset of each partition: [kafka.FirstOffset],
// [kafka.LastOffset], or a time in milliseconds: -1 where nothing is so late.
func (k *Kafka) offsets(ctx context.Context, which int64, partitions ...int) (map[int]int64, error) {
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		requests = append(requests, kafka.OffsetRequest{Partition: p, Timestamp: which})
	}
	answer, err := k.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{k.options.Topic: requests}})
	if err != nil {
		return nil, fmt.Errorf("ask for offsets of %s: %w", k.options.Topic, err)
	}
	found := map[int]int64{}
	for _, p := range answer.Topics[k.options.Topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("ask for offsets of %s, partition %d: %w", k.options.Topic, p.Partition, p.Error)
		}
		switch which {
		case kafka.FirstOffset:
			found[p.Partition] = p.FirstOffset
		case kafka.LastOffset:
			found[p.Partition] = p.LastOffset
		default:
			for offset := range p.Offsets {
				found[p.Partition] = offset
			}
		}
	}
	for _, p := range partitions {
		if _, ok := found[p]; !ok {
			return nil, fmt.Errorf("ask for offsets of %s: partition %d is missing in the answer", k.options.Topic, p)
		}
	}
	return found, nil
}

// offset asks for one partition's.
func (k *Kafka) offset(ctx context.Context, which int64, partition int) (int64, error) {
	found, err := k.offsets(ctx, which, partition)
	return found[partition], err
}

// committed is the offset before which the log store has everything of a
// partition; -1: none was committed. The group's coordinator may just be moving:
// until it is found the question is asked again.
func (k *Kafka) committed(ctx context.Context, partition int) (int64, error) {
	for wait := leastWait; ; wait = min(2*wait, mostWait) {
		offset, err := k.committedNow(ctx, partition)
		var refused kafka.Error
		if err == nil || !errors.As(err, &refused) || !refused.Temporary() {
			return offset, err
		}
		if sleep(ctx, wait) != nil {
			return 0, err
		}
	}
}

func (k *Kafka) committedNow(ctx context.Context, partition int) (int64, error) {
	answer, err := k.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: k.options.group(), Topics: map[string][]int{k.options.Topic: {partition}}})
	if err == nil {
		err = answer.Error
	}
	if err == nil {
		for _, p := range answer.Topics[k.options.Topic] {
			if p.Partition != partition {
				continue
			}
			if p.Error == nil {
				return p.CommittedOffset, nil
			}
			return 0, fmt.Errorf("ask for the committed offset of %s, partition %d: %w", k.options.Topic, partition, p.Error)
		}
		err = fmt.Errorf("partition %d is missing in the answer", partition)
	}
	return 0, fmt.Errorf("ask for the committed offset of %s: %w", k.options.Topic, err)
}
