package controlplane

import (
	"context"
	"fmt"
	"time"
)

const (
	claimLease  = 12 * time.Second // how long a build is claimed by its control plane
	renewEvery  = 3 * time.Second
	startTime   = 60 * time.Second // for the runner to start a builder
	requeueWait = 3 * time.Second  // where the runner has no room, times the attempts there were
)

// runDispatcher starts builders for what is queued and looks after them.
func (s *Service) runDispatcher(ctx context.Context) {
	s.spawn(func() { s.runExits(ctx) })
	d := &dispatcher{s: s}
	s.loop(ctx, "dispatcher", s.wakeDispatcher, time.Second, 5*time.Minute, d.dispatchOnce)
}

type dispatcher struct {
	s         *Service
	renewedAt time.Time
}

// dispatchOnce starts what may start, and looks after what runs.
func (d *dispatcher) dispatchOnce(ctx context.Context) (more bool, err error) {
	if err := d.s.startQueued(ctx); err != nil {
		return false, err
	}
	if now := d.s.now(); now.Sub(d.renewedAt) >= renewEvery {
		err := d.s.store.Update(ctx, func(tx Tx) error { return tx.RenewClaims(d.s.holder, now.Add(claimLease)) })
		if err != nil {
			return false, fmt.Errorf("renew claims: %w", err)
		}
		d.renewedAt = now
	}
	return false, d.s.watchBuilds(ctx)
}

// startQueued claims queued deployments and starts a builder for each, until
// the limits are reached or the queue is empty.
func (s *Service) startQueued(ctx context.Context) error {
	s.dispatch.Lock()
	defer s.dispatch.Unlock()
	for ctx.Err() == nil && !s.isStopping() {
		d, claim, err := s.claimNext(ctx)
		if err != nil || d == nil {
			return err
		}
		s.startBuilder(ctx, d, claim)
	}
	return nil
}

func (s *Service) isStopping() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// claimNext takes the oldest deployment that may start out of the queue; nil
// where there is none.
func (s *Service) claimNext(ctx context.Context) (d *DeploymentRow, claim string, err error) {
	err = s.update(ctx, func(tx Tx, n *notes) error {
		now := s.now()
		d, err = tx.NextQueued(now, QueueLimits{Total: s.config.MaxBuilds, Project: s.config.MaxProjectBuilds})
		if err != nil || d == nil {
			return err
		}
		err = transit(tx, now, d, move{to: StatusInProgress, edit: func(d *DeploymentRow) {
			d.ClaimedBy, d.ClaimUntil = s.holder, now.Add(claimLease)
		}})
		if err != nil {
			return err
		}
		n.deployments = append(n.deployments, d)
		claim, err = s.newClaim(tx, Attempt{Deployment: d.ID, Number: d.Attempt, Project: d.ProjectID})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("claim a deployment: %w", err)
	}
	return d, claim, nil
}

// startBuilder has the runner start a builder for a claimed attempt. Where that
// fails, the platform is at fault and the deployment goes back into the queue.
func (s *Service) startBuilder(ctx context.Context, d *DeploymentRow, claim string) {
	a := Attempt{Deployment: d.ID, Number: d.Attempt, Project: d.ProjectID}
	within, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	handle, err := s.runner.Start(within, Builder{Attempt: a.ID(), URL: s.config.PublicURL, Claim: claim})
	if err != nil {
		s.log.Error("can't start a builder", "attempt", a.ID(), "error", err)
		s.takeBack(ctx, a, "the builder could not be started", time.Duration(a.Number)*requeueWait)
		return
	}
	s.log.Info("builder started", "attempt", a.ID(), "builder", handle)
	if exit, ended := s.builders.add(handle, a); ended {
		s.builderEnded(ctx, a, exit)
		return
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		row, err := tx.Deployment(d.ID)
		if err != nil {
			return err
		}
		row.Handle = handle
		ok, err := tx.SaveDeployment(row, StatusInProgress, d.Attempt)
		if err == nil && !ok {
			err = errAttemptToken
		}
		return err
	})
	if err != nil {
		// It was canceled while its builder started.
		s.endBuilder(handle)
	}
}

// takeBack ends an attempt that the platform failed: the deployment goes back
// into the queue, for after a wait, or, after the last attempt, fails.
func (s *Service) takeBack(ctx context.Context, a Attempt, why string, wait time.Duration) {
	err := s.update(context.WithoutCancel(ctx), func(tx Tx, n *notes) error {
		d, err := tx.Deployment(a.Deployment)
		if err != nil || d.Status != StatusInProgress || d.Attempt != a.Number {
			return err // it is over already
		}
		n.deployments, n.queued = append(n.deployments, d), true
		n.then = append(n.then, s.metrics.lost.Inc)
		return s.requeue(tx, d, why, wait)
	})
	if err != nil && CodeOf(err) != CodeNotFound {
		s.log.Error("can't take a deployment back into the queue", "attempt", a.ID(), "error", err)
	}
	s.meters.drop(a.Deployment)
}

// requeue is the only way back from IN_PROGRESS to QUEUED. Where a newer
// deployment of the branch waits there already, this one gives way to it.
func (s *Service) requeue(tx Tx, d *DeploymentRow, why string, wait time.Duration) error {
	now := s.now()
	newer, err := supersededBy(tx, d)
	if err != nil {
		return err
	}
	if newer != nil {
		return transit(tx, now, d, move{to: StatusCanceled, reason: supersededReason(newer)})
	}
	if d.Attempt >= MaxAttempts {
		reason := fmt.Sprintf("The platform failed this build %d times, the last time because %s. Retry it, or ask the operator.", d.Attempt, why)
		return transit(tx, now, d, move{to: StatusFail, reason: reason})
	}
	reason := fmt.Sprintf("Attempt %d was interrupted, because %s. It starts again.", d.Attempt, why)
	return transit(tx, now, d, move{to: StatusQueued, reason: reason, platformFault: true, edit: func(d *DeploymentRow) {
		d.NotBefore = now.Add(wait)
	}})
}

// runExits acts on builders that end by themselves.
func (s *Service) runExits(ctx context.Context) {
	for {
		select {
		case exit := <-s.runner.Exits():
			if a, ok := s.builders.exited(exit); ok {
				s.builderEnded(ctx, a, exit)
			}
			wake(s.wakeDispatcher)
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		}
	}
}

// builderEnded ends the attempt of a builder that is gone, unless it has ended
// it itself.
func (s *Service) builderEnded(ctx context.Context, a Attempt, exit BuilderExit) {
	switch {
	case a.Detection:
		s.failDetection(ctx, a.Deployment, exitReason(exit))
	case exit.Lost:
		s.takeBack(ctx, a, "its machine was lost", 0)
	default:
		s.failAttempt(ctx, a, exitReason(exit))
	}
}

func exitReason(exit BuilderExit) string {
	reason := cutText(exit.Reason, maxReason)
	switch {
	case exit.Code == 0:
		return "The builder ended without publishing anything."
	case exit.Code > 0 && reason == "":
		return fmt.Sprintf("The builder ended unexpectedly, with exit code %d.", exit.Code)
	case exit.Code > 0:
		return fmt.Sprintf("The builder ended unexpectedly, with exit code %d: %s", exit.Code, reason)
	case reason != "":
		return "The builder ended unexpectedly: " + reason
	}
	return "The builder ended unexpectedly."
}

// failAttempt fails a deployment whose attempt is still running.
func (s *Service) failAttempt(ctx context.Context, a Attempt, reason string) {
	err := s.update(context.WithoutCancel(ctx), func(tx Tx, n *notes) error {
		d, err := tx.Deployment(a.Deployment)
		if err != nil || d.Status != StatusInProgress || d.Attempt != a.Number {
			return err // it has ended already
		}
		n.deployments, n.queued = append(n.deployments, d), true
		return transit(tx, s.now(), d, move{to: StatusFail, reason: reason})
	})
	if err != nil && CodeOf(err) != CodeNotFound {
		s.log.Error("can't fail a deployment", "attempt", a.ID(), "error", err)
	}
	s.meters.drop(a.Deployment)
}
