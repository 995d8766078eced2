package controlplane

import (
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// saveHost edits a host of a project, makes it where there is none, and marks
// it to be published. Where edit reports false nothing is written. A tombstone
// of another project begins anew; that its name is free was decided with the
// project's subdomain.
func (s *Service) saveHost(tx Tx, p *ProjectRow, host string, role Role, edit func(*HostRow) bool) error {
	h, err := tx.Host(host)
	switch {
	case CodeOf(err) == CodeNotFound:
		h = &HostRow{Host: host}
	case err != nil:
		return err
	case h.ProjectID != p.ID && !h.Gone:
		return Errorf(CodeConflict, "The host %s belongs to another project.", host)
	}
	if h.ProjectID != p.ID || h.Gone {
		*h = HostRow{Host: host, Generation: h.Generation, Published: h.Published, PublishedAt: h.PublishedAt, ChangedAt: h.ChangedAt}
	}
	h.ProjectID, h.UserID, h.Role = p.ID, p.UserID, role
	if !edit(h) {
		return nil
	}
	if err := dirtyHost(tx, h, s.now()); err != nil {
		return err
	}
	return tx.SaveHost(h)
}

// dirtyHost gives a host's route a new generation, to be published.
func dirtyHost(tx Tx, h *HostRow, now time.Time) (err error) {
	h.ChangedAt = changedAt(h.ChangedAt, h.Generation > h.Published, now)
	h.Generation, err = tx.Next(CounterGeneration, 1)
	return err
}

// changedAt is since when a record waits to be published that changes now: one
// that waited already goes on.
func changedAt(since time.Time, waits bool, now time.Time) time.Time {
	if waits && !since.IsZero() {
		return since
	}
	return now
}

// take leads a host to another deployment and keeps the former for the grace
// of its immutable files.
func (h *HostRow) take(deployment string, now time.Time, noGrace bool) {
	var previous []site.Previous
	if h.Deployment != "" && h.Deployment != deployment {
		previous = append(previous, site.Previous{Deployment: h.Deployment, Until: now.Add(site.Grace)})
	}
	for _, p := range h.Previous {
		if p.Deployment != deployment && p.Deployment != h.Deployment && p.Until.After(now) && len(previous) < site.MaxPrevious {
			previous = append(previous, p)
		}
	}
	if noGrace {
		previous = nil
	}
	h.Deployment, h.Previous = deployment, previous
}

// entomb gives a host up: it is answered 410 for ever, or until its name is
// taken anew.
func entomb(tx Tx, h *HostRow, now time.Time) error {
	h.Gone, h.Deployment, h.Previous, h.RedirectTo, h.TakenSeq = true, "", nil, "", 0
	h.ProtectedUntil = now.Add(nameProtection)
	if err := dirtyHost(tx, h, now); err != nil {
		return err
	}
	return tx.SaveHost(h)
}

// takeHosts gives a deployment that became ready the hosts that are its due:
// its own; its branch's and production, each only if it was created after the
// one that last took it. A pinned production stays.
func (s *Service) takeHosts(tx Tx, n *notes, p *ProjectRow, d *DeploymentRow, now time.Time) error {
	own := site.DeploymentHost(d.HostID, p.SubDomain, s.config.BaseDomain)
	if err := s.saveHost(tx, p, own, RoleDeployment, func(h *HostRow) bool { h.Deployment = d.ID; return true }); err != nil {
		return err
	}
	newer := func(h *HostRow) bool {
		if d.Seq <= h.TakenSeq {
			return false
		}
		h.TakenSeq = d.Seq
		h.take(d.ID, now, false)
		return true
	}
	if branch := d.Source.Branch; branch != "" && d.Kind == KindGit {
		host := site.BranchHost(branch, p.SubDomain, s.config.BaseDomain)
		err := s.saveHost(tx, p, host, RoleBranch, func(h *HostRow) bool { h.Branch = branch; return newer(h) })
		if err != nil {
			return err
		}
	}
	if d.Environment != site.Production || p.Pinned {
		return nil
	}
	return s.saveProduction(tx, n, p, newer)
}

// renameHosts moves all hosts of a project below another subdomain; the old
// ones become tombstones.
func (s *Service) renameHosts(tx Tx, p *ProjectRow, subDomain string) error {
	if _, err := s.freeSubDomain(tx, p.UserID, subDomain, p.Name); err != nil {
		return err
	}
	hosts, err := tx.HostsOfProject(p.ID)
	if err != nil {
		return err
	}
	p.SubDomain = subDomain
	for _, old := range hosts {
		if old.Gone || old.Role == RoleDomain {
			continue
		}
		name := s.productionHost(subDomain)
		switch old.Role {
		case RoleBranch:
			name = site.BranchHost(old.Branch, subDomain, s.config.BaseDomain)
		case RoleDeployment:
			hostID, _, _ := strings.Cut(old.Host, "--")
			name = site.DeploymentHost(hostID, subDomain, s.config.BaseDomain)
		}
		was := *old
		err := s.saveHost(tx, p, name, old.Role, func(h *HostRow) bool {
			h.Branch, h.Deployment, h.Previous, h.TakenSeq = was.Branch, was.Deployment, was.Previous, was.TakenSeq
			return true
		})
		if err != nil {
			return err
		}
		if err := entomb(tx, old, s.now()); err != nil {
			return err
		}
	}
	return nil
}
