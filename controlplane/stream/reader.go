package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// fetchWait is how long a broker holds a question back until there is something
// to read.
const fetchWait = time.Second

// fetched says where a partition stands after some of it was read.
type fetched struct {
	next int64 // the offset that is read next
	high int64 // behind the last message on all replicas
}

// fetch reads messages of a partition from an offset on, as many as come in one
// answer, at least one where there is any. It calls each for those whose key is
// wanted; a message is good only as long as that call. A failure of each ends
// it.
func (k *Kafka) fetch(ctx context.Context, partition int, offset int64, most int64, wanted func(key []byte) bool, each func(m *message) error) (fetched, error) {
	f := fetched{next: offset}
	ask, cancel := context.WithTimeout(ctx, fetchWait+callTime)
	defer cancel()
	answer, err := k.client.Fetch(ask, &kafka.FetchRequest{
		Topic: k.options.Topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: most, MaxWait: fetchWait,
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		return f, fmt.Errorf("read %s, partition %d, from %d: %w", k.options.Topic, partition, offset, err)
	}
	f.high = answer.HighWatermark
	for {
		r, err := answer.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			f.next = max(f.next, behindMarks(answer.Records))
			return f, nil
		}
		if err != nil {
			if f.next > offset {
				return f, nil // the last one did not come whole; it is read again
			}
			return f, fmt.Errorf("read %s, partition %d, at %d: %w", k.options.Topic, partition, f.next, err)
		}
		if err := k.read(r, offset, wanted, each); err != nil {
			return f, err
		}
		// A batch may begin before what was asked for.
		f.next = max(f.next, r.Offset+1)
	}
}

// behindMarks is the offset behind the last mark of a transaction that an answer
// has. Nothing here writes such; but each takes an offset, and who waited for a
// message there, at the end of a partition, would ask for ever.
func behindMarks(records kafka.RecordReader) (next int64) {
	all, _ := records.(*protocol.RecordStream)
	if all == nil {
		return 0
	}
	for _, one := range all.Records {
		if mark, ok := one.(*protocol.ControlBatch); ok {
			next = max(next, mark.BaseOffset+1)
		}
	}
	return next
}

// read hands one record on and gives its memory back.
func (k *Kafka) read(r *kafka.Record, from int64, wanted func(key []byte) bool, each func(m *message) error) error {
	if r.Key != nil {
		defer r.Key.Close()
	}
	if r.Value != nil {
		defer r.Value.Close()
	}
	if r.Offset < from {
		return nil
	}
	m := &message{offset: r.Offset, time: r.Time, headers: r.Headers}
	var err error
	if m.key, err = kafka.ReadAll(r.Key); err == nil && wanted(m.key) {
		if m.value, err = kafka.ReadAll(r.Value); err == nil {
			return each(m)
		}
	}
	return err
}
