package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// maxWarnings is how many lines that were left out a deployment names.
const maxWarnings = 100

// warningsOf makes warnings of lines that were left out; of very many, the first.
func warningsOf(problems []site.Problem) []Warning {
	var warnings []Warning
	for i, p := range problems {
		if i == maxWarnings {
			return append(warnings, Warning{File: p.File, Reason: fmt.Sprintf("%d more lines are left out: mend the ones above first", len(problems)-i)})
		}
		warnings = append(warnings, Warning(p))
	}
	return warnings
}

// warningsTime bounds the wait for a log that can't be kept at the moment.
const warningsTime = 2 * time.Second

// logWarnings writes warnings into the log of a deployment that has no builder
// to do so. Where the log can't be kept they are still on the deployment.
func (s *Service) logWarnings(ctx context.Context, d *DeploymentRow, warnings []Warning) {
	log := LogRef{d.ID, d.CreatedAt}
	meter := s.meters.get(d.ID)
	meter.mu.Lock()
	defer meter.mu.Unlock()
	defer s.meters.drop(d.ID)
	event := site.Event{Version: site.EventVersion, Deployment: d.ID, Attempt: d.Attempt, Time: s.now(), Type: site.EventLog, Phase: site.PhaseUpload}
	// Nobody numbers these lines. Those of a manifest that is handed in again
	// come later, so their numbers are higher.
	event.Seq = 1 + max(event.Time.Sub(d.CreatedAt).Microseconds(), 0)
	for _, w := range warnings {
		event.Lines = append(event.Lines, site.LogLine{Time: event.Time, Stream: site.System, Text: "Warning: " + site.Problem(w).String()})
	}
	ctx, cancel := context.WithTimeout(ctx, warningsTime)
	defer cancel()
	err := s.keepEvents(ctx, meter, log, []site.Event{event})
	if err != nil {
		s.log.Error("warnings of rules can't be written to the log", "deployment", d.ID, "error", err)
	}
}

// refuseRules says why a deployment's settings or rules are not taken. Strict
// rules fail a client's deployment for good; a builder reports by itself that
// its attempt has failed.
func (s *Service) refuseRules(ctx context.Context, a Actor, id string, warnings []Warning, why error) error {
	refusal := Invalid("manifest", "%s", sentence(why.Error()))
	var strict *site.StrictError
	if errors.As(why, &strict) {
		refusal = Invalid("manifest", "%s.", why) // a file's name comes first and stays as it is
		if a.Attempt == nil {
			err := s.update(ctx, func(tx Tx, n *notes) error {
				t, err := s.target(tx, a, id)
				if err != nil {
					return err
				}
				n.deployments = append(n.deployments, t.d)
				return transit(tx, s.now(), t.d, move{to: StatusFail, reason: why.Error() + ".", edit: func(d *DeploymentRow) { d.Warnings = warnings }})
			})
			if err != nil {
				return err
			}
		}
	}
	return refusal
}
