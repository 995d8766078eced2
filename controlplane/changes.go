package controlplane

import (
	"context"
	"sync"
)

// changeBuffer is how many changes wait for a slow reader before it is cut off.
const changeBuffer = 256

// changeHub passes changes on to whoever watches.
type changeHub struct {
	mu       sync.Mutex
	watchers map[*changeWatcher]struct{}
	closed   bool
}

type changeWatcher struct {
	user string
	c    chan Change
}

func newChangeHub() *changeHub { return &changeHub{watchers: map[*changeWatcher]struct{}{}} }

func (h *changeHub) watch(user string) *changeWatcher {
	w := &changeWatcher{user: user, c: make(chan Change, changeBuffer)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(w.c)
		return w
	}
	h.watchers[w] = struct{}{}
	return w
}

func (h *changeHub) leave(w *changeWatcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(w)
}

// drop closes a watcher's channel, once.
func (h *changeHub) drop(w *changeWatcher) {
	if _, ok := h.watchers[w]; ok {
		delete(h.watchers, w)
		close(w.c)
	}
}

// send never waits: who does not keep up is cut off, and must read everything
// anew.
func (h *changeHub) send(user string, c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.user != user {
			continue
		}
		select {
		case w.c <- c:
		default:
			h.drop(w)
		}
	}
}

// cut ends every watch: whoever watches must read everything anew.
func (h *changeHub) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		h.drop(w)
	}
}

// close ends every watch, and those to come.
func (h *changeHub) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cut()
}

// Changes tells of every change of the principal's projects and deployments.
// The channel is closed when ctx ends, when the service stops, when the reader
// did not keep up, and when changes on another control plane may have been
// missed: it must then read everything again.
func (s *Service) Changes(ctx context.Context, p Principal) (<-chan Change, error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	w := s.changes.watch(p.UserID)
	context.AfterFunc(ctx, func() { s.changes.leave(w) })
	return w.c, nil
}
