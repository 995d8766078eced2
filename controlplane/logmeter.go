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
	last  Cursor
	full  bool
	heard time.Time // when the database was last told that the builder lives
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

// keepLines keeps the lines of events: each once, none too long, and no more
// than a deployment may have. The meter is locked.
func (s *Service) keepLines(ctx context.Context, meter *logMeter, log LogRef, attempt int, events []site.Event) error {
	if !meter.known {
		bytes, last, err := s.logs.Extent(ctx, log)
		if err != nil {
			return err
		}
		meter.bytes, meter.last, meter.known = bytes, last, true
	}
	var lines []LogLine
	bytes, last, full := meter.bytes, meter.last, meter.full
	limits := s.config.Limits
	for _, e := range events {
		for i, l := range e.Lines {
			seq := e.Seq + int64(i)
			if !last.Before(attempt, seq) || full {
				continue
			}
			line := LogLine{Attempt: attempt, Seq: seq, Time: s.plausible(l.Time), Stream: l.Stream, Phase: e.Phase, Text: cleanLine(l.Text, limits.LogLineBytes)}
			if bytes+int64(len(line.Text)) > limits.LogBytes+logSlack {
				full = true
				s.metrics.cut.Inc()
				line.Stream = site.System
				line.Text = fmt.Sprintf("The log has reached its limit of %s: what follows is left out.", mebibytes(limits.LogBytes))
			}
			bytes += int64(len(line.Text))
			last = Cursor{attempt, seq}
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if err := s.logs.Append(ctx, LogBatch{log, lines}); err != nil {
		return err
	}
	meter.bytes, meter.last, meter.full = bytes, last, full
	s.metrics.lines.Add(float64(len(lines)))
	s.lines.kept(log.Deployment, lines)
	return nil
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
