package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

var errStopping = Errorf(CodeUnavailable, "The control plane is stopping: try again.")

// Start takes up what an earlier control plane left, and begins the work in the
// background, which goes on until Stop.
func (s *Service) Start(ctx context.Context) error {
	s.started = s.now()
	if s.config.Exclusive {
		if err := s.takeOver(ctx); err != nil {
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
	s.spawn(func() { s.runPublisher(work) })
	s.spawn(func() { s.runDispatcher(work) })
	s.spawn(func() { s.runSweeper(work) })
	s.spawn(func() { s.runDomains(work) })
	return nil
}

// takeOver drops the leases of control planes that can't run any more.
func (s *Service) takeOver(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error {
		return errors.Join(tx.DropLease(publisherLease, ""), tx.DropLease(sweeperLease, ""), tx.DropLease(domainsLease, ""))
	})
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

// giveBack publishes what is left and drops the leases, so that the next one
// need not wait for them to end.
func (s *Service) giveBack(ctx context.Context) error {
	p := &publisher{s: s}
	s.adopting.Lock()
	more := s.adopted // else there was no time to look at the bucket
	s.adopting.Unlock()
	for more {
		var err error
		if more, err = p.publishOnce(ctx); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
	}
	return s.store.Update(ctx, func(tx Tx) error {
		return errors.Join(tx.DropLease(publisherLease, s.holder), tx.DropLease(sweeperLease, s.holder), tx.DropLease(domainsLease, s.holder))
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
	s.loop(ctx, "publisher", s.wakePublisher, time.Second, time.Minute, p.publishOnce)
}

// Ready says of each part that the service depends on whether it answers; nil
// is well.
func (s *Service) Ready(ctx context.Context) map[string]error {
	_, err := s.bucket.Stat(ctx, site.HeadKey)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // nothing was published yet
	}
	parts := map[string]error{"database": s.store.Ping(ctx), "logs": s.logs.Ping(ctx), "bucket": err}
	maps.Copy(parts, s.stream.Parts(ctx))
	return parts
}
