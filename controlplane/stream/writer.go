package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	leastWait = 20 * time.Millisecond // before a write is tried again; it doubles
	mostWait  = 500 * time.Millisecond
	// refusedTime is how long a write is tried again that fails at once: the builder
	// tells what its build has come to behind these lines, so it must hear soon that
	// they can't be kept.
	refusedTime = time.Second
)

// writer writes to one partition, one request after the other, so that the order
// is kept. What comes while a request is on its way goes into the next one
// together: nothing waits for a timer, and nothing for long.
//
// kafka-go's own Writer is not used: it goes on writing what its caller has given
// up, and during an outage queues without bound what builders send again.
type writer struct {
	kafka     *Kafka
	partition int

	mu      sync.Mutex
	waiting []*writing
	busy    bool // a goroutine writes
}

// writing is what one caller wants to be written.
type writing struct {
	ctx     context.Context
	records []record
	size    int
	done    chan error
}

// write returns when the records are on all replicas that are in sync.
func (w *writer) write(ctx context.Context, records []record) error {
	for len(records) > 0 {
		one := &writing{ctx: ctx, done: make(chan error, 1)}
		for len(one.records) < len(records) && (one.size == 0 || one.size+records[len(one.records)].size() <= w.kafka.batchBytes) {
			one.size += records[len(one.records)].size()
			one.records = records[:len(one.records)+1]
		}
		records = records[len(one.records):]
		if err := w.enter(one); err != nil {
			return err
		}
		select {
		case err := <-one.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			// Its records may be on their way still: they are published again,
			// and who reads them knows them by their numbers.
			return fmt.Errorf("no answer in time: %w", ctx.Err())
		}
	}
	return nil
}

// enter queues a writing and sees to it that somebody writes.
func (w *writer) enter(one *writing) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy {
		if err := w.kafka.spawn(w.run); err != nil {
			return err
		}
		w.busy = true
	}
	w.waiting = append(w.waiting, one)
	return nil
}

func (w *writer) run() {
	for {
		w.mu.Lock()
		batch := w.take()
		if len(batch) == 0 {
			w.busy = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		w.writeBatch(batch)
	}
}

// take returns the next writings, as many as one request takes. The writer is
// locked.
func (w *writer) take() (batch []*writing) {
	size := 0
	for len(w.waiting) > 0 {
		one := w.waiting[0]
		if one.ctx.Err() == nil {
			if size > 0 && size+one.size > w.kafka.batchBytes {
				break
			}
			size += one.size
			batch = append(batch, one)
		}
		w.waiting[0] = nil
		w.waiting = w.waiting[1:]
	}
	return batch
}

// writeBatch tries until it is written, refused, has failed for a while, or nobody
// waits for it any more.
func (w *writer) writeBatch(batch []*writing) {
	var failed time.Time // first
	for wait := leastWait; ; wait = min(2*wait, mostWait) {
		err := w.produce(batch)
		if failed.IsZero() {
			failed = time.Now()
		}
		if err == nil || !passes(err) || w.kafka.ctx.Err() != nil || time.Since(failed) > refusedTime {
			for _, one := range batch {
				one.done <- err
			}
			return
		}
		w.kafka.metrics.retries.Inc()
		_ = sleep(w.kafka.ctx, wait/2+rand.N(wait))
		live := batch[:0]
		for _, one := range batch {
			if one.ctx.Err() == nil {
				live = append(live, one)
			}
		}
		if batch = live; len(batch) == 0 {
			return
		}
	}
}

func (w *writer) produce(batch []*writing) error {
	var records []kafka.Record
	for _, one := range batch {
		for _, r := range one.records {
			records = append(records, r.record())
		}
	}
	return w.kafka.produce(w.kafka.options.Topic, w.partition, records)
}

func (r *record) record() kafka.Record {
	return kafka.Record{Key: kafka.NewBytes(r.key), Value: kafka.NewBytes(r.value), Time: r.time, Headers: r.headers}
}

// produce writes records to a partition, in one try.
func (k *Kafka) produce(topic string, partition int, records []kafka.Record) error {
	ctx, cancel := context.WithTimeout(k.ctx, callTime)
	defer cancel()
	answer, err := k.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Compression: kafka.Zstd, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	return err
}

// passes reports whether an error may be gone at the next try.
func passes(err error) bool {
	var refused kafka.Error
	return !errors.As(err, &refused) || refused.Temporary()
}
