package controlplane

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	watchEvery    = time.Second      // between two looks at the builds
	heartbeatTime = 60 * time.Second // without a word from a builder
	phaseSlack    = 30 * time.Second // a builder that keeps its limits itself says more than we can
	overTime      = 10 * time.Second // for a builder to leave once its attempt is over
)

// runWatcher looks after builds. It waits for no builder's start, so that it can
// take over what a control plane that was killed has left.
func (s *Service) runWatcher(ctx context.Context) {
	s.loop(ctx, "watcher", s.wakeWatcher, watchEvery, time.Minute, func(ctx context.Context) (bool, error) {
		return false, s.watchBuilds(ctx)
	})
}

// watchBuilds ends attempts that run too long or are silent, takes over those
// whose control plane is gone, and stops builders whose attempt is over.
func (s *Service) watchBuilds(ctx context.Context) error {
	now := s.clock() // before the rows are read: what was seen stands at least until then
	if s.sleep.since(time.Now()) > 0 || s.unrenewed.Load() {
		// The builders slept, too; or others can write to the database no more
		// than this control plane.
		s.seen.forget()
	}
	var rows []*DeploymentRow
	err := s.store.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.Running()
		return err
	})
	if err != nil {
		// Nobody can note that builders report, or renew a claim.
		s.seen.forget()
		return fmt.Errorf("watch builds: %w", err)
	}
	s.seen.see(rows, s.clock(), time.Now())
	defer func() { s.seen.looked = time.Now() }()
	current, elsewhere := map[Attempt]bool{}, map[Attempt]bool{}
	for _, d := range rows {
		a := d.attempt()
		switch {
		case d.ClaimedBy == s.holder:
			current[a] = true
			s.watchBuild(ctx, a, d, now)
		case d.ClaimUntil.IsZero(), now.Sub(s.seen.of[a].claim.since) >= claimLease: // given back, or not renewed
			current[a] = true // or it is seen in the next round that it is not
			s.adopt(ctx, a, d)
		default:
			elsewhere[a] = true
		}
	}
	for handle, a := range s.builders.all() {
		switch {
		case a.Detection || current[a]:
		case elsewhere[a] && s.runner.Survives():
			// It was adopted while this control plane hung.
			s.builders.remove(handle)
		case s.builders.over(handle, now) > overTime:
			s.endBuilder(handle)
		}
	}
	return nil
}

// watchBuild ends an attempt whose phase is over its time, or whose builder has
// not reported for long.
func (s *Service) watchBuild(ctx context.Context, a Attempt, d *DeploymentRow, now time.Time) {
	seen := s.seen.of[a]
	if limit := s.phaseLimit(d.Phase); limit > 0 && now.Sub(seen.phase.since) > limit+phaseSlack {
		s.failAttempt(ctx, a, fmt.Sprintf("The phase %q took longer than its limit of %s.", d.Phase, limit))
		s.endBuilder(d.Handle)
		return
	}
	// What was not heard while no control plane ran, the machine slept, or the
	// database was away, is no fault of the builder.
	silent := now.Sub(seen.heard.since)
	if d.Handle == "" && !s.handleKnown(ctx, a, d, silent) {
		return
	}
	limit := heartbeatTime
	if d.LastSeq == 0 {
		limit += s.config.ClaimTime // it may still be starting
	}
	if silent < limit || d.Handle == "" && silent < startTime+limit {
		return
	}
	state, err := s.runner.Look(ctx, d.Handle)
	switch {
	case err != nil:
		s.log.Error("can't look at a builder", "attempt", a.ID(), "error", err)
	case state.Running:
		s.failAttempt(ctx, a, fmt.Sprintf("The builder has not reported for %s and was stopped.", silent.Truncate(time.Second)))
		s.endBuilder(d.Handle)
	default:
		s.builders.remove(d.Handle)
		s.builderEnded(ctx, a, state.Exit)
	}
}

// handleKnown finds the handle that could not be kept when the builder was
// started, as the database was away. Where this control plane has neither
// started a builder nor is about to, since it did not learn that the claim was
// kept, another attempt is made.
func (s *Service) handleKnown(ctx context.Context, a Attempt, d *DeploymentRow, silent time.Duration) bool {
	handle, starting := s.builders.handleOf(a)
	switch {
	case handle != "":
		d.Handle = handle
		s.keepHandle(ctx, a, handle)
	case !starting && silent >= claimLease:
		s.takeBack(ctx, a, fault{why: "no builder was started for it"})
		return false
	}
	return true
}

// phaseLimit is how long a phase may take; 0: as long as the builder lives.
func (s *Service) phaseLimit(p site.Phase) time.Duration {
	limits := s.config.Limits
	switch p {
	case site.PhaseClone, site.PhaseDetect:
		return limits.CloneTime
	case site.PhaseInstall:
		return limits.InstallTime
	case site.PhaseBuild:
		return limits.BuildTime
	case site.PhaseProcess, site.PhaseUpload, site.PhasePublish:
		return limits.UploadTime
	}
	return 0
}

// adopt takes over an attempt whose control plane has not renewed its claim. A
// builder that lives on is kept; otherwise the attempt is lost, unless the
// runner knows that the build itself was at fault. Where no handle was kept, a
// builder may have been started all the same: it finds its attempt over.
func (s *Service) adopt(ctx context.Context, a Attempt, d *DeploymentRow) {
	lost := fault{why: "the control plane that looked after it ended"}
	taken, err := s.takeClaim(ctx, a, d)
	if err != nil && CodeOf(err) != CodeNotFound {
		s.log.Error("can't take over a build", "attempt", a.ID(), "error", err)
	}
	if err != nil || !taken {
		return
	}
	if d.Handle == "" || !s.runner.Survives() {
		s.metrics.takenOver.WithLabelValues("queued").Inc()
		s.takeBack(ctx, a, lost)
		return
	}
	s.metrics.takenOver.WithLabelValues("kept").Inc()
	// Only now: of builders that were looked at, this control plane is told.
	if exit, ended := s.builders.add(d.Handle, a); ended {
		s.builderEnded(ctx, a, exit)
		return
	}
	state, err := s.runner.Look(ctx, d.Handle)
	switch {
	case err != nil: // silent builders are looked at again
		s.log.Error("can't look at a builder", "attempt", a.ID(), "error", err)
	case state.Running:
	case state.Exit.Reason != "":
		s.builders.remove(d.Handle)
		s.builderEnded(ctx, a, state.Exit)
	default:
		s.builders.remove(d.Handle)
		s.takeBack(ctx, a, lost)
	}
}

// takeClaim reports whether this control plane is the one that takes over.
func (s *Service) takeClaim(ctx context.Context, a Attempt, d *DeploymentRow) (taken bool, err error) {
	err = s.store.Update(ctx, func(tx Tx) error {
		taken = false
		row, err := tx.Deployment(d.ID)
		if err != nil || row.claim() != d.claim() {
			return err // somebody else was faster, or its control plane lives
		}
		row.ClaimedBy, row.ClaimUntil = s.holder, s.now().Add(claimLease)
		taken, err = tx.SaveDeployment(row, StatusInProgress, a.Number)
		return err
	})
	return taken && err == nil, err
}

// recoverBuilds runs before anything else: whatever builds an earlier process
// of this control plane left are taken over or queued again, and what is left
// of their builders is removed.
func (s *Service) recoverBuilds(ctx context.Context) error {
	var rows []*DeploymentRow
	err := s.store.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.Running()
		return err
	})
	if err != nil {
		return fmt.Errorf("recover builds: %w", err)
	}
	if !s.runner.Survives() { // else the sweeper looks, once in a while
		if err := s.sweepBuilders(ctx); err != nil {
			return fmt.Errorf("recover builds: %w", err)
		}
	}
	if !s.config.Exclusive {
		return nil // another control plane may look after them; claims tell
	}
	for _, d := range rows {
		s.adopt(ctx, d.attempt(), d)
	}
	return nil
}

// sweepBuilders ends builders that nobody looks after.
func (s *Service) sweepBuilders(ctx context.Context) error {
	ended, err := s.runner.Sweep(ctx, s.attemptOver)
	if err != nil {
		return fmt.Errorf("sweep builders: %w", err)
	}
	if ended > 0 {
		s.log.Warn("ended builders that were left behind", "builders", ended)
	}
	return nil
}

// attemptOver reports whether the attempt of that id has ended. It is claimed in
// the database before its builder is started, so that one which has just been
// started anywhere is never taken for one that was left.
func (s *Service) attemptOver(ctx context.Context, id string) (over bool, err error) {
	a, ok := parseAttempt(id)
	if !ok {
		return true, nil
	}
	err = s.store.View(ctx, func(tx Tx) error { return s.current(tx, &a) })
	if CodeOf(err) == CodeUnauthorized {
		return true, nil
	}
	return false, err
}

// drain takes every build of this control plane back into the queue, then ends
// all its builders at once.
func (s *Service) drain(ctx context.Context) error {
	s.dispatch.Lock()
	defer s.dispatch.Unlock()
	s.drained = true
	if !s.runner.Survives() {
		var rows []*DeploymentRow
		err := s.store.View(ctx, func(tx Tx) (err error) {
			rows, err = tx.Running()
			return err
		})
		if err != nil {
			return fmt.Errorf("drain: %w", err)
		}
		for _, d := range rows {
			if d.ClaimedBy == s.holder {
				s.takeBack(ctx, d.attempt(), fault{why: whyStopped})
			}
		}
	}
	var ending sync.WaitGroup
	for handle, a := range s.builders.all() {
		if s.runner.Survives() && !a.Detection {
			continue
		}
		ending.Go(func() { s.stopBuilder(ctx, handle) })
	}
	ending.Wait()
	return nil
}
