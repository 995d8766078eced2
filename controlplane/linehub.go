package controlplane

import "sync"

// lineBuffer is how many batches of lines wait for a slow reader. Beyond it he
// reads the log store instead; a builder never waits for a reader.
const lineBuffer = 64

// lineHub passes the lines of logs, and the word that a deployment changed, on
// to whoever follows it.
type lineHub struct {
	mu       sync.Mutex
	watchers map[string]map[*lineWatcher]struct{} // by deployment
}

type lineWatcher struct {
	deployment string
	bell       chan struct{}  // the deployment changed, or lines were lost
	lines      chan []LogLine // as they were kept

	mu   sync.Mutex
	lost bool // batches that found no room
}

func newLineHub() *lineHub { return &lineHub{watchers: map[string]map[*lineWatcher]struct{}{}} }

func (h *lineHub) follow(deployment string) *lineWatcher {
	w := &lineWatcher{deployment: deployment, bell: make(chan struct{}, 1), lines: make(chan []LogLine, lineBuffer)}
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

// kept passes lines on that the log store has kept. Who has lost some gets no
// more until he has read the store: he would take the later ones for the next.
func (h *lineHub) kept(deployment string, lines []LogLine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers[deployment] {
		w.offer(lines)
	}
}

func (w *lineWatcher) offer(lines []LogLine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return
	}
	select {
	case w.lines <- lines:
	default:
		w.lost = true
		wake(w.bell)
	}
}

// setLost marks the watcher as one that must read the store, or as one that is
// about to.
func (w *lineWatcher) setLost(lost bool) (was bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, w.lost = w.lost, lost
	return was
}
