package controlplane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// logSlack is what a deployment's log may have beyond its limit before the
// control plane cuts it: a builder that keeps the limit itself says so in a line
// of its own.
const logSlack = 64 << 10

// logMeters measure how much log each running deployment has. They also make
// its events come in one after the other.
type logMeters struct {
	mu sync.Mutex
	of map[string]*logMeter // by deployment
}

type logMeter struct {
	mu    sync.Mutex
	known bool // what follows was read from the store
	bytes int64
	again int64  // how many bytes there are when the store is asked again
	last  Cursor // of the last event that was published
	full  bool
	heard time.Time // when the database was last told that the builder lives
	ended time.Time // when the builder first said that the attempt has failed
}

func newLogMeters() *logMeters { return &logMeters{of: map[string]*logMeter{}} }

func (m *logMeters) get(deployment string) *logMeter {
	m.mu.Lock()
	defer m.mu.Unlock()
	meter := m.of[deployment]
	if meter == nil {
		meter = &logMeter{}
		m.of[deployment] = meter
	}
	return meter
}

// drop forgets a deployment that has ended; it is measured anew where needed.
func (m *logMeters) drop(deployment string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, deployment)
}

// measureTime bounds the look at how much log there is: where the log store
// does not answer, the stream may take events all the same.
const measureTime = 2 * time.Second

// measureParts is how often, while a log grows to its limit, it is asked anew
// how much there is: other control planes may have taken in some of it. So a
// builder that keeps no limit has at most this part of it beyond, for each.
const measureParts = 16

// keepEvents publishes events: each once, no line too long, and no more lines
// than a deployment may have. The meter is locked.
func (s *Service) keepEvents(ctx context.Context, meter *logMeter, log LogRef, events []site.Event) error {
	if !meter.known || !s.config.Exclusive && meter.bytes >= meter.again {
		measure, cancel := context.WithTimeout(ctx, measureTime)
		bytes, last, err := s.logs.Extent(measure, log)
		cancel()
		if err == nil {
			meter.bytes = max(meter.bytes, bytes)
			if !meter.known {
				meter.last = last
			}
		}
		meter.again = meter.bytes + s.config.Limits.LogBytes/measureParts
	}
	next := logMeter{known: true, bytes: meter.bytes, last: meter.last, full: meter.full}
	kept, lines := make([]site.Event, 0, len(events)), 0
	for i := range events {
		if e, ok := s.cleanEvent(&next, events[i]); ok {
			kept = append(kept, e)
			lines += len(e.Lines)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if err := s.stream.Publish(ctx, log, kept); err != nil {
		s.log.Warn("events can't be kept at the moment; their builder sends them again", "deployment", log.Deployment, "error", err)
		return Errorf(CodeUnavailable, "The log can't be kept at the moment: send the events again.")
	}
	meter.known, meter.bytes, meter.last, meter.full = true, next.bytes, next.last, next.full
	s.metrics.lines.Add(float64(lines))
	return nil
}

// cleanEvent returns what is kept of an event, if anything, and counts it.
func (s *Service) cleanEvent(meter *logMeter, e site.Event) (site.Event, bool) {
	from := e
	e.Time, e.Lines, e.Detected = s.plausible(e.Time), nil, nil
	e.Reason = cutText(e.Reason, maxReason)
	if e.Source != nil {
		var d DeploymentRow
		applySource(&d, e.Source, e.Time)
		e.Source = &d.Source
	}
	if e.Type != site.EventLog {
		if !meter.last.Before(e.Attempt, e.Seq) {
			return e, false
		}
		meter.last = Cursor{e.Attempt, e.Seq}
		return e, true
	}
	limits := s.config.Limits
	for i, l := range from.Lines {
		seq := from.Seq + int64(i)
		if !meter.last.Before(e.Attempt, seq) || meter.full {
			continue
		}
		l.Time, l.Text = s.plausible(l.Time), cleanLine(l.Text, limits.LogLineBytes)
		if meter.bytes+int64(len(l.Text)) > limits.LogBytes+logSlack {
			meter.full = true
			s.metrics.cut.Inc()
			l.Stream = site.System
			l.Text = fmt.Sprintf("The log has reached its limit of %s: what follows is left out.", mebibytes(limits.LogBytes))
		}
		if len(e.Lines) == 0 {
			e.Seq = seq
		}
		meter.bytes += int64(len(l.Text))
		meter.last = Cursor{e.Attempt, seq}
		e.Lines = append(e.Lines, l)
	}
	return e, len(e.Lines) > 0
}

// cleanLine makes of a line text that every store takes, at most so many bytes,
// and marks it where it was cut.
func cleanLine(text string, most int) string {
	const mark = " … (line cut)"
	if clean := cutText(text, len(text)*len("\uFFFD")); len(clean) <= most {
		return clean
	}
	return cutText(text, max(most-len(mark), 0)) + mark
}

// cutText returns the beginning of a text, at most so many bytes, as valid
// UTF-8 without NUL.
func cutText(text string, most int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	n := min(len(text), most)
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
