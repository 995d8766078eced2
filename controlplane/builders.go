package controlplane

import (
	"context"
	"sync"
	"time"
)

// stopTime is how long the end of one builder may take.
const stopTime = 30 * time.Second

// builderSet names the builders that this control plane looks after.
type builderSet struct {
	mu sync.Mutex
	of map[string]runningBuilder // by handle
	// early are exits that came before the builder was added: one that ends at
	// once may be faster than the return of its start.
	early    map[string]BuilderExit
	starting map[Attempt]bool // whose builder is being started
}

// maxEarly bounds exits of builders that are never added.
const maxEarly = 1000

type runningBuilder struct {
	attempt Attempt
	overAt  time.Time // since when its attempt is over; zero: it is not
	ending  bool
}

func newBuilderSet() *builderSet {
	return &builderSet{of: map[string]runningBuilder{}, early: map[string]BuilderExit{}, starting: map[Attempt]bool{}}
}

// begin notes that a builder is going to be started.
func (b *builderSet) begin(a Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.starting[a] = true
}

// began notes that the start has ended.
func (b *builderSet) began(a Attempt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.starting, a)
}

// handleOf names the builder of an attempt, and says whether one is being
// started.
func (b *builderSet) handleOf(a Attempt) (handle string, starting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for handle, r := range b.of {
		if r.attempt == a {
			return handle, b.starting[a]
		}
	}
	return "", b.starting[a]
}

// add begins to look after a builder, unless it has ended already.
func (b *builderSet) add(handle string, a Attempt) (exit BuilderExit, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if exit, ended = b.early[handle]; ended {
		delete(b.early, handle)
		return exit, true
	}
	b.of[handle] = runningBuilder{attempt: a}
	return exit, false
}

// exited forgets a builder that has ended by itself, and returns its attempt.
func (b *builderSet) exited(exit BuilderExit) (Attempt, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.of[exit.Handle]
	delete(b.of, exit.Handle)
	if !ok {
		// Some are of builders that others look after: any gives way.
		for handle := range b.early {
			if len(b.early) < maxEarly {
				break
			}
			delete(b.early, handle)
		}
		b.early[exit.Handle] = exit
	}
	return r.attempt, ok
}

// remove forgets a builder that was ended, and returns its attempt.
func (b *builderSet) remove(handle string) Attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of[handle]
	delete(b.of, handle)
	return r.attempt
}

func (b *builderSet) all() map[string]Attempt {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]Attempt, len(b.of))
	for handle, r := range b.of {
		out[handle] = r.attempt
	}
	return out
}

// over notes that a builder's attempt is over, and reports for how long.
func (b *builderSet) over(handle string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.of[handle]
	if !ok {
		return 0
	}
	if r.overAt.IsZero() {
		r.overAt = now
		b.of[handle] = r
	}
	return now.Sub(r.overAt)
}

// end reports whether the caller is the one who ends a builder.
func (b *builderSet) end(handle string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.of[handle]
	if r.ending {
		return false
	}
	if ok {
		r.ending = true
		b.of[handle] = r
	}
	return true
}

func (b *builderSet) notEnded(handle string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.of[handle]; ok {
		r.ending = false
		b.of[handle] = r
	}
}

// endBuilder stops one builder and all that it started, without waiting for it.
func (s *Service) endBuilder(handle string) {
	if handle == "" {
		return
	}
	// Where the service stops already, the drain ends every builder.
	s.spawn(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		s.stopBuilder(ctx, handle)
	})
}

func (s *Service) stopBuilder(ctx context.Context, handle string) {
	if !s.builders.end(handle) {
		return
	}
	if err := s.runner.Stop(ctx, handle); err != nil {
		s.log.Error("can't stop a builder", "builder", handle, "error", err)
		s.builders.notEnded(handle) // the next round tries again
		return
	}
	s.meters.drop(s.builders.remove(handle).Deployment)
	wake(s.wakeDispatcher)
}
