package controlplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	sweeperLease = "sweeper"
	sweepEvery   = time.Minute
	sweepBatch   = 100 // of each kind, a round
)

// runSweeper ends what was left alone and frees what is no longer needed.
func (s *Service) runSweeper(ctx context.Context) {
	s.loop(ctx, "sweeper", s.wakeSweeper, sweepEvery, time.Hour, s.under(sweeperLease, s.sweepOnce))
}

func (s *Service) sweepOnce(ctx context.Context) (more bool, err error) {
	var errs []error
	for _, step := range []func(context.Context) error{s.endLostBuilders, s.endStaleUploads, s.dropOldWork, s.prunePrevious, s.freeInBackground, s.expireLogs} {
		errs = append(errs, step(ctx))
	}
	return false, errors.Join(errs...)
}

// endLostBuilders ends builders that have outlived the control plane that
// started them, and their attempt.
func (s *Service) endLostBuilders(ctx context.Context) error {
	if !s.runner.Survives() {
		return nil // another control plane's are out of this one's sight
	}
	ctx, cancel := context.WithTimeout(ctx, sweepEvery)
	defer cancel()
	return s.sweepBuilders(ctx)
}

// endStaleUploads ends uploads that nobody has worked on for an hour.
func (s *Service) endStaleUploads(ctx context.Context) error {
	return s.update(ctx, func(tx Tx, n *notes) error {
		now := s.now()
		rows, err := tx.StaleUploads(now.Add(-uploadIdleTime))
		if err != nil {
			return fmt.Errorf("end stale uploads: %w", err)
		}
		for _, d := range rows {
			to := StatusFail
			if d.Status == StatusQueued {
				to = StatusCanceled
			}
			err := transit(tx, now, d, move{to: to, reason: "The upload was not finished: nothing came for an hour. Deploy again."})
			if err != nil {
				return fmt.Errorf("end stale upload %s: %w", d.ID, err)
			}
			n.then = append(n.then, func() { s.uploads.drop(d.ID) })
			n.deployments = append(n.deployments, d)
		}
		return nil
	})
}

// dropOldWork deletes one-use tokens and detections that are over.
func (s *Service) dropOldWork(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error {
		now := s.now()
		return errors.Join(tx.DeleteClaims(now.Add(-s.clockSlack())), tx.DeleteDetections(now.Add(-time.Hour)))
	})
}

// prunePrevious takes deployments whose grace is over off the hosts' lists, so
// that they can expire. Edges keep the time themselves: nothing is published.
func (s *Service) prunePrevious(ctx context.Context) error {
	return s.store.Update(ctx, func(tx Tx) error {
		now := s.now()
		hosts, err := tx.HostsWithPrevious(sweepBatch * 10)
		if err != nil {
			return fmt.Errorf("prune earlier deployments: %w", err)
		}
		for _, h := range hosts {
			kept := []site.Previous{}
			for _, v := range h.Previous {
				if v.Until.After(now) {
					kept = append(kept, v)
				}
			}
			if len(kept) == len(h.Previous) {
				continue
			}
			h.Previous = kept
			if err := tx.SaveHost(h); err != nil {
				return err
			}
		}
		return nil
	})
}

// lists reports whether a host names a deployment as an earlier one at a time. A
// deployment's own host keeps nothing.
func (h *HostRow) lists(deployment string, at time.Time) bool {
	return !h.Gone && h.Role != RoleDeployment && slices.ContainsFunc(h.Previous, func(v site.Previous) bool { return v.Deployment == deployment && v.Until.After(at) })
}

// expireLogs has the log store free what nobody can read any more.
func (s *Service) expireLogs(ctx context.Context) error {
	var before time.Time
	if s.config.LogRetention > 0 {
		before = s.now().Add(-s.config.LogRetention)
	}
	return s.logs.Expire(ctx, before)
}
