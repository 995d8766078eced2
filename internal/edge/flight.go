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
	return fl.wait(ctx)
}

// begin starts the work unless it is under way already.
func (f *flights[K, V]) begin(key K, work func() (V, error)) (*flight[V], error) {
	var none V
	fl, _, err := f.together(1, func(int) K { return key }, func(K) (V, bool) { return none, false }, func(land []landing[V]) { land[0](work()) })
	return fl, err
}

// wait returns what the work returned, or the context's error where that ends
// first.
func (fl *flight[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	}
}

// landed reports whether the work is done.
func (fl *flight[V]) landed() bool {
	select {
	case <-fl.done:
		return true
	default:
		return false
	}
}

// of returns what is under way for a key; nil where nothing is.
func (f *flights[K, V]) of(key K) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[key]
}

// landing ends a flight: its waiters get the value, or the error.
type landing[V any] func(V, error)

// together starts work that brings several values, in their order, unless the
// first of them is on its way already, or here by now. Those behind the first
// take part up to one of which that is so. The work must land each of them;
// begun says how many that are.
func (f *flights[K, V]) together(count int, key func(int) K, here func(K) (V, bool), work func([]landing[V])) (first *flight[V], begun int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.open[key(0)]; ok {
		return fl, 0, nil
	}
	var landings []landing[V]
	for i := range count {
		k := key(i)
		fl := &flight[V]{done: make(chan struct{})}
		if f.open[k] != nil {
			break
		}
		if value, ok := here(k); ok {
			if i == 0 {
				fl.value = value
				close(fl.done)
				return fl, 0, nil
			}
			break
		}
		if i == 0 {
			first = fl
		}
		f.open[k] = fl
		landings = append(landings, func(value V, err error) {
			fl.value, fl.err = value, err
			f.mu.Lock()
			delete(f.open, k)
			f.mu.Unlock()
			close(fl.done)
		})
	}
	if !f.tasks.start(func() { work(landings) }) {
		for i := range landings {
			delete(f.open, key(i))
		}
		return nil, 0, errClosed
	}
	return first, len(landings), nil
}
