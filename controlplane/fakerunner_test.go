package controlplane_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	ended    map[string]controlplane.BuilderExit // what a look says of those that ended
	swept    int
	failures int  // how many starts are still to fail
	full     int  // how many are still to find no room
	survives bool // builders outlive their control plane
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
		return "", errors.New("it is broken")
	}
	if r.full > 0 {
		r.full--
		return "", fmt.Errorf("start: %w", controlplane.ErrNoRoom)
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
	if exit, ok := r.ended[handle]; ok {
		return controlplane.BuilderState{Exit: exit}, nil
	}
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

// Sweep ends the builders whose attempt is over, as one does of which several
// control planes have some.
func (r *fakeRunner) Sweep(ctx context.Context, over func(context.Context, string) (bool, error)) (ended int, err error) {
	r.mu.Lock()
	r.swept++
	handles := slices.Collect(maps.Keys(r.builders))
	r.mu.Unlock()
	for _, handle := range handles {
		gone, err := over(ctx, handle)
		if err != nil {
			return ended, err
		}
		if gone {
			ended++
			_ = r.Stop(ctx, handle)
		}
	}
	return ended, nil
}

func (r *fakeRunner) Survives() bool { return r.survives }

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
