package stream

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	tailBytes = 128 << 10 // of one answer, compressed
	// clockSkew is how much the clocks of two control planes may differ.
	clockSkew = 5 * time.Minute
)

// kafkaTail reads the partition of one deployment. A position is an offset.
type kafkaTail struct {
	kafka     *Kafka
	key       []byte
	partition int
	lines     chan controlplane.TailLines
	cancel    context.CancelFunc
	ended     chan struct{}
}

// Tail implements [controlplane.Stream]. A tail begins where the consumer group
// stands, as everything before is stored, or with the first message since the
// deployment was made, whichever is later.
func (k *Kafka) Tail(ctx context.Context, log controlplane.LogRef, whole bool) (controlplane.Tail, error) {
	if err := k.link.err(); err != nil {
		return nil, err
	}
	p := k.partition(log.Deployment)
	from, err := k.since(ctx, p, log.Created.Add(-clockSkew))
	if err != nil {
		return nil, err
	}
	if whole {
		if err := k.reaches(ctx, p, from, log.Created); err != nil {
			return nil, err
		}
	} else {
		committed, err := k.committed(ctx, p)
		if err != nil {
			return nil, err
		}
		from = max(from, committed)
	}
	t := &kafkaTail{kafka: k, key: []byte(log.Deployment), partition: p, lines: make(chan controlplane.TailLines), ended: make(chan struct{})}
	ctx, t.cancel = context.WithCancel(k.ctx)
	if err := k.spawn(func() { t.run(ctx, from) }); err != nil {
		t.cancel()
		return nil, err
	}
	return t, nil
}

// since is the offset of the first message that was written at a time or later.
func (k *Kafka) since(ctx context.Context, partition int, at time.Time) (int64, error) {
	end, err := k.offset(ctx, kafka.LastOffset, partition) // first: what comes meanwhile is behind it
	if err != nil {
		return 0, err
	}
	found, err := k.offset(ctx, at.UnixMilli(), partition)
	if found < 0 {
		found = end
	}
	return found, err
}

// reaches fails where messages of a deployment may be gone from before an offset.
func (k *Kafka) reaches(ctx context.Context, partition int, from int64, created time.Time) error {
	first, err := k.offset(ctx, kafka.FirstOffset, partition)
	if err != nil {
		return err
	}
	if first == 0 || from > first || time.Since(created)+clockSkew < k.retention {
		return nil
	}
	return controlplane.ErrNotWhole
}

func (t *kafkaTail) run(ctx context.Context, offset int64) {
	defer close(t.ended)
	defer close(t.lines)
	if !t.send(ctx, controlplane.TailLines{Position: offset}) {
		return
	}
	wait := leastWait
	for ctx.Err() == nil {
		var lines []controlplane.LogLine
		f, err := t.kafka.fetch(ctx, t.partition, offset, tailBytes, t.wants, func(m *message) error {
			// What can't be read is the consumer group's to sort out.
			if _, e, err := m.decode(); err == nil {
				lines = append(lines, controlplane.EventLines(e)...)
			}
			return nil
		})
		if errors.Is(err, kafka.OffsetOutOfRange) {
			return // it was thrown away meanwhile
		}
		if f.next > offset {
			offset = f.next
			if !t.send(ctx, controlplane.TailLines{Lines: lines, Position: offset}) {
				return
			}
		}
		if err == nil {
			wait = leastWait
			continue
		}
		if ctx.Err() == nil {
			t.kafka.log.Debug("a tail can't read", "deployment", string(t.key), "error", err)
			_ = sleep(ctx, wait)
			wait = min(2*wait, mostWait)
		}
	}
}

func (t *kafkaTail) wants(key []byte) bool { return bytes.Equal(key, t.key) }

func (t *kafkaTail) send(ctx context.Context, some controlplane.TailLines) bool {
	select {
	case t.lines <- some:
		return true
	case <-ctx.Done():
		return false
	}
}

// Lines implements [controlplane.Tail].
func (t *kafkaTail) Lines() <-chan controlplane.TailLines { return t.lines }

// End implements [controlplane.Tail].
func (t *kafkaTail) End(ctx context.Context) (int64, error) {
	return t.kafka.offset(ctx, kafka.LastOffset, t.partition)
}

// Close implements [controlplane.Tail].
func (t *kafkaTail) Close() {
	t.cancel()
	<-t.ended
}
