package controlplane

import (
	"context"
	"errors"
)

// NoteRoundsAtOnce has a round keep how far it is after every project.
func NoteRoundsAtOnce() (undo func()) {
	was := noteEvery
	noteEvery = 0
	return func() { noteEvery = was }
}

// GarbageOnce carries on the round that somebody asked for.
func (s *Service) GarbageOnce(ctx context.Context) error {
	_, err := s.garbageOnce(ctx)
	return err
}

// Abandon ends the work in the background as a kill does: nothing is drained,
// published or given back.
func (s *Service) Abandon() {
	s.mu.Lock()
	s.stopping = true
	cancel := s.cancel
	s.mu.Unlock()
	close(s.stopped)
	if cancel != nil {
		cancel()
	}
	s.running.Wait()
}

// SweepOnce does what the sweeper does in the background.
func (s *Service) SweepOnce(ctx context.Context) error {
	_, err := s.sweepOnce(ctx)
	return err
}

// Collect frees what a project no longer needs.
func (s *Service) Collect(ctx context.Context, project string) error {
	return s.collect(ctx, newGarbage(s.now(), false), project)
}

// ExpireOne removes a deployment that a round found to have expired.
func (s *Service) ExpireOne(ctx context.Context, d *DeploymentRow) error {
	return s.expireOne(ctx, newGarbage(s.now(), false), d)
}

// CheckDomainsOnce does one round of looks at domains, as in the background.
func (s *Service) CheckDomainsOnce(ctx context.Context) error {
	_, err := s.under(domainsLease, s.checkDomainsOnce)(ctx)
	return err
}

// Under does work while a lease is held, as work in the background is done.
func (s *Service) Under(ctx context.Context, lease string, work func(context.Context) error) error {
	_, err := s.under(lease, func(ctx context.Context) (bool, error) { return false, work(ctx) })(ctx)
	return err
}

// WatchOnce looks after builds once.
func (s *Service) WatchOnce(ctx context.Context) error { return s.watchBuilds(ctx) }

// WakeAll has the watcher and the publisher look at once, as they do every second.
func (s *Service) WakeAll() {
	wake(s.wakeWatcher)
	wake(s.wakePublisher)
}

// RenewOnce renews claims and leases, and takes leases that are free or over.
func (s *Service) RenewOnce(ctx context.Context) error {
	return errors.Join(s.renewClaims(ctx), s.renewLeases(ctx))
}

// DispatchOnce starts what may start.
func (s *Service) DispatchOnce(ctx context.Context) error { return s.startQueued(ctx) }

// Leaving reports whether a drain has begun.
func (s *Service) Leaving() bool { return s.leaving.Err() != nil }

// Hang has the watcher have looked last longer ago than counts together.
func (s *Service) Hang() { s.seen.looked = s.seen.looked.Add(-lookGap - 1) }
