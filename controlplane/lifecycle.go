package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errStopping = Errorf(CodeUnavailable, "The control plane is stopping: try again.")

// Start takes up what an earlier control plane left, and begins the work in the
// background, which goes on until Stop.
func (s *Service) Start(ctx context.Context) error {
	if s.config.Exclusive {
		if err := s.dropAll(ctx); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	if err := s.recoverBuilds(ctx); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	s.spawn(func() { s.stream.Run(work) })
	if err := s.startFeed(ctx, work); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	s.spawn(func() { s.runLeases(work) })
	s.spawn(func() { s.runPublisher(work) })
	s.spawn(func() { s.runDispatcher(work) })
	s.spawn(func() { s.runWatcher(work) })
	s.spawn(func() { s.runExits(work) })
	s.spawn(func() { s.runSweeper(work) })
	s.spawn(func() { s.runGarbage(work) })
	s.spawn(func() { s.runDomains(work) })
	return nil
}

// drainEvery is how often a drain looks whether its builders have ended.
const drainEvery = 50 * time.Millisecond

// Drain starts no build any more, and returns when those of this machine have
// ended by themselves. Where ctx ends before, they go back into the queue and
// their builders are ended. Everything else goes on until Stop.
func (s *Service) Drain(ctx context.Context) error {
	s.leave()
	s.dispatch.Lock() // what is being started is one of the builders then
	left := len(s.builders.all())
	s.dispatch.Unlock()
	ticker := time.NewTicker(drainEvery)
	defer ticker.Stop()
	for left > 0 && ctx.Err() == nil && !s.runner.Survives() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		left = len(s.builders.all())
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	return s.drain(within)
}

// Stop takes builds that are in progress back into the queue, ends their
// builders, publishes what is ready, and returns when no work goes on. It takes
// up to ctx's deadline.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return nil
	}
	s.stopping = true
	cancel := s.cancel
	s.mu.Unlock()
	s.leave()
	close(s.stopped)
	s.changes.close()
	err := s.drain(ctx)
	if cancel != nil {
		cancel()
	}
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("stop: %w", ctx.Err()))
	}
	if cancel != nil {
		err = errors.Join(err, s.giveBack(ctx))
	}
	return err
}

// giveBack publishes what is left, and gives back leases and the builders that
// live on, so that the next one need not wait for them to end.
func (s *Service) giveBack(ctx context.Context) error {
	s.adopting.Lock()
	more := s.adopted // else there was no time to look at the bucket
	s.adopting.Unlock()
	var err error
	publish := s.under(publisherLease, (&publisher{s: s}).publishOnce)
	for more && err == nil {
		more, err = publish(ctx)
	}
	errs := []error{err}
	for _, name := range leaseNames {
		errs = append(errs, s.dropLease(ctx, name))
	}
	errs = append(errs, s.giveBackClaims(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// giveBackClaims lets another control plane look after what is still built.
func (s *Service) giveBackClaims(ctx context.Context) error {
	return s.update(ctx, func(tx Tx, n *notes) error {
		n.queued = true // for the others: there is room elsewhere
		return tx.RenewClaims(s.holder, time.Time{})
	})
}

// spawn runs f in a goroutine that Stop waits for; not any more once it stops.
func (s *Service) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		f()
	}()
	return true
}

// loop does work whenever the bell rings or the interval is over, and again
// soon after it failed, until ctx ends or the service stops. One round may take
// the longest time.
func (s *Service) loop(ctx context.Context, name string, bell <-chan struct{}, every, longest time.Duration, work func(context.Context) (more bool, err error)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failures := 0
	for {
		more, err := inTime(ctx, longest, work)
		if ctx.Err() != nil {
			return
		}
		wait, ring := ticker.C, bell
		if err != nil {
			// Not at once again, however often somebody rings.
			s.log.Error("work in the background failed", "work", name, "error", err)
			failures++
			s.metrics.failures.WithLabelValues(name).Inc()
			wait, ring = time.After(min(time.Duration(failures)*250*time.Millisecond, 5*time.Second)), nil
		} else if failures = 0; more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		case <-ring:
		case <-wait:
		}
	}
}

func inTime(ctx context.Context, longest time.Duration, work func(context.Context) (bool, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	return work(ctx)
}

func (s *Service) runPublisher(ctx context.Context) {
	p := &publisher{s: s}
	s.loop(ctx, "publisher", s.wakePublisher, time.Second, time.Minute, s.under(publisherLease, p.publishOnce))
}
