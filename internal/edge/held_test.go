package edge

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestWhatWasReadIsNotRestoredOver: a slow look-up that falls back to the state
// directory finds that another was faster, and leaves its record alone.
func TestWhatWasReadIsNotRestoredOver(t *testing.T) {
	var h held[site.Project]
	old, current := &site.Project{ID: "p", Generation: 1}, &site.Project{ID: "p", Generation: 2, State: site.ProjectSuspended}
	if got := h.restore(old); got != old || !h.stale.Load() {
		t.Errorf("where there is nothing: %+v", got)
	}
	h.value.Store(current)
	h.stale.Store(false)
	if got := h.restore(old); got != current || h.value.Load() != current || h.stale.Load() {
		t.Errorf("where something was read: %+v", got)
	}
}

// TestAKnownHostHasAView: even where its route was read again before it had its
// first one.
func TestAKnownHostHasAView(t *testing.T) {
	h := newHost("site.example.test")
	first, second := &site.Route{Generation: 1}, &site.Route{Generation: 2}
	h.route.value.Store(second)
	if h.turn(newHostView(first, nil)); h.view.Load() == nil {
		t.Fatal("requests would find nothing")
	}
	if h.turn(newHostView(second, nil)); h.view.Load().route != second {
		t.Error("the newer route is not shown")
	}
	if h.turn(newHostView(first, nil)) || h.view.Load().route != second {
		t.Error("the older route is shown again")
	}
}
