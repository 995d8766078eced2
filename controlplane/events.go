package controlplane

import (
	"context"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	maxEvents    = 20_000  // of one batch
	maxLines     = 20_000  // of one event
	maxEventSeq  = 1 << 40 // far beyond any log's limit
	maxReason    = 4000    // bytes
	maxClockSkew = 24 * time.Hour
	heardEvery   = 5 * time.Second // the database is told that a builder lives

	// A state is told when the lines before it can be read, and so waits for them
	// to be published: this long, so that it does not wait for a stream that
	// does not answer. A failure waits longer, as its attempt's token ends with
	// it, and with that all that the builder still has to hand in.
	stateWait   = 300 * time.Millisecond
	failureWait = time.Minute
)

// HandleEvents takes in what the builder of an attempt reports. State events
// act at once; lines go to the log. An event that was taken in before is left
// out, by its number. Canceled tells the builder that its attempt is over.
func (s *Service) HandleEvents(ctx context.Context, a Actor, attemptID string, events []site.Event) (canceled bool, err error) {
	if a.Attempt == nil {
		return false, Errorf(CodeForbidden, "Only the builder of an attempt reports events.")
	}
	attempt := *a.Attempt
	if attemptID != attempt.ID() {
		return false, Errorf(CodeNotFound, "There is no attempt %s.", attemptID)
	}
	if err := checkEvents(attempt, events); err != nil {
		return false, err
	}
	if attempt.Detection {
		return s.handleDetection(ctx, attempt, events)
	}
	meter := s.meters.get(attempt.Deployment)
	meter.mu.Lock()
	defer meter.mu.Unlock()
	var lost error
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		lost = s.keepEvents(ctx, meter, attempt.Log(), events)
	}()
	defer func() { <-kept }()
	if linesOnly(events) {
		<-kept
		if lost == nil && s.now().Sub(meter.heard) < heardEvery {
			return s.isOver(ctx, attempt)
		}
	} else if failed := failure(events); failed >= 0 {
		if <-kept; lost != nil && s.waits(meter) {
			events = events[:failed]
		}
	} else {
		timer := time.NewTimer(stateWait)
		defer timer.Stop()
		select {
		case <-kept:
		case <-timer.C:
		}
	}
	ended := false
	err = s.update(ctx, func(tx Tx, n *notes) (err error) {
		canceled, ended, err = s.applyEvents(tx, n, attempt, events)
		return err
	})
	if err == nil {
		meter.heard = s.now()
	}
	if canceled || ended {
		s.meters.drop(attempt.Deployment)
	}
	<-kept
	return canceled, or(err, lost)
}

// failure is the place of the event that says that the attempt is over; -1:
// there is none.
func failure(events []site.Event) int {
	return slices.IndexFunc(events, func(e site.Event) bool { return e.Type == site.EventFailed })
}

// waits reports whether the end of an attempt waits for its lines still.
func (s *Service) waits(meter *logMeter) bool {
	if meter.ended.IsZero() {
		meter.ended = s.now()
	}
	return s.now().Sub(meter.ended) < failureWait
}

// linesOnly reports whether events change nothing but the log.
func linesOnly(events []site.Event) bool {
	for i := range events {
		if events[i].Type != site.EventLog {
			return false
		}
	}
	return true
}

// isOver reports whether an attempt no longer runs. A build that prints all the
// time costs the database a read, not a write.
func (s *Service) isOver(ctx context.Context, a Attempt) (over bool, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		err := s.current(tx, &a)
		if over = CodeOf(err) == CodeUnauthorized; over {
			return nil
		}
		return err
	})
	return over, err
}

// checkEvents refuses what no builder of this attempt sends.
func checkEvents(a Attempt, events []site.Event) error {
	if len(events) > maxEvents {
		return Errorf(CodeTooLarge, "Send at most %d events at once; these are %d.", maxEvents, len(events))
	}
	last := int64(0)
	for i := range events {
		e := &events[i]
		if err := CheckEvent(e); err != nil {
			return err
		}
		switch {
		case e.Deployment != a.Deployment || e.Attempt != a.Number:
			return Invalid("attempt", "The event is of attempt %s.%d, the token of %s.", e.Deployment, e.Attempt, a.ID())
		case e.Seq <= last:
			return Invalid("seq", "Number events upwards from 1; this is %d, the one before %d.", e.Seq, last)
		}
		last = e.Seq + e.Numbers() - 1
	}
	return nil
}

// CheckEvent says what is wrong with an event whoever it comes from.
func CheckEvent(e *site.Event) error {
	switch {
	case e.Version != site.EventVersion:
		return Invalid("v", "This control plane takes version %d of events, not %d.", site.EventVersion, e.Version)
	case e.Seq < 1 || e.Seq > maxEventSeq:
		return Invalid("seq", "Number events upwards from 1; this is %d.", e.Seq)
	case !knownPhase(e.Phase):
		return Invalid("phase", "%q is no phase.", cut(string(e.Phase), 50))
	case e.Type != site.EventLog && len(e.Lines) > 0, len(e.Lines) > maxLines, e.Type == site.EventLog && len(e.Lines) == 0:
		return Invalid("lines", "A log event has 1 to %d lines, other events none.", maxLines)
	}
	switch e.Type {
	case site.EventStarted, site.EventPhase, site.EventHeartbeat, site.EventSource, site.EventDetected, site.EventFailed:
	case site.EventLog:
		for _, l := range e.Lines {
			if l.Stream != site.Stdout && l.Stream != site.Stderr && l.Stream != site.System {
				return Invalid("stream", "%q is no stream.", cut(string(l.Stream), 50))
			}
		}
	default:
		return Invalid("type", "%q is no type of event.", cut(string(e.Type), 50))
	}
	return nil
}

func knownPhase(p site.Phase) bool {
	switch p {
	case "", site.PhaseClone, site.PhaseDetect, site.PhaseInstall, site.PhaseBuild, site.PhaseProcess, site.PhaseUpload, site.PhasePublish:
		return true
	}
	return false
}

// applyEvents changes the deployment as the events say.
func (s *Service) applyEvents(tx Tx, n *notes, a Attempt, events []site.Event) (canceled, ended bool, err error) {
	now := s.now()
	last, states := int64(0), false
	for i := range events {
		last = max(last, events[i].Seq+events[i].Numbers()-1)
		states = states || events[i].Type != site.EventLog && events[i].Type != site.EventHeartbeat
	}
	if !states {
		running, err := tx.Heard(a.Deployment, a.Number, last, now)
		return !running, false, err
	}
	d, err := tx.Deployment(a.Deployment)
	if CodeOf(err) == CodeNotFound {
		return true, false, nil
	}
	if err != nil {
		return false, false, err
	}
	if d.Status != StatusInProgress || d.Attempt != a.Number {
		return true, false, nil
	}
	was, failed := d.LastSeq, (*site.Event)(nil)
	d.HeardAt, d.LastSeq = now, max(d.LastSeq, last)
	for i := range events {
		e := &events[i]
		if e.Seq <= was {
			continue // taken in before
		}
		switch e.Type {
		case site.EventPhase:
			if e.Phase != "" {
				beginPhase(d, e.Phase, now)
			}
		case site.EventSource:
			applySource(d, e.Source, now)
			if err := learnBranch(tx, n, d, now); err != nil {
				return false, false, err
			}
		case site.EventFailed:
			failed = e
		}
		if failed != nil {
			break
		}
	}
	n.deployments = append(n.deployments, d)
	if failed != nil {
		n.queued = true
		reason := cutText(failed.Reason, maxReason)
		if reason == "" {
			reason = "The build failed."
		}
		return false, true, transit(tx, now, d, move{to: StatusFail, reason: reason})
	}
	ok, err := tx.SaveDeployment(d, StatusInProgress, a.Number)
	return !ok, false, err
}

// applySource keeps what a builder found out about the commit, within bounds.
func applySource(d *DeploymentRow, f *site.Source, now time.Time) {
	if f == nil {
		return
	}
	for _, field := range []struct {
		to   *string
		from string
		most int
	}{
		{&d.Source.Branch, f.Branch, 255}, {&d.Source.Commit, f.Commit, 64}, {&d.Source.Message, f.Message, 2000},
		{&d.Source.Author, f.Author, 200}, {&d.Source.Framework, f.Framework, 100},
	} {
		if text := cutText(field.from, field.most); text != "" {
			*field.to = text
		}
	}
	d.UpdatedAt = now
}

// learnBranch makes the branch that the repository itself has for its default
// the production branch of a project that names none.
func learnBranch(tx Tx, n *notes, d *DeploymentRow, now time.Time) error {
	if d.WantBranch != "" || d.Source.Branch == "" || d.Kind != KindGit || checkBranch("branch", d.Source.Branch) != nil {
		return nil
	}
	p, err := tx.Project(d.ProjectID)
	if err != nil || p.ProductionBranch != "" {
		return err
	}
	p.ProductionBranch = d.Source.Branch
	n.projects = append(n.projects, p)
	return saveRecord(tx, n, p, now)
}

// plausible returns the time that a builder reports unless its clock is far off.
func (s *Service) plausible(t time.Time) time.Time {
	now := s.now()
	if skew := now.Sub(t); skew > maxClockSkew || skew < -maxClockSkew {
		return now
	}
	return t.UTC()
}
