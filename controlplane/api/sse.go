package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

const (
	writeTime    = 15 * time.Second // for a client to accept one write
	streamBuffer = 64 << 10         // bytes that are collected for one write
)

// stream writes server-sent events (WHATWG HTML, section 9.2) to one client.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buffer  bytes.Buffer
}

// event is one message of a stream.
type event struct {
	ID   string // what Last-Event-ID names; none: the one before stays
	Name string
	Data any // as JSON
}

// source is what a stream follows: next returns false when it has ended.
type source[T any] struct {
	c    <-chan T
	show func(T) (events []event, last bool)
}

// serveEvents answers with a stream. Everything that can be refused must have
// been: the status is 200 from here on.
func serveEvents[T any](a *API, src source[T]) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		s := &stream{w: w, control: http.NewResponseController(w)}
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // proxies would hold events back
		w.WriteHeader(http.StatusOK)
		// Told at once, so that a page knows that it is connected.
		if !s.comment("hello") || r.Method == http.MethodHead {
			return
		}
		follow(a, hc, s, src)
	}}
}

func follow[T any](a *API, hc huma.Context, s *stream, src source[T]) {
	alive := time.NewTicker(a.KeepAlive)
	defer alive.Stop()
	for {
		select {
		case v, open := <-src.c:
			for open {
				events, last := src.show(v)
				for _, e := range events {
					if s.add(e) != nil {
						return
					}
				}
				if last {
					s.flush()
					return
				}
				// What waits already goes out in the same write.
				if len(src.c) == 0 || s.buffer.Len() > streamBuffer {
					break
				}
				v, open = <-src.c
			}
			if !s.flush() || !open {
				return
			}
		case <-alive.C:
			if !s.comment("alive") {
				return
			}
		case <-a.Draining:
			return
		case <-hc.Context().Done():
			return
		}
	}
}

// add puts an event into the buffer. JSON has no line breaks outside of
// strings, and none in them.
func (s *stream) add(e event) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	if e.ID != "" {
		fmt.Fprintf(&s.buffer, "id: %s\n", e.ID)
	}
	fmt.Fprintf(&s.buffer, "event: %s\ndata: %s\n\n", e.Name, data)
	return nil
}

func (s *stream) comment(text string) bool {
	fmt.Fprintf(&s.buffer, ": %s\n\n", text)
	return s.flush()
}

// flush sends the buffer and reports whether the client is still there.
func (s *stream) flush() bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := s.w.Write(s.buffer.Bytes())
	s.buffer.Reset()
	return err == nil && s.control.Flush() == nil
}
