package controlplane

import (
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// MaxAttempts is how many builders one deployment gets at most, where the
// platform keeps failing it. Attempts whose builder found no room don't count.
const MaxAttempts = 3

// transitions lists every change of status that there is.
var transitions = map[Status][]Status{
	StatusQueued:     {StatusInProgress, StatusCanceled},
	StatusInProgress: {StatusQueued, StatusReady, StatusFail, StatusCanceled},
}

// move is a change of a deployment's status.
type move struct {
	to     Status
	reason string
	// platformFault must be set to take a deployment back into the queue: only
	// the dispatcher does, and never because of what a build did.
	platformFault bool
	edit          func(*DeploymentRow) // what changes with the status
}

// transit is the one function that changes a deployment's status. The change is
// a single UPDATE that is guarded by the status and the attempt which d had
// when it was read.
func transit(tx Tx, now time.Time, d *DeploymentRow, m move) error {
	from, attempt := d.Status, d.Attempt
	// By another control plane's clock it may have begun later than now.
	now = later(now, d.CreatedAt)
	if d.StartedAt != nil {
		now = later(now, *d.StartedAt)
	}
	if !slices.Contains(transitions[from], m.to) {
		return Errorf(CodeConflict, "The deployment is %s: it can't become %s.", from, m.to)
	}
	switch m.to {
	case StatusInProgress:
		d.Attempt++
		d.StartedAt, d.HeardAt, d.PhaseAt = &now, now, now
		d.Phase, d.Phases, d.LastSeq, d.HasManifest, d.ManifestHash, d.Reason = "", nil, 0, false, "", ""
	case StatusQueued:
		if !m.platformFault || attempt-d.Unstarted >= MaxAttempts {
			return Errorf(CodeConflict, "The deployment can't be taken back into the queue.")
		}
		d.Phase, d.Phases, d.HasManifest, d.ManifestHash, d.ClaimedBy, d.ClaimUntil, d.Handle = "", nil, false, "", "", time.Time{}, ""
	default:
		now = endPhase(d, now)
		d.EndedAt, d.ClaimedBy, d.ClaimUntil, d.Handle = &now, "", time.Time{}, ""
	}
	d.Status, d.Reason, d.UpdatedAt = m.to, m.reason, now
	if m.edit != nil {
		m.edit(d)
	}
	ok, err := tx.SaveDeployment(d, from, attempt)
	if err == nil && !ok {
		err = Errorf(CodeConflict, "The deployment has changed meanwhile.")
	}
	if err == nil && d.HasManifest && (m.to == StatusFail || m.to == StatusCanceled) {
		err = tx.CollectLater(d.ProjectID, now.Add(blobAge)) // what it has uploaded
	}
	return err
}

// beginPhase ends the phase that d is in and begins another; a phase that it is
// in already goes on.
func beginPhase(d *DeploymentRow, p site.Phase, now time.Time) {
	if d.Phase == p {
		return
	}
	now = endPhase(d, now)
	d.Phase, d.PhaseAt, d.UpdatedAt = p, now, now
	d.Phases = append(d.Phases, PhaseTimes{Phase: p, StartedAt: now})
}

// endPhase returns when the phase ended: not before it began, by whatever clock.
func endPhase(d *DeploymentRow, now time.Time) time.Time {
	if n := len(d.Phases); n > 0 && d.Phases[n-1].EndedAt == nil {
		now = later(now, d.Phases[n-1].StartedAt)
		d.Phases[n-1].EndedAt = &now
	}
	return now
}
