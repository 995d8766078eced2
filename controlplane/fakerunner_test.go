package controlplane_test

import (
	"context"
	"errors"
	"sync"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// fakeRunner stands where processes would be started: it notes what it is asked
// and lets tests be the builder.
type fakeRunner struct {
	mu       sync.Mutex
	builders map[string]controlplane.Builder // that run, by handle
	started  []controlplane.Builder          // ever
	stopped  []string
	swept    [][]string
	failures int  // how many starts are still to fail
	instant  bool // builders end before their start has returned
	exits    chan controlplane.BuilderExit
	news     chan controlplane.Builder
}

func newFakeRunner() *fakeRunner {
	return &fakeRunner{
		builders: map[string]controlplane.Builder{},
		exits:    make(chan controlplane.BuilderExit, 1000),
		news:     make(chan controlplane.Builder, 1000),
	}
}

func (r *fakeRunner) Start(_ context.Context, b controlplane.Builder) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures > 0 {
		r.failures--
		return "", errors.New("no room")
	}
	if r.instant {
		r.exits <- controlplane.BuilderExit{Handle: b.Attempt, Code: 2, Reason: "it ended at once"}
		return b.Attempt, nil
	}
	r.builders[b.Attempt] = b
	r.started = append(r.started, b)
	r.news <- b
	return b.Attempt, nil
}

func (r *fakeRunner) Look(_ context.Context, handle string) (controlplane.BuilderState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.builders[handle]
	return controlplane.BuilderState{Running: ok, Exit: controlplane.BuilderExit{Handle: handle, Code: -1, Lost: true}}, nil
}

func (r *fakeRunner) Stop(_ context.Context, handle string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.builders, handle)
	r.stopped = append(r.stopped, handle)
	return nil
}

func (r *fakeRunner) Exits() <-chan controlplane.BuilderExit { return r.exits }

func (r *fakeRunner) Sweep(_ context.Context, keep []string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swept = append(r.swept, keep)
	return 0, nil
}

func (r *fakeRunner) Survives() bool { return false }

// exit ends a builder by itself.
func (r *fakeRunner) exit(handle string, code int, reason string) {
	r.mu.Lock()
	delete(r.builders, handle)
	r.mu.Unlock()
	r.exits <- controlplane.BuilderExit{Handle: handle, Code: code, Reason: reason}
}

func (r *fakeRunner) running() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.builders)
}
