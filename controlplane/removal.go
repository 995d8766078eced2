package controlplane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	// freeAfter is how long the files of a removed deployment are kept.
	freeAfter = 24 * time.Hour
	// blobAge is how old a blob is at least that is freed: a younger one may
	// belong to an upload that goes on.
	blobAge = 48 * time.Hour
	// archiveAge is how long uploaded sources are kept for a retry.
	archiveAge = 7 * 24 * time.Hour
	// deleteBatch is how many objects are deleted by one call.
	deleteBatch = 1000
)

// DeleteDeployment removes a deployment that has ended: its hosts become
// tombstones at once, its files are freed a day later. One in production stays.
func (s *Service) DeleteDeployment(ctx context.Context, p Principal, id string) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	ctx, unlock, err := s.lockDeployment(ctx, p, id)
	if err != nil {
		return err
	}
	defer unlock()
	var log LogRef
	err = s.update(ctx, func(tx Tx, n *notes) error {
		d, project, err := ownDeployment(tx, p, id)
		if err != nil {
			return err
		}
		if !d.Status.Ended() {
			return Errorf(CodeConflict, "The deployment is still %s: cancel it first.", d.Status)
		}
		log = d.Log()
		return s.remove(tx, n, project, d)
	})
	if err != nil {
		return err
	}
	s.uploads.drop(id)
	s.deleteLog(ctx, log)
	return nil
}

// remove takes a deployment off every host and out of every list.
func (s *Service) remove(tx Tx, n *notes, p *ProjectRow, d *DeploymentRow) error {
	now := s.now()
	hosts, err := tx.HostsOfProject(p.ID)
	if err != nil {
		return err
	}
	status, attempt := d.Status, d.Attempt
	d.RemovedAt, d.UpdatedAt, d.IdempotencyKey = now, now, ""
	if ok, err := tx.SaveDeployment(d, status, attempt); err != nil || !ok {
		return or(err, Errorf(CodeConflict, "The deployment has changed meanwhile."))
	}
	for _, h := range hosts {
		if err := s.removeFrom(tx, p, h, d, now); err != nil {
			return err
		}
	}
	if free := now.Add(freeAfter); p.CollectAt.IsZero() || p.CollectAt.After(free) {
		p.CollectAt = free
		if err := tx.SaveProject(p); err != nil {
			return err
		}
	}
	n.publish = true
	n.removedOwner = p.UserID
	n.removed = append(n.removed, Change{Type: "deployment", Project: p.ID, Deployment: d.ID, Deleted: true})
	return nil
}

// removeFrom takes a deployment off one host: off the list of earlier ones, or
// the host goes to the next newest of its branch, or becomes a tombstone.
func (s *Service) removeFrom(tx Tx, p *ProjectRow, h *HostRow, d *DeploymentRow, now time.Time) error {
	names := func(v site.Previous) bool { return v.Deployment == d.ID }
	switch {
	case h.Gone:
		return nil
	case h.Deployment != d.ID:
		if !slices.ContainsFunc(h.Previous, names) {
			return nil
		}
		return s.saveHost(tx, p, h.Host, h.Role, func(h *HostRow) bool {
			h.Previous = slices.DeleteFunc(h.Previous, names)
			return true
		})
	case h.Role == RoleProduction, h.Role == RoleDomain:
		return Errorf(CodeConflict, "The deployment is in production: promote another one first.")
	case h.Role == RoleBranch:
		next, err := tx.NewestReady(p.ID, h.Branch)
		if CodeOf(err) == CodeNotFound {
			break
		}
		if err != nil {
			return err
		}
		return s.saveHost(tx, p, h.Host, h.Role, func(h *HostRow) bool {
			h.Deployment = next.ID
			h.Previous = slices.DeleteFunc(h.Previous, func(v site.Previous) bool { return v.Deployment == next.ID || names(v) })
			return true
		})
	}
	return entomb(tx, h, now)
}

// DeleteProject ends a project: its builds stop and its hosts become tombstones
// at once; blobs, logs and rows follow in the background, also after a restart.
func (s *Service) DeleteProject(ctx context.Context, p Principal, id string) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	var handles []string
	err := s.update(ctx, func(tx Tx, n *notes) (err error) {
		handles = nil
		project, err := ownProject(tx, p, id)
		if err != nil {
			return err
		}
		now := s.now()
		active, err := tx.ActiveDeployments(project.ID)
		if err != nil {
			return err
		}
		for _, d := range active {
			handles = append(handles, d.Handle)
			if err := transit(tx, now, d, move{to: StatusCanceled, reason: "The project was deleted."}); err != nil {
				return err
			}
			n.deployments = append(n.deployments, d)
		}
		hosts, err := tx.HostsOfProject(project.ID)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			if h.Gone {
				continue
			}
			if err := entomb(tx, h, now); err != nil {
				return err
			}
		}
		if err := tx.DeleteDomains(project.ID); err != nil {
			return err
		}
		// Its name is free for the owner at once.
		project.State, project.SubDomain, project.CustomDomain = projectDeleted, "deleted-"+project.ID, ""
		project.UpdatedAt, project.CollectAt = now, now
		n.projects, n.publish, n.queued = append(n.projects, project), true, true
		if err := dirtyProject(tx, project, now); err != nil {
			return err
		}
		return tx.SaveProject(project)
	})
	if err != nil {
		return err
	}
	for _, handle := range handles {
		s.endBuilder(handle)
	}
	return nil
}

// purge removes what a deleted project has left: as soon as its tombstones
// stand in the bucket, and once more when no signed URL can bring anything back.
func (s *Service) purge(ctx context.Context, g *Garbage, id string) error {
	var p *ProjectRow
	var logs []LogRef
	published := true
	err := s.store.View(ctx, func(tx Tx) (err error) {
		if p, err = tx.Project(id); err != nil {
			return err
		}
		hosts, err := tx.HostsOfProject(id)
		if err != nil {
			return err
		}
		for _, h := range hosts {
			published = published && h.Generation == h.Published
		}
		logs, err = tx.AllDeployments(id)
		return err
	})
	if err != nil || !published || p.Generation != p.Published {
		return err
	}
	ctx, unlock, err := s.store.LockProject(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	every := func(info blob.Info) bool {
		g.note(p, GarbageProject, "the project was deleted", info, time.Time{})
		return true
	}
	if err := s.deleteObjects(ctx, site.ProjectPrefix(id), every); err != nil {
		return fmt.Errorf("purge project %s: %w", id, err)
	}
	if err := s.logs.Delete(ctx, logs...); err != nil {
		return fmt.Errorf("purge project %s: %w", id, err)
	}
	return s.store.Update(ctx, func(tx Tx) error {
		row, err := tx.Project(id)
		if err != nil {
			return err
		}
		last := row.UpdatedAt.Add(site.UploadURLTime + time.Minute)
		if s.now().After(last) {
			return tx.DeleteProject(id)
		}
		row.CollectAt = last
		return tx.SaveProject(row)
	})
}

// deleteObjects deletes those objects below a prefix that a choice names.
func (s *Service) deleteObjects(ctx context.Context, prefix string, chosen func(blob.Info) bool) error {
	var keys []string
	flush := func() error {
		if len(keys) == 0 {
			return nil
		}
		// Nothing in the bucket keeps out who has lost the project's lock and does
		// not know it yet, as after the machine hung: the database does.
		if err := s.store.Update(ctx, func(Tx) error { return nil }); err != nil {
			return err
		}
		err := s.bucket.Delete(ctx, keys...)
		keys = keys[:0]
		return err
	}
	for info, err := range s.bucket.List(ctx, prefix, blob.ListOptions{}) {
		if err != nil {
			return err
		}
		if !chosen(info) {
			continue
		}
		if keys = append(keys, info.Key); len(keys) == deleteBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
