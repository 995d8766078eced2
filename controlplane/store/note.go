package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// noteHub passes notes on within this process, which alone has an SQLite
// database open.
type noteHub struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

// listener has what somebody has not heard yet.
type listener struct {
	notes chan string
	gap   chan struct{} // holds an element where notes found no room
}

// noteBuffer is how many notes wait for a listener. Beyond it he misses some.
const noteBuffer = 1024

func (h *noteHub) pass(notes []string) {
	if len(notes) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		for _, note := range notes {
			select {
			case l.notes <- note:
				continue
			default:
			}
			select {
			case l.gap <- struct{}{}:
			default:
			}
		}
	}
}

// Notify implements [controlplane.WorkRows].
func (t *tx) Notify(note string) error {
	if len(note) > controlplane.MaxNote {
		return fmt.Errorf("a note has %d bytes, the most is %d", len(note), controlplane.MaxNote)
	}
	if t.postgres != nil {
		_, err := t.exec("SELECT pg_notify($1, $2)", noteChannel, note)
		return err
	}
	t.notes = append(t.notes, note)
	return nil
}

// Listen implements [controlplane.Store].
func (s *Store) Listen(ctx context.Context, heard func(note string), gap func()) {
	if s.postgres != nil {
		s.postgres.listen(ctx, heard, gap)
		return
	}
	l := &listener{notes: make(chan string, noteBuffer), gap: make(chan struct{}, 1)}
	s.notes.mu.Lock()
	if s.notes.listeners == nil {
		s.notes.listeners = map[*listener]struct{}{}
	}
	s.notes.listeners[l] = struct{}{}
	s.notes.mu.Unlock()
	defer func() {
		s.notes.mu.Lock()
		defer s.notes.mu.Unlock()
		delete(s.notes.listeners, l)
	}()
	gap()
	for {
		select {
		case note := <-l.notes:
			heard(note)
		case <-l.gap:
			gap()
		case <-ctx.Done():
			return
		}
	}
}
