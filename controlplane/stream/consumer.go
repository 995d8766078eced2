package stream

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	// A member of the group that dies is missed after the session time.
	sessionTime   = 10 * time.Second
	heartbeatTime = time.Second
	rebalanceTime = 10 * time.Second
	joinWait      = 250 * time.Millisecond // after a failure
	leaveTime     = 2 * time.Second        // to say goodbye

	fetchBytes  = 64 << 10 // of one answer, compressed
	storeLines  = 50_000   // in one call of the log store, about
	storeBytes  = 8 << 20  // likewise, of text
	storeTime   = 30 * time.Second
	mostBackoff = 5 * time.Second // while the log store is away
	lagTime     = 2 * time.Second // between two looks at how much is to be read
)

// Run implements [controlplane.Stream]: it takes part in the consumer group.
func (k *Kafka) Run(ctx context.Context) {
	if k.link.wait(ctx) != nil {
		return
	}
	conns := &connections{}
	dialer := k.options.dialer()
	dialer.DialFunc = conns.dial
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: k.options.group(), Brokers: k.options.Brokers, Dialer: dialer, Topics: []string{k.options.Topic}, StartOffset: kafka.FirstOffset,
		SessionTimeout: sessionTime, HeartbeatInterval: heartbeatTime, RebalanceTimeout: rebalanceTime, JoinGroupBackoff: joinWait, Timeout: callTime,
		WatchPartitionChanges: true,
	})
	if err != nil {
		k.log.Error("logs are not moved to the log store", "error", err) // never: the configuration is ours
		return
	}
	for ctx.Err() == nil {
		generation, err := group.Next(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			if !errors.Is(err, kafka.RebalanceInProgress) && !errors.Is(err, kafka.GroupCoordinatorNotAvailable) {
				k.complain("can't join the consumer group in Kafka", "group", k.options.group(), "error", err)
			}
			continue
		}
		k.metrics.rebalances.Inc()
		generation.Start(func(ctx context.Context) { (&consumer{kafka: k, generation: generation}).run(ctx) })
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		group.Close()
	}()
	select {
	case <-left:
	case <-time.After(leaveTime):
		conns.close() // it may wait for other members for long
		<-left
	}
}

// consumer moves what its partitions have to the log store, as long as the group
// has the same members.
type consumer struct {
	kafka      *Kafka
	generation *kafka.Generation
}

// chunk is what one answer of a broker had.
type chunk struct {
	partition int
	next      int64 // the offset behind it
	batches   []controlplane.LogBatch
	lines     int
	bytes     int
}

func (c *consumer) run(ctx context.Context) {
	assigned := c.generation.Assignments[c.kafka.options.Topic]
	c.kafka.log.Info("reads build events from Kafka", "partitions", len(assigned), "generation", c.generation.ID)
	ctx, cancel := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer cancel()
	c.kafka.progress.reset()
	chunks := make(chan *chunk) // so each partition holds one, read ahead, and no more
	for _, a := range assigned {
		fetching.Go(func() { c.read(ctx, a.ID, a.Offset, chunks) })
	}
	fetching.Go(func() { c.measure(ctx) })
	c.store(ctx, chunks)
}

// measure notes how far the partitions reach: what is not read yet is not known
// from reading it.
func (c *consumer) measure(ctx context.Context) {
	var mine []int
	for _, a := range c.generation.Assignments[c.kafka.options.Topic] {
		mine = append(mine, a.ID)
	}
	for len(mine) > 0 && sleep(ctx, lagTime) == nil {
		try, cancel := context.WithTimeout(ctx, callTime)
		ends, err := c.kafka.offsets(try, kafka.LastOffset, mine...)
		cancel()
		for partition, end := range ends {
			if err == nil {
				c.kafka.progress.reaches(partition, end)
			}
		}
	}
}

// read reads one partition, and waits while the log store has enough to do.
func (c *consumer) read(ctx context.Context, partition int, offset int64, out chan<- *chunk) {
	k := c.kafka
	for wait := leastWait; ctx.Err() == nil; {
		var err error
		if offset < 0 {
			offset, err = k.offset(ctx, kafka.FirstOffset, partition)
		}
		one := &chunk{partition: partition}
		var f fetched
		if err == nil {
			begins := offset
			f, err = k.fetch(ctx, partition, offset, fetchBytes, everything, func(m *message) error { return c.take(ctx, one, m) })
			k.progress.read(partition, begins, f.high)
		}
		if f.next > offset {
			offset, one.next = f.next, f.next
			select {
			case out <- one:
			case <-ctx.Done():
				return
			}
		}
		if errors.Is(err, kafka.OffsetOutOfRange) {
			k.log.Error("messages in Kafka were thrown away before they were stored: lines of logs are lost", "topic", k.options.Topic, "partition", partition, "offset", offset)
			offset, err = -1, nil
		}
		if err == nil {
			wait = leastWait
		} else if ctx.Err() == nil {
			k.complain("can't read from Kafka", "error", err)
			_ = sleep(ctx, wait/2+rand.N(wait))
			wait = min(2*wait, mostBackoff)
		}
	}
}

func everything([]byte) bool { return true }

// take adds a message's lines to a chunk. What is no event is put aside.
func (c *consumer) take(ctx context.Context, to *chunk, m *message) error {
	c.kafka.progress.waits(to.partition, m.offset, m.time)
	log, e, err := m.decode()
	if err != nil {
		return c.kafka.bury(ctx, to.partition, m, err)
	}
	lines := controlplane.EventLines(e)
	if len(lines) == 0 {
		return nil
	}
	to.batches = append(to.batches, controlplane.LogBatch{LogRef: log, Lines: lines})
	to.lines += len(lines)
	for i := range lines {
		to.bytes += len(lines[i].Text)
	}
	return nil
}

// store keeps what comes, many at once, and commits it.
func (c *consumer) store(ctx context.Context, chunks <-chan *chunk) {
	timer := time.NewTimer(0)
	<-timer.C
	var waiting []*chunk
	lines, size := 0, 0
	for {
		due := false
		select {
		case one := <-chunks:
			if waiting = append(waiting, one); len(waiting) == 1 {
				timer.Reset(c.kafka.options.StoreEvery)
			}
			lines, size = lines+one.lines, size+one.bytes
			due = lines >= storeLines || size >= storeBytes
		case <-timer.C:
			due = len(waiting) > 0
		case <-ctx.Done():
			return
		}
		if !due {
			continue
		}
		timer.Stop()
		if !c.keep(ctx, waiting) {
			return
		}
		waiting, lines, size = nil, 0, 0
	}
}

// keep stores chunks, however long that takes, and commits them. False ends this
// generation.
func (c *consumer) keep(ctx context.Context, chunks []*chunk) bool {
	k := c.kafka
	offsets := map[int]int64{}
	var batches []controlplane.LogBatch
	at := map[string]int{}
	for _, one := range chunks {
		offsets[one.partition] = one.next
		for _, b := range one.batches {
			i, known := at[b.Deployment]
			if !known {
				at[b.Deployment] = len(batches)
				batches = append(batches, b)
				continue
			}
			batches[i].Lines = append(batches[i].Lines, b.Lines...)
		}
	}
	for wait := leastWait; len(batches) > 0; wait = min(2*wait, mostBackoff) {
		try, cancel := context.WithTimeout(ctx, storeTime)
		err := k.logs.Append(try, batches...)
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return false
		}
		k.metrics.storeFailures.Inc()
		k.complain("the log store does not take lines; they wait in Kafka", "deployments", len(batches), "error", err)
		if sleep(ctx, wait/2+rand.N(wait)) != nil {
			return false
		}
	}
	if err := c.generation.CommitOffsets(map[string]map[int]int64{k.options.Topic: offsets}); err != nil {
		// Whoever reads these partitions next stores the same lines again.
		if ctx.Err() == nil {
			k.complain("can't commit to Kafka what is stored", "error", err)
		}
		return false
	}
	k.progress.stored(offsets)
	return true
}
