package edge

import (
	"context"
	"errors"
	"sync"
)

var errClosed = errors.New("the edge is closed")

// tasks are the goroutines of an edge: their owner waits for all of them.
type tasks struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// start runs f in a goroutine of its own, unless the edge is closed.
func (t *tasks) start(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.group.Go(f)
	return true
}

// wait refuses further tasks and returns when those that run have ended.
func (t *tasks) wait() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.group.Wait()
}

// flights lets many callers wait for one piece of work. The work runs on its
// own: a caller that leaves, the first one included, does not end it.
type flights[K comparable, V any] struct {
	tasks *tasks
	mu    sync.Mutex
	open  map[K]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
}

func newFlights[K comparable, V any](t *tasks) *flights[K, V] {
	return &flights[K, V]{tasks: t, open: map[K]*flight[V]{}}
}

// do returns what work returns, or the context's error where that ends first.
func (f *flights[K, V]) do(ctx context.Context, key K, work func() (V, error)) (V, error) {
	fl, err := f.begin(key, work)
	if err != nil {
		var none V
		return none, err
	}
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	}
}

// begin starts the work unless it runs already.
func (f *flights[K, V]) begin(key K, work func() (V, error)) (*flight[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.open[key]; ok {
		return fl, nil
	}
	fl := &flight[V]{done: make(chan struct{})}
	started := f.tasks.start(func() {
		fl.value, fl.err = work()
		f.mu.Lock()
		delete(f.open, key)
		f.mu.Unlock()
		close(fl.done)
	})
	if !started {
		return nil, errClosed
	}
	f.open[key] = fl
	return fl, nil
}
