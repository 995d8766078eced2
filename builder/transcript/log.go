package transcript

import (
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// lineCost is what a line counts against the limit besides its text: without
// it, a build that prints nothing but line breaks would have no limit.
const lineCost = 16

// Log takes the output of commands, one after the other or several at once, and
// hands on its lines.
type Log struct {
	limit     int64 // of all text, in bytes
	lineLimit int
	masker    *Masker
	emit      func(site.LogLine)
	now       func() time.Time

	mu   sync.Mutex
	used int64
	cut  bool
}

// New makes a log. Emit is called for every line, by one goroutine at a time.
func New(limits site.Limits, masker *Masker, now func() time.Time, emit func(site.LogLine)) *Log {
	return &Log{limit: limits.LogBytes, lineLimit: limits.LogLineBytes, masker: masker, emit: emit, now: now}
}

// Say writes a line of Mini-Vercel's own. It is kept past the limit, too.
func (l *Log) Say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	start := 0
	for i := range len(text) + 1 {
		if i == len(text) || text[i] == '\n' {
			l.emit(l.line(site.System, l.Masked(text[start:i]), false))
			start = i + 1
		}
	}
}

// Masked returns the text without secrets and control characters.
func (l *Log) Masked(text string) string {
	return l.masker.Apply(clean(l.masker.Apply(text)))
}

// Cut reports whether the log has reached its limit.
func (l *Log) Cut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut
}

func (l *Log) line(stream site.Stream, text string, cut bool) site.LogLine {
	if cut || len(text) > l.lineLimit {
		text = l.shorten(text)
	}
	return site.LogLine{Time: l.now().UTC(), Stream: stream, Text: text}
}

// shorten cuts a line that is too long, and says so.
func (l *Log) shorten(text string) string {
	note := fmt.Sprintf(" … (line cut at %d bytes)", l.lineLimit)
	end := min(max(l.lineLimit-len(note), 0), len(text))
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + note
}

// add takes one raw line of a command, all of it or its beginning, and reports
// whether more are wanted.
func (l *Log) add(stream site.Stream, raw string, redrawn bool) bool {
	// Masked first: a secret that reaches past the limit must not be cut.
	cut := len(raw) > l.lineLimit
	text := l.masker.Apply(clean(l.masker.applyTo(raw, min(len(raw), l.lineLimit))))
	if redrawn && text == "" {
		return !l.Cut() // a progress bar that cleared its line
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	line := l.line(stream, text, cut)
	if l.used += int64(len(line.Text)) + lineCost; l.used > l.limit {
		l.cut = true
		l.emit(l.line(site.System, fmt.Sprintf("The log has reached its limit of %s: what follows is not kept. The build goes on.", size(l.limit)), false))
		return false
	}
	l.emit(line)
	return true
}

// Writer returns a writer for one stream of one command. Its Close hands on a
// last line that has no line break.
func (l *Log) Writer(stream site.Stream) *Writer {
	return &Writer{log: l, stream: stream, keep: l.lineLimit + l.masker.Longest() + utf8.UTFMax}
}

func size(bytes int64) string {
	if bytes >= 1<<20 && bytes%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	if bytes >= 1<<10 && bytes%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
