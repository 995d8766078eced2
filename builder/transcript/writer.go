package transcript

import (
	"bytes"
	"slices"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// restBytes is how much is remembered of what a full log does not take.
const restBytes = 8 << 10

// Writer splits one stream of a command into lines, at \n, \r\n and \r alike.
type Writer struct {
	log    *Log
	stream site.Stream
	keep   int    // bytes of a line that are looked at; the rest is dropped
	line   []byte // the beginning of the line that is under way
	began  bool   // the line has bytes, kept or dropped
	cr     bool   // the last byte was \r: a \n that follows belongs to it
	done   bool   // the log is full
	rest   []byte // the last bytes since then
}

// Write never fails and never blocks on anything but the log's own reader: a
// full log must not stop a build.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	if w.done {
		w.remember(p)
		return n, nil
	}
	for len(p) > 0 && !w.done {
		if w.cr && p[0] == '\n' {
			p, w.cr = p[1:], false
			continue
		}
		w.cr = false
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			w.take(p)
			break
		}
		w.take(p[:end])
		w.cr = p[end] == '\r'
		w.flush(w.cr && (end+1 == len(p) || p[end+1] != '\n'))
		p = p[end+1:]
	}
	if w.done {
		w.remember(p)
	}
	return n, nil
}

func (w *Writer) remember(p []byte) {
	if len(p) >= restBytes {
		w.rest = append(w.rest[:0], p[len(p)-restBytes:]...)
		return
	}
	if over := len(w.rest) + len(p) - restBytes; over > 0 {
		w.rest = w.rest[:copy(w.rest, w.rest[over:])]
	}
	w.rest = append(w.rest, p...)
}

// Rest returns the last whole lines that the full log has not taken, at most so
// many: they say why a command has failed that printed too much.
func (w *Writer) Rest(most int) []string {
	// The first line may have lost its beginning, and with it that of a secret.
	_, whole, _ := bytes.Cut(w.rest, []byte("\n"))
	var lines []string
	for line := range bytes.Lines(whole) {
		if text := w.log.Masked(string(bytes.TrimRight(line, "\r\n"))); text != "" {
			lines = append(lines, text)
		}
	}
	return lines[max(len(lines)-most, 0):]
}

func (w *Writer) take(p []byte) {
	if len(p) > 0 {
		w.began = true
		w.line = append(w.line, p[:min(len(p), w.keep-len(w.line))]...)
	}
}

func (w *Writer) flush(redrawn bool) {
	w.done = !w.log.add(w.stream, string(w.line), redrawn)
	if w.done {
		if len(w.line) <= w.log.lineLimit { // else it may end within a secret
			w.remember(slices.Concat([]byte("\n"), w.line, []byte("\n")))
		}
		w.line = nil
	}
	w.line, w.began = w.line[:0], false
}

// Close hands on what has no line break yet.
func (w *Writer) Close() error {
	if w.began && !w.done {
		w.flush(false)
	}
	return nil
}
