package controlplane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Leases make one control plane at a time do what all could. They are short and
// renewed for as long as their holder lives, so that another one carries on soon
// after it was killed: it sees that a lease stands still up to renewEvery late,
// waits for leaseTime, and looks again up to renewEvery later. All work under a
// lease may be interrupted anywhere and is guarded by what it reads: a holder
// that wakes up late does no harm.
const (
	leaseTime  = 8 * time.Second
	renewEvery = 3 * time.Second // leases, and claims of builds
	renewTime  = 5 * time.Second // for one renewal
	// restTime is how long a holder whose work failed leaves a lease to others:
	// the fault may be its own.
	restTime = 2*renewEvery + time.Second

	// carryOnTime is how long it takes at most until another control plane carries
	// on. It does not compile where leases or claims take longer.
	carryOnTime = 15 * time.Second
	_           = uint(carryOnTime - (renewEvery + leaseTime + renewEvery))
	_           = uint(carryOnTime - (watchEvery + claimLease + watchEvery))
)

// leaseNames are all leases there are.
var leaseNames = []string{publisherLease, sweeperLease, domainsLease, garbageLease}

// leases are those that this control plane holds.
type leases struct {
	mu   sync.Mutex
	held map[string]*heldLease
	rest map[string]time.Time // until when others go first
	seen leaseSights
}

type heldLease struct {
	until time.Time
	lost  context.Context // ended when the lease is lost
	end   context.CancelFunc
}

func newLeases() *leases {
	return &leases{held: map[string]*heldLease{}, rest: map[string]time.Time{}, seen: leaseSights{of: map[string]*sighting[LeaseRow]{}}}
}

// get returns a lease that is held at a time, or nil.
func (l *leases) get(name string, now time.Time) *heldLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[name]; h != nil && now.Before(h.until) {
		return h
	}
	return nil
}

// resting reports whether others go first.
func (l *leases) resting(name string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now.Before(l.rest[name])
}

// set notes whether a lease is held, and reports whether that is new.
func (l *leases) set(name string, held bool, until time.Time) (changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held[name]
	switch {
	case held && h != nil:
		h.until = until
	case held:
		h = &heldLease{until: until}
		h.lost, h.end = context.WithCancel(context.Background())
		l.held[name] = h
		return true
	case h != nil:
		h.end()
		delete(l.held, name)
		return true
	}
	return false
}

// runLeases renews leases and claims until ctx ends.
func (s *Service) runLeases(ctx context.Context) {
	s.loop(ctx, "leases", nil, renewEvery, renewTime, func(ctx context.Context) (bool, error) {
		return false, errors.Join(s.renewClaims(ctx), s.renewLeases(ctx))
	})
}

func (s *Service) renewClaims(ctx context.Context) error {
	until := s.now().Add(claimLease)
	err := s.store.Update(ctx, func(tx Tx) error { return tx.RenewClaims(s.holder, until) })
	s.unrenewed.Store(err != nil)
	if err != nil {
		return fmt.Errorf("renew claims: %w", err)
	}
	return nil
}

// renewLeases takes every lease that is free or its own, and lets go of those
// that it could not renew in time.
func (s *Service) renewLeases(ctx context.Context) error {
	var errs []error
	for _, name := range leaseNames {
		now := s.clock()
		if s.leases.resting(name, now) || s.config.Exclusive && s.leases.get(name, now.Add(leaseTime/2)) != nil {
			continue // alone, one that is good for long need not be written
		}
		if _, err := s.takeLease(ctx, name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dropAll drops the leases of control planes that can't run any more.
func (s *Service) dropAll(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error {
		var errs []error
		for _, name := range leaseNames {
			errs = append(errs, tx.DropLease(name, ""))
		}
		return errors.Join(errs...)
	})
}

// takeLease takes a lease or prolongs it.
func (s *Service) takeLease(ctx context.Context, name string) (held bool, err error) {
	var until time.Time
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.clock()
		until = now.Add(leaseTime)
		stands, err := tx.Lease(name)
		if err != nil {
			return err
		}
		var over LeaseRow
		if now.Sub(s.leases.seen.see(name, stands, s.clock())) >= leaseTime {
			over = stands
		}
		held, err = tx.TakeLease(name, LeaseRow{s.holder, s.now().Add(leaseTime)}, over)
		return err
	})
	if err != nil {
		s.leases.seen.forget(name) // its holder may not have been able to renew it
		if s.leases.get(name, s.clock()) == nil && s.leases.set(name, false, time.Time{}) {
			s.leaseLost(name)
		}
		return false, err
	}
	if !s.leases.set(name, held, until) {
		return held, nil
	}
	if !held {
		s.leaseLost(name)
		return false, nil
	}
	s.metrics.leasesTaken.WithLabelValues(name).Inc()
	s.log.Info("this control plane acts for all", "lease", name)
	return true, nil
}

func (s *Service) leaseLost(name string) {
	s.metrics.leasesLost.WithLabelValues(name).Inc()
	s.log.Warn("a lease was lost: another control plane acts, or the database did not answer", "lease", name)
}

// dropLease gives a lease back.
func (s *Service) dropLease(ctx context.Context, name string) error {
	s.leases.set(name, false, time.Time{})
	return s.store.Update(ctx, func(tx Tx) error { return tx.DropLease(name, s.holder) })
}

// under makes of work what is done only while a lease is held, and is given up
// when the lease is lost. Where it fails, others may try.
func (s *Service) under(name string, work func(context.Context) (bool, error)) func(context.Context) (bool, error) {
	return func(ctx context.Context) (more bool, err error) {
		h := s.leases.get(name, s.clock())
		if h == nil {
			// One that is over by the clock may still be had.
			if s.leases.resting(name, s.clock()) {
				return false, nil
			}
			if held, err := s.takeLease(ctx, name); err != nil || !held {
				return false, err
			}
			if h = s.leases.get(name, s.clock()); h == nil {
				return false, nil
			}
		}
		within, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(h.lost, cancel)()
		more, err = work(within)
		switch {
		case err == nil || ctx.Err() != nil:
			return more, err
		case h.lost.Err() != nil:
			return false, nil // it was told already
		}
		if s.config.Exclusive {
			return false, err // nobody else would try
		}
		s.leases.mu.Lock()
		s.leases.rest[name] = s.clock().Add(restTime)
		s.leases.mu.Unlock()
		return false, errors.Join(err, s.dropLease(context.WithoutCancel(ctx), name))
	}
}
