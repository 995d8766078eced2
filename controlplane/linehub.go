package controlplane

import "sync"

// lineHub passes the word that a deployment changed on to whoever follows it.
type lineHub struct {
	mu       sync.Mutex
	watchers map[string]map[*lineWatcher]struct{} // by deployment
}

type lineWatcher struct {
	deployment string
	bell       chan struct{} // the deployment changed
}

func newLineHub() *lineHub { return &lineHub{watchers: map[string]map[*lineWatcher]struct{}{}} }

func (h *lineHub) follow(deployment string) *lineWatcher {
	w := &lineWatcher{deployment: deployment, bell: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[deployment] == nil {
		h.watchers[deployment] = map[*lineWatcher]struct{}{}
	}
	h.watchers[deployment][w] = struct{}{}
	return w
}

func (h *lineHub) leave(w *lineWatcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[w.deployment], w)
	if len(h.watchers[w.deployment]) == 0 {
		delete(h.watchers, w.deployment)
	}
}

// changed rings for everyone who follows a deployment.
func (h *lineHub) changed(deployment string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[deployment] {
		wake(w.bell)
	}
}

// allChanged rings for everyone.
func (h *lineHub) allChanged() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, watchers := range h.watchers {
		for w := range watchers {
			wake(w.bell)
		}
	}
}
