package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// A lock is an object. Who creates it where there is none has the lock, and
// writes it anew every refreshEvery, so that its ETag changes. Whoever waits
// looks at the ETag: once that has stood still for staleAfter, by the waiter's
// own monotonic clock, the holder is gone, and the waiter that first writes over
// that very ETag has the lock. No two clocks are compared.
const (
	refreshEvery = 5 * time.Second
	staleAfter   = 30 * time.Second
	lockPoll     = 500 * time.Millisecond
	// deleteWithin is how fresh a lock must be for its holder to delete it: no
	// bucket deletes on a condition, but nobody takes a lock over before
	// staleAfter, and the call ends before that.
	deleteWithin = 10 * time.Second
	// lockFailures in a row end a wait.
	lockFailures = 3
)

// sighting is another's lock: its ETag, and since when it has stood still.
type sighting struct {
	etag  string
	since time.Time
}

// Lock waits until this process has a lock. A call to the bucket that is under
// way when the context ends is not cut: it may have taken the lock already.
func (s *Storage) Lock(ctx context.Context, name string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	begun := time.Now()
	_, err := s.lock(ctx, name, false)
	s.metrics.count(opLock, resultOf(err, ResultOK))
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	s.metrics.lockWait.Observe(time.Since(begun).Seconds())
	return nil
}

// TryLock takes a lock if nobody has it.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	if err := s.begin(); err != nil {
		return false, err
	}
	defer s.end()
	won, err := s.tryLock(ctx, name)
	if !won && err == nil {
		s.metrics.count(opLock, ResultBusy)
		return false, nil
	}
	s.metrics.count(opLock, resultOf(err, ResultOK))
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", name, err)
	}
	return true, nil
}

func (s *Storage) tryLock(ctx context.Context, name string) (bool, error) {
	return s.lock(ctx, name, true)
}

func (s *Storage) lock(ctx context.Context, name string, once bool) (bool, error) {
	l, err := s.reserve(ctx, name, once)
	if l == nil || err != nil {
		return false, err
	}
	won, err := s.contend(ctx, l, once)
	if !won || err != nil {
		s.release(l)
		return false, err
	}
	s.hold(l)
	return true, nil
}

// reserve makes this goroutine the only one of its process that tries to get a
// lock in the bucket; nil where another is, and once is set.
func (s *Storage) reserve(ctx context.Context, name string, once bool) (*lease, error) {
	for {
		s.mu.Lock()
		other := s.leases[name]
		if other == nil {
			l := newLease(name)
			s.leases[name] = l
			s.mu.Unlock()
			return l, nil
		}
		s.mu.Unlock()
		if once {
			return nil, nil
		}
		select {
		case <-other.free:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ctx.Done():
			return nil, ErrClosed
		}
	}
}

func (s *Storage) release(l *lease) {
	s.mu.Lock()
	delete(s.leases, l.name)
	s.mu.Unlock()
	close(l.free)
}

// contend tries to get a reserved lock in the bucket.
func (s *Storage) contend(ctx context.Context, l *lease, once bool) (bool, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(ErrClosed) })()
	for failures := 0; ; {
		won, err := s.attempt(context.WithoutCancel(ctx), l)
		switch {
		case won || err == nil && once:
			return won, nil
		case err == nil:
			failures = 0
		default:
			if failures++; once || failures == lockFailures {
				return false, err
			}
		}
		if !pause(waiting, lockPoll) {
			return false, context.Cause(waiting)
		}
	}
}

// attempt creates the lock, or takes it over where its holder is gone.
func (s *Storage) attempt(ctx context.Context, l *lease) (bool, error) {
	seen, mine, err := s.look(ctx, l)
	if mine || err != nil {
		return mine, err
	}
	condition := blob.PutOptions{IfNoneMatch: true}
	if seen.etag != "" {
		if time.Since(seen.since) < staleAfter {
			return false, nil
		}
		condition = blob.PutOptions{IfMatch: seen.etag}
	}
	switch err := s.write(ctx, l, condition); {
	case errors.Is(err, blob.ErrPrecondition) || errors.Is(err, fs.ErrNotExist):
		return false, nil // somebody was faster
	case err != nil:
		return false, err
	}
	if seen.etag != "" {
		s.metrics.takenOver.Inc()
		s.log.Warn("took over a lock whose holder is gone", slog.String("lock", l.name))
	}
	s.sighted(l.name, sighting{})
	return true, nil
}

// look returns who else has the lock, by its ETag, or that it is this very
// lease, one of whose writes was done though it seemed to fail.
func (s *Storage) look(ctx context.Context, l *lease) (seen sighting, mine bool, err error) {
	s.mu.Lock()
	seen = s.sightings[l.name]
	s.mu.Unlock()
	var body []byte
	var etag string
	asked := time.Now()
	err = s.call(ctx, &s.reads, s.config.ReadTimeout, 1, func(ctx context.Context) (err error) {
		body, etag, err = read(ctx, s.bucket, l.key, seen.etag)
		return err
	})
	switch {
	case errors.Is(err, blob.ErrNotModified):
		// It has stood still at least until it was asked for.
		seen.since = seen.since.Add(time.Since(asked))
		return seen, false, nil
	case errors.Is(err, fs.ErrNotExist):
		seen = sighting{}
	case err != nil:
		return seen, false, err
	case l.wrote(body):
		l.adopt(etag)
		seen, mine = sighting{}, true
	default:
		seen = sighting{etag, time.Now()}
	}
	s.sighted(l.name, seen)
	return seen, mine, nil
}

// maxSightings bounds the locks of others that are remembered between calls.
const maxSightings = 10_000

func (s *Storage) sighted(name string, seen sighting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen.etag == "" {
		delete(s.sightings, name)
		return
	}
	if len(s.sightings) >= maxSightings {
		for other := range s.sightings {
			delete(s.sightings, other) // any: it is only seen later again
			break
		}
	}
	s.sightings[name] = seen
}

// RenewLockLease makes sure that this process still has a lock before it works
// on under it; locks refresh themselves, however long they are held. One that
// was lost is taken again if it is free.
func (s *Storage) RenewLockLease(ctx context.Context, name string, _ time.Duration) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	s.mu.Lock()
	l := s.leases[name]
	s.mu.Unlock()
	if l == nil {
		return fmt.Errorf("renew lock %s: this process does not have it", name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lost {
		return nil
	}
	won, err := s.attempt(context.WithoutCancel(ctx), l)
	if err == nil && !won {
		err = errors.New("it was lost, and another edge has it")
	}
	if err != nil {
		return fmt.Errorf("renew lock %s: %w", name, err)
	}
	l.lost = false
	return nil
}

// Unlock gives a lock back. It deletes only what this process holds.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	if err := s.begin(); errors.Is(err, ErrClosed) {
		return nil // Close has given it up
	} else if err != nil {
		return err
	}
	defer s.end()
	err := s.unlock(ctx, name)
	s.metrics.count(opUnlock, resultOf(err, ResultOK))
	return err
}

// holds says whether this process has a lock, or had it until it was lost.
func (s *Storage) holds(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.leases[name]
	return l != nil && l.held
}

// unlockAll gives back all locks at once.
func (s *Storage) unlockAll() error {
	s.mu.Lock()
	var names []string
	for name, l := range s.leases {
		if l.held {
			names = append(names, name)
		}
	}
	s.mu.Unlock()
	outcomes := make(chan error, len(names))
	for _, name := range names {
		go func() { outcomes <- s.unlock(context.Background(), name) }()
	}
	var errs []error
	for range names {
		errs = append(errs, <-outcomes)
	}
	return errors.Join(errs...)
}

// jitter spreads a duration over half to all of it, so that a fleet does not
// act in step.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2)
}
