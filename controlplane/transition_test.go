package controlplane

import (
	"testing"
	"time"
)

// oneRow is the part of a transaction that a change of status needs.
type oneRow struct {
	Tx
	kept   DeploymentRow
	writes int
}

func (o *oneRow) SaveDeployment(d *DeploymentRow, status Status, attempt int) (bool, error) {
	if o.kept.Status != status || o.kept.Attempt != attempt {
		return false, nil
	}
	o.kept = *d
	o.writes++
	return true, nil
}

func (o *oneRow) CollectLater(string, time.Time) error { return nil }

func TestEveryTransition(t *testing.T) {
	all := []Status{StatusNotStarted, StatusQueued, StatusInProgress, StatusReady, StatusFail, StatusCanceled}
	type change struct{ from, to Status }
	allowed := map[change]bool{
		{StatusQueued, StatusInProgress}:   true,
		{StatusQueued, StatusCanceled}:     true,
		{StatusInProgress, StatusReady}:    true,
		{StatusInProgress, StatusFail}:     true,
		{StatusInProgress, StatusCanceled}: true,
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, from := range all {
		for _, to := range all {
			for _, fault := range []bool{false, true} {
				d := DeploymentRow{Deployment: Deployment{Status: from, Attempt: 1}}
				tx := &oneRow{kept: d}
				err := transit(tx, now, &d, move{to: to, platformFault: fault})
				want := allowed[change{from, to}] || fault && from == StatusInProgress && to == StatusQueued
				if (err == nil) != want || (tx.writes == 1) != want {
					t.Errorf("%s → %s, platform's fault %v: %v, %d writes", from, to, fault, err, tx.writes)
				}
				if err != nil && CodeOf(err) != CodeConflict {
					t.Errorf("%s → %s: %v is no conflict", from, to, err)
				}
			}
		}
	}
}

func TestTransitionIsGuarded(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		name string
		kept DeploymentRow
	}{
		{"another status", DeploymentRow{Deployment: Deployment{Status: StatusCanceled, Attempt: 1}}},
		{"another attempt", DeploymentRow{Deployment: Deployment{Status: StatusInProgress, Attempt: 2}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			tx := &oneRow{kept: row.kept}
			d := DeploymentRow{Deployment: Deployment{Status: StatusInProgress, Attempt: 1}}
			if err := transit(tx, now, &d, move{to: StatusReady}); CodeOf(err) != CodeConflict || tx.writes != 0 {
				t.Errorf("%v, %d writes", err, tx.writes)
			}
		})
	}
}

func TestAttemptsAreCounted(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := DeploymentRow{Deployment: Deployment{Status: StatusQueued}}
	tx := &oneRow{kept: d}
	for attempt := 1; attempt <= MaxAttempts; attempt++ {
		if err := transit(tx, now, &d, move{to: StatusInProgress}); err != nil || d.Attempt != attempt {
			t.Fatalf("attempt %d: %d %v", attempt, d.Attempt, err)
		}
		err := transit(tx, now, &d, move{to: StatusQueued, platformFault: true})
		if last := attempt == MaxAttempts; (err != nil) != last {
			t.Fatalf("attempt %d goes back: %v", attempt, err)
		}
	}
}

func TestEndedDeploymentsHoldNothing(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := DeploymentRow{Deployment: Deployment{Status: StatusInProgress, Attempt: 1}, ClaimedBy: "me", ClaimUntil: now, Handle: "h"}
	beginPhase(&d, "build", now)
	if err := transit(&oneRow{kept: d}, now.Add(time.Second), &d, move{to: StatusFail, reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if d.ClaimedBy != "" || d.Handle != "" || d.EndedAt == nil || d.Reason != "x" || d.Phases[0].EndedAt == nil {
		t.Errorf("%+v", d)
	}
}

// TestNothingEndsBeforeItBegan: each step by another clock, a minute behind the
// one before.
func TestNothingEndsBeforeItBegan(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { now = now.Add(-time.Minute); return now }
	d := DeploymentRow{Deployment: Deployment{Status: StatusQueued, CreatedAt: now}}
	if err := transit(&oneRow{kept: d}, clock(), &d, move{to: StatusInProgress}); err != nil {
		t.Fatal(err)
	}
	beginPhase(&d, "clone", clock())
	beginPhase(&d, "build", clock())
	if err := transit(&oneRow{kept: d}, clock(), &d, move{to: StatusFail, reason: "x"}); err != nil {
		t.Fatal(err)
	}
	if d.StartedAt.Before(d.CreatedAt) || d.EndedAt.Before(*d.StartedAt) || len(d.Phases) != 2 {
		t.Errorf("created %s, started %s, ended %s, %d phases", d.CreatedAt, d.StartedAt, d.EndedAt, len(d.Phases))
	}
	for _, p := range d.Phases {
		if p.EndedAt.Before(p.StartedAt) || d.EndedAt.Before(*p.EndedAt) {
			t.Errorf("%s began at %s and ended at %s", p.Phase, p.StartedAt, p.EndedAt)
		}
	}
}
