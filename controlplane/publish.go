package controlplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// liveWait is how long Publish and Promote wait for the routes to stand in the
// bucket, so that an address works at once when its caller learns of it.
const (
	liveWait = 2 * time.Second
	livePoll = 10 * time.Millisecond
)

// Publish makes a deployment READY whose blobs are all in the bucket, and gives
// it the hosts that are its due. For an archive it queues the build. It may be
// repeated: a deployment that is READY stays as it is.
func (s *Service) Publish(ctx context.Context, a Actor, id string) (*Deployment, error) {
	var t uploadTarget
	err := s.store.View(ctx, func(tx Tx) (err error) {
		t, err = s.target(tx, a, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.d.Kind == KindArchive && a.Principal != nil {
		return s.queueArchive(ctx, a, t)
	}
	if t.d.Status == StatusInProgress {
		if err := s.makeReady(ctx, a, t); err != nil {
			return nil, err
		}
	} else if t.d.Status != StatusReady {
		return nil, Errorf(CodeConflict, "The deployment is %s: it can't be published.", t.d.Status)
	}
	return s.whenLive(ctx, id)
}

// makeReady verifies that every blob is there, under the project's lock so that
// none is freed meanwhile, and sets the deployment READY with its routes in one
// transaction.
func (s *Service) makeReady(ctx context.Context, a Actor, t uploadTarget) (err error) {
	id := t.d.ID
	ctx, unlock, err := s.store.LockProject(ctx, t.p.ID)
	if err != nil {
		return err
	}
	defer unlock()
	defer func() { err = whyEnded(ctx, err) }()
	// Read again: another call may have been faster.
	if err := s.store.View(ctx, func(tx Tx) (err error) { t, err = s.target(tx, a, id); return err }); err != nil {
		return err
	}
	if t.d.Status == StatusReady {
		return nil
	}
	if !t.d.HasManifest {
		return Errorf(CodeConflict, "Hand in the manifest first.")
	}
	m, err := s.handedIn(ctx, t.d)
	if err != nil {
		return err
	}
	missing, err := s.missingBlobs(ctx, t.p.ID, blobsOf(m))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return Errorf(CodeConflict, "%d blobs are missing, the first is %s: upload them and publish again.", len(missing), missing[0].hash)
	}
	if err := s.bucket.Sync(ctx); err != nil {
		return fmt.Errorf("publish deployment %s: %w", id, err)
	}
	hash := t.d.ManifestHash
	err = s.update(ctx, func(tx Tx, n *notes) error {
		if t, err = s.target(tx, a, id); err != nil || t.d.Status == StatusReady {
			return err
		}
		if t.d.ManifestHash != hash { // the lock was lost with the database
			return Errorf(CodeConflict, "Another manifest was handed in meanwhile: publish again.")
		}
		return s.setReady(tx, n, t.p, t.d, m)
	})
	if err == nil {
		s.uploads.drop(id)
	}
	return err
}

// setReady is the transaction after which nothing fails or cancels a
// deployment.
func (s *Service) setReady(tx Tx, n *notes, p *ProjectRow, d *DeploymentRow, m *site.Manifest) error {
	if p.State == projectDeleted {
		return Errorf(CodeConflict, "The project is being deleted.")
	}
	now := s.now()
	if d.Auto {
		// A project's first one is its production.
		if _, err := tx.NewestReady(p.ID, ""); CodeOf(err) == CodeNotFound {
			d.Environment = site.Production
		} else if err != nil {
			return err
		}
	}
	err := transit(tx, now, d, move{to: StatusReady, edit: func(d *DeploymentRow) {
		d.Files, d.Bytes, d.HasManifest = m.Len(), m.TotalSize(), true
	}})
	if err != nil {
		return err
	}
	if err := s.takeHosts(tx, n, p, d, now); err != nil {
		return err
	}
	n.deployments = append(n.deployments, d)
	n.publish, n.queued = true, true
	return nil
}

// queueArchive hands uploaded sources to the dispatcher.
func (s *Service) queueArchive(ctx context.Context, a Actor, t uploadTarget) (d *Deployment, err error) {
	if t.d.Status == StatusQueued && !t.d.Dispatchable {
		info, err := s.bucket.Stat(ctx, t.d.ArchiveKey)
		if err != nil || info.Size != t.d.ArchiveSize {
			return nil, Errorf(CodeConflict, "The archive is not there yet: upload it to the URL that came with the deployment.")
		}
		if err := s.bucket.Sync(ctx); err != nil {
			return nil, fmt.Errorf("queue deployment %s: %w", t.d.ID, err)
		}
	}
	id := t.d.ID
	err = s.update(ctx, func(tx Tx, n *notes) error {
		if t, err = s.target(tx, a, id); err != nil {
			return err
		}
		if t.d.Status == StatusQueued && !t.d.Dispatchable {
			endPhase(t.d, s.now())
			t.d.Dispatchable, t.d.Phase, t.d.UpdatedAt = true, "", s.now()
			if _, err := tx.SaveDeployment(t.d, StatusQueued, t.d.Attempt); err != nil {
				return err
			}
			n.deployments, n.queued = append(n.deployments, t.d), true
		}
		d, err = s.showDeployment(tx, t.d)
		return err
	})
	return d, err
}

// archiveURL is where a builder reads the sources of a deployment.
func (s *Service) archiveURL(ctx context.Context, d *DeploymentRow) (*site.URL, error) {
	signed, err := s.bucket.SignGet(ctx, d.ArchiveKey, s.config.Limits.CloneTime+site.UploadURLTime)
	if err != nil {
		return nil, fmt.Errorf("sign archive of deployment %s: %w", d.ID, err)
	}
	return (*site.URL)(&signed), nil
}

// whenLive returns a ready deployment as soon as its routes stand in the
// bucket, or after a while as it is.
func (s *Service) whenLive(ctx context.Context, id string) (d *Deployment, err error) {
	watch := s.lines.follow(id)
	defer s.lines.leave(watch)
	timer := time.NewTimer(liveWait)
	defer timer.Stop()
	for {
		err := s.store.View(ctx, func(tx Tx) error {
			row, err := tx.Deployment(id)
			if err == nil {
				d, err = s.showDeployment(tx, row)
			}
			return err
		})
		if err != nil || d.LiveAt != nil {
			return d, err
		}
		select {
		case <-watch.bell:
		case <-timer.C:
			return d, nil
		case <-s.stopped:
			return d, nil
		case <-ctx.Done():
			return d, nil
		}
	}
}

// whenPublished returns as soon as the routes of a project's production stand in
// the bucket, and after a while whether they do.
func (s *Service) whenPublished(ctx context.Context, project string) bool {
	ctx, cancel := context.WithTimeout(ctx, liveWait)
	defer cancel()
	ticker := time.NewTicker(livePoll)
	defer ticker.Stop()
	for {
		waiting := true
		err := s.store.View(ctx, func(tx Tx) error {
			hosts, err := tx.ProductionHosts([]string{project})
			waiting = slices.ContainsFunc(hosts, func(h *HostRow) bool { return h.Generation > h.Published })
			return err
		})
		if err == nil && !waiting {
			return true
		}
		select {
		case <-ticker.C:
		case <-s.stopped:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
