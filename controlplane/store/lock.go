package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// LockProject implements [controlplane.Store].
func (s *Store) LockProject(ctx context.Context, project string) (locked context.Context, unlock func(), err error) {
	leave, err := s.local.lock(ctx, project)
	if err == nil && s.postgres == nil {
		// One process has the database open: a lock in memory is among all.
		locked, cancel := context.WithCancel(ctx)
		return locked, sync.OnceFunc(func() { cancel(); leave() }), nil
	}
	if err == nil {
		var release func()
		if locked, release, err = s.postgres.lockProject(ctx, project); err == nil {
			return locked, sync.OnceFunc(func() { release(); leave() }), nil
		}
		leave()
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = errors.Join(ctx.Err(), err)
	}
	return nil, nil, fmt.Errorf("lock project %s: %w", project, err)
}

// errLockLost is what ends whoever held a project's lock when its connection to
// the database broke.
var errLockLost = controlplane.Errorf(controlplane.CodeUnavailable, "The connection to the database broke during this: try again.")

// localLocks are the locks of projects within this process.
type localLocks struct {
	mu    sync.Mutex
	locks map[string]*localLock
}

type localLock struct {
	held    chan struct{} // holds one element while the lock is taken
	waiting int           // holder included
}

func (l *localLocks) lock(ctx context.Context, project string) (unlock func(), err error) {
	l.mu.Lock()
	if l.locks == nil {
		l.locks = map[string]*localLock{}
	}
	one := l.locks[project]
	if one == nil {
		one = &localLock{held: make(chan struct{}, 1)}
		l.locks[project] = one
	}
	one.waiting++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.waiting--; one.waiting == 0 {
			delete(l.locks, project)
		}
	}
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
