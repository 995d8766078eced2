package stream

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// bury puts a message that is no event into the topic for such, with the reason
// and where it comes from in headers. Where that can't be done in time it is left
// where it is and the log says so: it must not hold up those behind it.
func (k *Kafka) bury(ctx context.Context, partition int, m *message, why error) error {
	reason := why.Error()
	r := record{key: m.key, value: m.value, time: time.Now(), headers: []kafka.Header{
		{Key: "reason", Value: []byte(reason)},
		{Key: "source-topic", Value: []byte(k.options.Topic)},
		{Key: "source-partition", Value: []byte(strconv.Itoa(partition))},
		{Key: "source-offset", Value: []byte(strconv.FormatInt(m.offset, 10))},
	}}
	for _, h := range m.headers {
		r.headers = append(r.headers, kafka.Header{Key: h.Key, Value: append([]byte{}, h.Value...)})
	}
	if over := r.size() - k.batchBytes; over > 0 {
		r.headers = append(r.headers[:4], kafka.Header{Key: "cut", Value: []byte("true")})
		r.value = r.value[:max(len(r.value)-over-recordOverhead, 0)]
	}
	ctx, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	var err error
	for wait := leastWait; ; wait = min(2*wait, mostWait) {
		if err = k.produce(k.options.deadTopic(), 0, []kafka.Record{r.record()}); err == nil || !passes(err) || sleep(ctx, wait) != nil {
			break
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // whoever reads this partition next does it
	}
	if err != nil {
		k.metrics.dead.WithLabelValues("left").Inc()
		k.log.Error("a message in Kafka is no event, and can't be put aside", "topic", k.options.Topic, "partition", partition, "offset", m.offset, "reason", reason, "error", err)
		return nil
	}
	k.metrics.dead.WithLabelValues("buried").Inc()
	k.log.Warn("put a message of Kafka aside that is no event", "topic", k.options.deadTopic(), "partition", partition, "offset", m.offset, "reason", reason)
	return nil
}
