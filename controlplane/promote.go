package controlplane

import (
	"context"
	"fmt"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Promote gives production to a ready deployment, at once. To promote one that
// is older than another which could have production is a rollback, and pins
// production: later deployments reach only their own hosts. It returns when the
// routes stand in the bucket, or after a while without LiveAt.
func (s *Service) Promote(ctx context.Context, p Principal, id string, in PromoteInput) (*Deployment, error) {
	if err := p.Allows(ScopeDeploy); err != nil {
		return nil, err
	}
	d, err := s.promote(ctx, p, id, in)
	if err == nil && !s.whenPublished(ctx, d.ProjectID) {
		d.LiveAt = nil
	}
	return d, err
}

func (s *Service) promote(ctx context.Context, p Principal, id string, in PromoteInput) (*Deployment, error) {
	ctx, unlock, err := s.lockDeployment(ctx, p, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return s.changeDeployment(ctx, p, id, func(tx Tx, n *notes, project *ProjectRow, d *DeploymentRow) error {
		if d.Status != StatusReady {
			return Errorf(CodeConflict, "Only a READY deployment can be promoted; this one is %s.", d.Status)
		}
		now := s.now()
		newest, err := tx.NewestReady(project.ID, "")
		if err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
		pinned := newest != nil && newest.Seq > d.Seq
		err = s.saveProduction(tx, n, project, func(h *HostRow) bool {
			pinned = pinned || h.TakenSeq > d.Seq
			h.TakenSeq = max(h.TakenSeq, d.Seq)
			h.take(d.ID, now, in.NoGrace)
			return true
		})
		if err != nil {
			return err
		}
		if !d.Promoted {
			d.Promoted, d.UpdatedAt = true, now
			if ok, err := tx.SaveDeployment(d, d.Status, d.Attempt); err != nil || !ok {
				return or(err, Errorf(CodeConflict, "The deployment has changed meanwhile."))
			}
			// The route of its own host tells.
			own := site.DeploymentHost(d.HostID, project.SubDomain, s.config.BaseDomain)
			if err := s.saveHost(tx, project, own, RoleDeployment, func(h *HostRow) bool { h.Deployment = d.ID; return true }); err != nil {
				return err
			}
		}
		project.Pinned, project.UpdatedAt = pinned, now
		n.projects, n.publish = append(n.projects, project), true
		return tx.SaveProject(project)
	})
}

// ResumeProject lets production follow again, and gives it to the newest
// deployment that is its due.
func (s *Service) ResumeProject(ctx context.Context, p Principal, id string) (*Project, error) {
	return s.changeProject(ctx, p, id, ScopeDeploy, func(tx Tx, project *ProjectRow, n *notes) error {
		if !project.Pinned {
			return nil
		}
		project.Pinned = false
		newest, err := tx.NewestReady(project.ID, "")
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		n.publish = true
		n.deployments = append(n.deployments, newest)
		now := s.now()
		return s.saveProduction(tx, n, project, func(h *HostRow) bool {
			h.TakenSeq = max(h.TakenSeq, newest.Seq)
			if h.Deployment != newest.ID {
				h.take(newest.ID, now, false)
			}
			return true // its route tells that it is no longer pinned
		})
	})
}

// lockDeployment takes the lock of the project that a deployment belongs to.
func (s *Service) lockDeployment(ctx context.Context, p Principal, id string) (locked context.Context, unlock func(), err error) {
	project := ""
	err = s.store.View(ctx, func(tx Tx) error {
		d, _, err := ownDeployment(tx, p, id)
		if err == nil {
			project = d.ProjectID
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return s.store.LockProject(ctx, project)
}

// whyEnded says of work that failed since its context ended why that ended, such
// as a lock that was lost.
func whyEnded(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || CodeOf(err) != "" {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// or returns the first error that is one.
func or(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
