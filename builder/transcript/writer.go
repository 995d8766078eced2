package transcript

import (
	"bytes"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// writer splits one stream into lines, at \n, \r\n and \r alike.
type writer struct {
	log    *Log
	stream site.Stream
	keep   int    // bytes of a line that are looked at; the rest is dropped
	line   []byte // the beginning of the line that is under way
	began  bool   // the line has bytes, kept or dropped
	cr     bool   // the last byte was \r: a \n that follows belongs to it
	done   bool   // the log is full
}

// Write never fails and never blocks on anything but the log's own reader: a
// full log must not stop a build.
func (w *writer) Write(p []byte) (int, error) {
	n := len(p)
	if w.done {
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
		w.flush(w.cr && !(end+1 < len(p) && p[end+1] == '\n'))
		p = p[end+1:]
	}
	return n, nil
}

func (w *writer) take(p []byte) {
	if len(p) > 0 {
		w.began = true
		w.line = append(w.line, p[:min(len(p), w.keep-len(w.line))]...)
	}
}

func (w *writer) flush(redrawn bool) {
	w.done = !w.log.add(w.stream, string(w.line), redrawn)
	w.line, w.began = w.line[:0], false
	if w.done {
		w.line = nil
	}
}

// Close hands on what has no line break yet.
func (w *writer) Close() error {
	if w.began && !w.done {
		w.flush(false)
	}
	return nil
}
