package stream

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// deadRest is how long the topic for what is no event is left alone once it could
// not be written.
const deadRest = time.Minute

var errDeadRests = errors.New("the topic for such could not be written a moment ago, and is tried once a minute")

// deadTopic knows whether the topic for what is no event can be written: of an
// outage one message waits for its end, and those behind it don't.
type deadTopic struct {
	mu   sync.Mutex
	rest time.Time // until when it is left alone; zero: it works
}

// begin says whether to try, and whether to try until it works.
func (d *deadTopic) begin(now time.Time) (once, patiently bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.rest.IsZero():
		return true, true
	case now.Before(d.rest):
		return false, false
	}
	d.rest = now.Add(deadRest) // one of them tries
	return true, false
}

// ended notes whether it worked.
func (d *deadTopic) ended(now time.Time, works bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rest = now.Add(deadRest); works {
		d.rest = time.Time{}
	}
}

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
	once, patiently := k.dead.begin(time.Now())
	err := errDeadRests
	for wait := leastWait; once; wait = min(2*wait, mostWait) {
		if err = k.produce(k.options.deadTopic(), 0, []kafka.Record{r.record()}); err == nil || !passes(err) || !patiently || sleep(ctx, wait) != nil {
			break
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // whoever reads this partition next does it
	}
	if once {
		k.dead.ended(time.Now(), err == nil || !passes(err)) // else it is the message that is refused
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
