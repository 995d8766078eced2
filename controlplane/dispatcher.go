package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	claimLease  = 12 * time.Second // how long a build is claimed by its control plane
	startTime   = 60 * time.Second // for the runner to start a builder
	requeueWait = 3 * time.Second  // after a start that failed, times the attempts there were

	leastRoomWait = 5 * time.Second // where the runner has no room, doubled each time
	mostRoomWait  = time.Minute
)

// runDispatcher starts builders for what is queued.
func (s *Service) runDispatcher(ctx context.Context) {
	s.loop(ctx, "dispatcher", s.wakeDispatcher, time.Second, 5*time.Minute, func(ctx context.Context) (bool, error) {
		return false, s.startQueued(ctx)
	})
}

// startQueued claims queued deployments and has a builder started for each,
// until the limits are reached or the queue is empty. A start may take its time:
// it holds up no other.
func (s *Service) startQueued(ctx context.Context) error {
	for ctx.Err() == nil && s.leaving.Err() == nil {
		d, claim, err := s.claimNext(ctx)
		if err != nil || d == nil {
			return err
		}
		if !s.spawn(func() { s.startBuilder(ctx, d, claim) }) {
			s.takeBack(ctx, d.attempt(), fault{why: whyStopped})
			s.builders.began(d.attempt())
		}
	}
	return nil
}

// queueLimits are those of this control plane: a local runner's of this machine
// alone, a cluster's of all control planes together.
func (s *Service) queueLimits() QueueLimits {
	limits := QueueLimits{Total: s.config.MaxBuilds, Project: s.config.MaxProjectBuilds}
	if !s.runner.Survives() {
		limits.Holder = s.holder
	}
	return limits
}

// claimNext takes the deployment whose turn it is out of the queue; nil where
// there is none. Whose turn it is is read on its own, as that may be many rows:
// what is claimed then must hold the limits, not the order.
func (s *Service) claimNext(ctx context.Context) (d *DeploymentRow, claim string, err error) {
	limits := s.queueLimits()
	for ctx.Err() == nil {
		var next *DeploymentRow
		err := s.store.View(ctx, func(tx Tx) (err error) {
			next, err = tx.NextQueued(s.now(), limits)
			return err
		})
		if err == nil && next == nil {
			return nil, "", nil
		}
		if err == nil {
			d, claim, err = s.claim(ctx, next.ID, limits)
		}
		if err != nil {
			return nil, "", fmt.Errorf("claim a deployment: %w", err)
		}
		if d != nil {
			return d, claim, nil
		}
	}
	return nil, "", ctx.Err()
}

// claim takes one deployment out of the queue; nil where another control plane
// was faster, or the limits are reached by now.
func (s *Service) claim(ctx context.Context, id string, limits QueueLimits) (d *DeploymentRow, claim string, err error) {
	var a Attempt
	err = s.update(ctx, func(tx Tx, n *notes) error {
		d = nil
		s.builders.began(a)
		row, err := tx.Deployment(id)
		if CodeOf(err) == CodeNotFound {
			return nil // removed
		}
		if err != nil || row.Status != StatusQueued {
			return err
		}
		if limits.Holder == "" { // else nobody else adds to them
			all, err := tx.Builds("", "")
			if err != nil || all >= limits.Total {
				return err
			}
		}
		own, err := tx.Builds(row.ProjectID, "")
		if err != nil || own >= limits.Project {
			return err
		}
		now := s.now()
		err = transit(tx, now, row, move{to: StatusInProgress, edit: func(d *DeploymentRow) {
			d.ClaimedBy, d.ClaimUntil = s.holder, now.Add(claimLease)
		}})
		if err != nil {
			return err
		}
		n.deployments = append(n.deployments, row)
		a = row.attempt()
		s.builders.begin(a) // before the watcher can see that it has no builder
		if claim, err = s.newClaim(tx, a); err != nil {
			return err
		}
		d = row
		return nil
	})
	if err != nil || d == nil {
		s.builders.began(a) // whatever became of the claim, nobody starts it
	}
	return d, claim, err
}

// startBuilder has the runner start a builder for a claimed attempt. Where that
// fails, the platform is at fault and the deployment goes back into the queue.
func (s *Service) startBuilder(ctx context.Context, d *DeploymentRow, claim string) {
	a := d.attempt()
	defer s.builders.began(a)
	s.dispatch.RLock() // the drain ends every builder that was started before it
	defer s.dispatch.RUnlock()
	if s.drained {
		s.takeBack(ctx, a, fault{why: whyStopped})
		return
	}
	ctx = context.WithoutCancel(ctx) // of the round that claimed it
	within, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	defer context.AfterFunc(s.leaving, cancel)()
	handle, err := s.runner.Start(within, Builder{Attempt: a.ID(), URL: s.config.PublicURL, Claim: claim})
	switch {
	case errors.Is(err, ErrNoRoom):
		s.log.Warn("there is no room for a builder", "attempt", a.ID(), "error", err)
		s.takeBack(ctx, a, fault{why: whyNoRoom, noRoom: true})
		return
	case err != nil:
		s.log.Error("can't start a builder", "attempt", a.ID(), "error", err)
		s.takeBack(ctx, a, fault{why: "the builder could not be started", wait: time.Duration(a.Number) * requeueWait})
		return
	}
	s.log.Info("builder started", "attempt", a.ID(), "builder", handle)
	if exit, ended := s.builders.add(handle, a); ended {
		s.builderEnded(ctx, a, exit)
		return
	}
	s.keepHandle(ctx, a, handle)
}

// keepHandle notes which builder an attempt has. One that was canceled while its
// builder started is ended. Where the database is away, the watcher tries again.
func (s *Service) keepHandle(ctx context.Context, a Attempt, handle string) {
	err := s.store.Update(ctx, func(tx Tx) error {
		row, err := tx.Deployment(a.Deployment)
		if err != nil {
			return err
		}
		row.Handle = handle
		ok, err := tx.SaveDeployment(row, StatusInProgress, a.Number)
		if err == nil && !ok {
			err = errAttemptToken
		}
		return err
	})
	switch code := CodeOf(err); {
	case code == CodeUnauthorized || code == CodeNotFound:
		s.endBuilder(handle)
	case err != nil:
		s.log.Error("can't note which builder was started; it is tried again", "attempt", a.ID(), "builder", handle, "error", err)
	}
}

const (
	whyStopped = "the control plane was stopped"
	whyNoRoom  = "there was no room for its builder"
)

// fault is why the platform takes a deployment back into the queue.
type fault struct {
	why    string
	wait   time.Duration // before the next attempt
	noRoom bool          // its builder never ran, for want of room: that is no attempt lost
}

// takeBack ends an attempt that the platform failed: the deployment goes back
// into the queue, for after a wait, or, after the last attempt, fails.
func (s *Service) takeBack(ctx context.Context, a Attempt, f fault) {
	err := s.update(context.WithoutCancel(ctx), func(tx Tx, n *notes) error {
		d, err := tx.Deployment(a.Deployment)
		if err != nil || d.Status != StatusInProgress || d.Attempt != a.Number {
			return err // it is over already
		}
		n.deployments, n.queued = append(n.deployments, d), true
		if !f.noRoom {
			n.then = append(n.then, s.metrics.lost.Inc)
		}
		return s.requeue(tx, d, f)
	})
	if err != nil && CodeOf(err) != CodeNotFound {
		s.log.Error("can't take a deployment back into the queue", "attempt", a.ID(), "error", err)
	}
	s.meters.drop(a.Deployment)
}

// requeue is the only way back from IN_PROGRESS to QUEUED. Where a newer
// deployment of the branch waits there already, this one gives way to it.
func (s *Service) requeue(tx Tx, d *DeploymentRow, f fault) error {
	now := s.now()
	newer, err := supersededBy(tx, d)
	if err != nil {
		return err
	}
	if newer != nil {
		return transit(tx, now, d, move{to: StatusCanceled, reason: supersededReason(newer)})
	}
	if f.noRoom {
		d.Unstarted++
		f.wait = roomWait(d.Unstarted)
	}
	if lost := d.Attempt - d.Unstarted; lost >= MaxAttempts {
		reason := fmt.Sprintf("The platform failed this build %d times, the last time because %s. Retry it, or ask the operator.", lost, f.why)
		return transit(tx, now, d, move{to: StatusFail, reason: reason})
	}
	reason := fmt.Sprintf("Attempt %d was interrupted, because %s. It starts again.", d.Attempt, f.why)
	return transit(tx, now, d, move{to: StatusQueued, reason: reason, platformFault: true, edit: func(d *DeploymentRow) {
		d.NotBefore = now.Add(f.wait)
	}})
}

// roomWait is how long a deployment waits that found no room n times. Those that
// found none together don't come again together.
func roomWait(n int) time.Duration {
	longest := min(leastRoomWait<<min(n-1, 10), mostRoomWait)
	return longest/2 + rand.N(longest/2)
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
	case exit.NoRoom:
		s.takeBack(ctx, a, fault{why: cmp.Or(cutText(exit.Reason, maxReason), whyNoRoom), noRoom: true})
	case exit.Lost:
		s.takeBack(ctx, a, fault{why: cmp.Or(cutText(exit.Reason, maxReason), "its machine was lost")})
	case (exit.Code == site.ExitBroken || exit.Code == site.ExitOver) && s.neverBegan(ctx, a):
		s.takeBack(ctx, a, fault{why: "its builder did not begin: " + exitReason(exit), wait: time.Duration(a.Number) * requeueWait})
	default:
		s.failAttempt(ctx, a, exitReason(exit))
	}
}

// neverBegan reports whether an attempt's builder has reported nothing: then no
// command of a user has run, and it is the platform's fault that it ended, as
// where the claim was lost with a control plane or the database.
func (s *Service) neverBegan(ctx context.Context, a Attempt) bool {
	began := true
	err := s.store.View(ctx, func(tx Tx) error {
		d, err := tx.Deployment(a.Deployment)
		if err == nil {
			began = d.LastSeq > 0
		}
		return err
	})
	return err == nil && !began
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
