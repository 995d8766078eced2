package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mini-vercel/mini-vercel/controlplane"
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
		// The connection may serve other requests afterwards.
		defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }()
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no") // proxies would hold events back
		w.WriteHeader(http.StatusOK)
		// Told at once, so that a page knows that it is connected.
		s.buffer.WriteString("retry: 1000\n") // milliseconds
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
			// Whoever is signed out, or whose token was revoked, sees no more.
			if !a.stillSignedIn(hc.Context()) || !s.comment("alive") {
				return
			}
		case <-a.Draining:
			return
		case <-hc.Context().Done():
			return
		}
	}
}

// streamCount knows how many streams each user has open.
type streamCount struct {
	mu   sync.Mutex
	open map[string]int
}

// enter counts a stream until its request ends, or refuses it.
func (a *API) enter(ctx context.Context, p controlplane.Principal) error {
	s := &a.streams
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := a.limits.rates.Streams; most >= 0 && s.open[p.UserID] >= most {
		a.Metrics.limited.WithLabelValues("streams").Inc()
		refused := problem(http.StatusTooManyRequests, "You have too many streams open. Close some pages.")
		refused.header.Set("Retry-After", "10")
		return refused
	}
	s.open[p.UserID]++
	a.Metrics.streams.Inc()
	context.AfterFunc(ctx, func() {
		a.Metrics.streams.Dec()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[p.UserID]--; s.open[p.UserID] == 0 {
			delete(s.open, p.UserID)
		}
	})
	return nil
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
