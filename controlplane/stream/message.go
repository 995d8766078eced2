package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// createdHeader has the time at which the event's deployment was created, which
// the log store needs, in RFC 3339. The key of a message is the deployment, its
// value one event in JSON.
const createdHeader = "created"

// recordOverhead is more than a record takes besides key and value.
const recordOverhead = 128

// record is one message that is to be written.
type record struct {
	key, value []byte
	time       time.Time
	headers    []kafka.Header
}

func (r *record) size() int {
	n := len(r.key) + len(r.value) + recordOverhead
	for _, h := range r.headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// encode makes records of events, none above a size: a log event of very many
// bytes becomes several.
func encode(log controlplane.LogRef, events []site.Event, most int) ([]record, error) {
	headers := []kafka.Header{{Key: createdHeader, Value: []byte(log.Created.UTC().Format(time.RFC3339Nano))}}
	var records []record
	now := time.Now()
	var add func(e site.Event) error
	add = func(e site.Event) error {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // six bytes for one of a log's many angle brackets
		if err := encoder.Encode(&e); err != nil {
			return fmt.Errorf("encode event %d: %w", e.Seq, err)
		}
		r := record{key: []byte(log.Deployment), value: bytes.TrimSuffix(b.Bytes(), []byte("\n")), time: now, headers: headers}
		if r.size() <= most {
			records = append(records, r)
			return nil
		}
		if len(e.Lines) < 2 {
			return fmt.Errorf("event %d has %d bytes, and Kafka takes %d: make the lines of logs shorter", e.Seq, len(r.value), most)
		}
		half := len(e.Lines) / 2
		first, second := e, e
		first.Lines, second.Lines = e.Lines[:half], e.Lines[half:]
		second.Seq += int64(half)
		return errors.Join(add(first), add(second))
	}
	for _, e := range events {
		if err := add(e); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// message is what was read from a partition.
type message struct {
	offset  int64
	time    time.Time
	key     []byte
	value   []byte
	headers []kafka.Header
}

// decode returns the event of a message and the log that it belongs to, or says
// why there is none.
func (m *message) decode() (controlplane.LogRef, *site.Event, error) {
	log := controlplane.LogRef{Deployment: string(m.key)}
	for _, h := range m.headers {
		if h.Key == createdHeader {
			created, err := time.Parse(time.RFC3339Nano, string(h.Value))
			if err != nil {
				return log, nil, fmt.Errorf("the header %s is not a time", createdHeader)
			}
			log.Created = created.UTC()
		}
	}
	e := &site.Event{}
	err := json.Unmarshal(m.value, e)
	if err != nil {
		// One of a later version may look different.
		var version struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(m.value, &version) != nil {
			return log, nil, fmt.Errorf("malformed JSON: %w", err)
		}
		e.Version = version.Version
	}
	switch {
	case e.Version != site.EventVersion:
		return log, nil, fmt.Errorf("version %d is not known, only %d", e.Version, site.EventVersion)
	case err != nil:
		return log, nil, fmt.Errorf("malformed JSON: %w", err)
	}
	switch {
	case log.Created.IsZero():
		return log, nil, fmt.Errorf("the header %s is missing", createdHeader)
	case e.Deployment == "" || e.Deployment != log.Deployment:
		return log, nil, fmt.Errorf("the key is not the event's deployment")
	case e.Attempt < 0 || e.Attempt > 1<<16-1:
		return log, nil, fmt.Errorf("attempt %d is out of range", e.Attempt)
	}
	return log, e, controlplane.CheckEvent(e)
}
