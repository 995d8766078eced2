package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	sweeperLease = "sweeper"
	sweepEvery   = time.Minute
	sweepLease   = 90 * time.Minute // longer than any round
	sweepBatch   = 100              // of each kind, a round
)

// runSweeper ends what was left alone and frees what is no longer needed.
func (s *Service) runSweeper(ctx context.Context) {
	s.loop(ctx, "sweeper", s.wakeSweeper, sweepEvery, time.Hour, s.sweepOnce)
}

func (s *Service) sweepOnce(ctx context.Context) (more bool, err error) {
	held := false
	err = s.store.Update(ctx, func(tx Tx) (err error) {
		now := s.now()
		held, err = tx.TakeLease(sweeperLease, s.holder, now, now.Add(sweepLease))
		return err
	})
	if err != nil || !held {
		return false, err
	}
	var errs []error
<<<<<<< HEAD
	for _, step := range []func(context.Context) error{s.endStaleUploads, s.dropOldWork, s.purgeProjects, s.prunePrevious, s.expire, s.collectProjects, s.expireLogs} {
=======
	for _, step := range []func(context.Context) error{s.endStaleUploads, s.dropOldWork, s.prunePrevious, s.free} {
>>>>>>> 31a9992 (Back up, restore, and rebuild the database from the bucket)
		errs = append(errs, step(ctx))
	}
	return false, errors.Join(errs...)
}

// free removes what is no longer needed. An older database that was put back
// does not know what is needed until it is brought up to the bucket.
func (s *Service) free(ctx context.Context) error {
	if err := s.adoptBucket(ctx); err != nil {
		return err
	}
	var errs []error
	for _, step := range []func(context.Context) error{s.purgeProjects, s.expire, s.collectProjects} {
		errs = append(errs, step(ctx))
	}
	return errors.Join(errs...)
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
		return errors.Join(tx.DeleteClaims(now), tx.DeleteDetections(now.Add(-time.Hour)))
	})
}

func (s *Service) purgeProjects(ctx context.Context) error {
	var ids []string
	err := s.store.View(ctx, func(tx Tx) (err error) {
		ids, err = tx.DeletedProjects(s.now())
		return err
	})
	errs := []error{err}
	for _, id := range ids {
		// One that another sweeper has just purged is no failure.
		if err := s.purge(ctx, id); CodeOf(err) != CodeNotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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

// expire removes deployments that have outlived their retention.
func (s *Service) expire(ctx context.Context) error {
	now := s.now()
	before := func(retention time.Duration) time.Time {
		if retention < 0 {
			return time.Time{}
		}
		return now.Add(-retention)
	}
	q := ExpiryQuery{Preview: before(s.config.PreviewRetention), Production: before(s.config.ProductionRetention), Failed: before(s.config.FailedRetention), Limit: sweepBatch}
	var rows []*DeploymentRow
	err := s.store.View(ctx, func(tx Tx) (err error) {
		rows, err = tx.Expired(q)
		return err
	})
	if err != nil {
		return fmt.Errorf("look for expired deployments: %w", err)
	}
	var errs []error
	for _, d := range rows {
		if err := s.expireOne(ctx, d); err != nil {
			errs = append(errs, fmt.Errorf("expire deployment %s: %w", d.ID, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) expireOne(ctx context.Context, d *DeploymentRow) error {
	ctx, unlock, err := s.store.LockProject(ctx, d.ProjectID)
	if err != nil {
		return err
	}
	defer unlock()
	removed := false
	err = s.update(ctx, func(tx Tx, n *notes) error {
		removed = false
		row, err := tx.Deployment(d.ID)
		if err != nil {
			return err
		}
		p, err := tx.Project(row.ProjectID)
		if err != nil {
			return err
		}
		// A host may have taken it since.
		hosts, err := tx.HostsOfDeployments([]string{row.ID})
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if h.Role != RoleDeployment {
				return nil
			}
		}
		removed = true
		return s.remove(tx, n, p, row)
	})
	if CodeOf(err) == CodeNotFound {
		return nil // removed meanwhile
	}
	if err != nil || !removed {
		return err
	}
	return s.logs.Delete(ctx, d.Log())
}

func (s *Service) collectProjects(ctx context.Context) error {
	var ids []string
	err := s.store.View(ctx, func(tx Tx) (err error) {
		ids, err = tx.CollectableProjects(s.now(), sweepBatch)
		return err
	})
	errs := []error{err}
	for _, id := range ids {
		errs = append(errs, s.collect(ctx, id))
	}
	return errors.Join(errs...)
}

// expireLogs has the log store free what nobody can read any more.
func (s *Service) expireLogs(ctx context.Context) error {
	var before time.Time
	if s.config.LogRetention > 0 {
		before = s.now().Add(-s.config.LogRetention)
	}
	return s.logs.Expire(ctx, before)
}
