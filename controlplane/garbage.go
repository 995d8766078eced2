package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	expireBatch   = 100
	unknownEvery  = 24 * time.Hour // how often the bucket is looked through for unknown projects
	garbageRounds = 1000           // of expireBatch, that one round removes at most
)

// retention is what chooses expired deployments now.
func (s *Service) retention() ExpiryQuery {
	now := s.now()
	before := func(retention time.Duration) time.Time {
		if retention < 0 {
			return time.Time{}
		}
		return now.Add(-retention)
	}
	return ExpiryQuery{Before: before(s.config.Retention), FailedBefore: before(s.config.FailedRetention), Keep: max(s.config.KeepDeployments, 0), Limit: expireBatch}
}

// LastGarbage is what the last round removed that removed anything.
func (s *Service) LastGarbage(ctx context.Context, p Principal) (*Garbage, error) {
	if err := allowsOperation(p); err != nil {
		return nil, err
	}
	g := &Garbage{}
	err := s.store.View(ctx, func(tx Tx) error {
		_, body, err := tx.Report(reportGarbage)
		if CodeOf(err) == CodeNotFound {
			return Errorf(CodeNotFound, "Nothing has been removed yet.")
		}
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(body), g)
	})
	if err != nil {
		return nil, err
	}
	return g, nil
}

// allowsOperation says why somebody may not operate the platform.
func allowsOperation(p Principal) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	if !p.Admin {
		return Errorf(CodeForbidden, "Only an administrator may do this.")
	}
	return nil
}

// freeProject frees what one project no longer needs, or only looks.
func (s *Service) freeProject(ctx context.Context, g *Garbage, id string) error {
	p := (*ProjectRow)(nil)
	err := s.store.View(ctx, func(tx Tx) (err error) {
		p, err = tx.Project(id)
		return err
	})
	switch {
	case CodeOf(err) == CodeNotFound:
		return nil // another one was faster
	case err != nil:
		return err
	case p.State == projectDeleted && g.DryRun:
		return s.lookAtDeleted(ctx, g, p)
	case p.State == projectDeleted:
		err = s.purge(ctx, g, id)
	default:
		err = s.collect(ctx, g, id)
	}
	if CodeOf(err) == CodeNotFound {
		return nil
	}
	return err
}

// freeInBackground is one round of the sweeper's: what is due. An older database
// that was put back does not know what is needed until it is brought up to the
// bucket.
func (s *Service) freeInBackground(ctx context.Context) error {
	if err := s.adoptBucket(ctx); err != nil {
		return err
	}
	g := newGarbage(s.now(), false)
	errs := []error{s.expire(ctx, g, 1)}
	var ids []string
	err := s.store.View(ctx, func(tx Tx) error {
		now := s.now()
		deleted, err := tx.DeletedProjects(now)
		if err != nil {
			return err
		}
		due, err := tx.CollectableProjects(now, sweepBatch)
		ids = append(deleted, due...)
		return err
	})
	errs = append(errs, err)
	for _, id := range ids {
		errs = append(errs, s.freeProject(ctx, g, id))
	}
	if now := s.now(); now.Sub(s.unknownAt) >= unknownEvery || now.Before(s.unknownAt) {
		err := s.freeUnknown(ctx, g)
		if errs = append(errs, err); err == nil {
			s.unknownAt = now
		}
	}
	return errors.Join(append(errs, s.endGarbage(ctx, g))...)
}

// expire removes deployments that have outlived their retention, up to so many
// batches.
func (s *Service) expire(ctx context.Context, g *Garbage, batches int) error {
	var errs []error
	for range batches {
		var rows []*DeploymentRow
		err := s.store.View(ctx, func(tx Tx) (err error) {
			rows, err = tx.Expired(s.retention())
			return err
		})
		if err != nil {
			return fmt.Errorf("look for expired deployments: %w", err)
		}
		for _, d := range rows {
			if err := s.expireOne(ctx, g, d); err != nil {
				errs = append(errs, fmt.Errorf("expire deployment %s: %w", d.ID, err))
			}
		}
		if len(rows) < expireBatch || len(errs) > 0 {
			break
		}
	}
	return errors.Join(errs...)
}

func (s *Service) expireOne(ctx context.Context, g *Garbage, d *DeploymentRow) error {
	ctx, unlock, err := s.store.LockProject(ctx, d.ProjectID)
	if err != nil {
		return err
	}
	defer unlock()
	var p *ProjectRow
	err = s.update(ctx, func(tx Tx, n *notes) error {
		p = nil
		// A host may have taken it since, or have led to it until now.
		q := s.retention()
		q.Deployment = d.ID
		rows, err := tx.Expired(q)
		if err != nil || len(rows) == 0 {
			return err
		}
		if p, err = tx.Project(d.ProjectID); err != nil {
			return err
		}
		return s.remove(tx, n, p, rows[0])
	})
	if CodeOf(err) == CodeNotFound {
		return nil // removed meanwhile
	}
	if err != nil || p == nil {
		return err
	}
	of := g.of(p)
	of.Deployments = append(of.Deployments, expired(d))
	s.metrics.expired.Inc()
	s.deleteLog(ctx, d.Log())
	return nil
}

func expired(d *DeploymentRow) ExpiredDeployment {
	return ExpiredDeployment{ID: d.ID, HostID: d.HostID, Status: d.Status, Branch: d.Source.Branch, CreatedAt: d.CreatedAt}
}

// lookAtDeleted counts what a deleted project has left.
func (s *Service) lookAtDeleted(ctx context.Context, g *Garbage, p *ProjectRow) error {
	for info, err := range s.bucket.List(ctx, site.ProjectPrefix(p.ID), blob.ListOptions{}) {
		if err != nil {
			return err
		}
		g.note(p, GarbageProject, "the project was deleted", info, time.Time{})
	}
	return nil
}

// freeUnknown looks for objects of projects that the database does not have.
func (s *Service) freeUnknown(ctx context.Context, g *Garbage) error {
	for id, err := range s.projectPrefixes(ctx) {
		if err != nil {
			return fmt.Errorf("look for unknown projects: %w", err)
		}
		if err := s.freeUnknownProject(ctx, g, id); err != nil {
			return fmt.Errorf("look at unknown project %s: %w", id, err)
		}
	}
	return nil
}

func (s *Service) freeUnknownProject(ctx context.Context, g *Garbage, id string) error {
	var hosts []*HostRow
	err := s.store.View(ctx, func(tx Tx) error {
		_, err := tx.Project(id)
		if CodeOf(err) == CodeNotFound {
			hosts, err = tx.HostsOfProject(id)
			return or(err, errUnknownProject)
		}
		return err
	})
	if !errors.Is(err, errUnknownProject) {
		return err
	}
	u := UnknownProject{ID: id, Deleted: len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h *HostRow) bool { return !h.Gone })}
	now := s.now()
	count := func(info blob.Info) bool {
		u.Objects++
		u.Bytes += info.Size
		if !u.Deleted || info.Modified.Add(blobAge).After(now) {
			return false
		}
		g.note(&ProjectRow{Project: Project{ID: id}}, GarbageProject, "the project was deleted", info, time.Time{})
		return !g.DryRun
	}
	if err := s.deleteObjects(ctx, site.ProjectPrefix(id), count); err != nil {
		return err
	}
	if u.Objects > 0 {
		g.Unknown = append(g.Unknown, u)
	}
	return nil
}

var errUnknownProject = errors.New("the database does not have this project")
