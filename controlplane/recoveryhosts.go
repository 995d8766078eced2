package controlplane

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// domains brings back those of the projects whose records were taken over.
func (r *recovery) domains() error {
	for _, p := range r.renewed {
		if err := r.tx.DeleteDomains(p.ID); err != nil {
			return err
		}
	}
	for _, p := range r.renewed {
		for _, d := range p.Domains {
			row := &DomainRow{
				ProjectID: p.ID, Host: d.Host, Token: d.Token, RedirectTo: d.RedirectTo, CreatedAt: d.CreatedAt,
				VerifiedAt: d.VerifiedAt, MissingSince: d.MissingSince, StoppedAt: d.StoppedAt, NextCheck: r.now,
			}
			if other, err := r.tx.VerifiedDomain(d.Host); err == nil && !row.VerifiedAt.IsZero() {
				row.VerifiedAt, row.MissingSince, row.StoppedAt = time.Time{}, time.Time{}, time.Time{}
				r.lose(d.Host, "project "+other.ProjectID+" has this domain; it is looked up in DNS again for "+p.ID)
			} else if err != nil && CodeOf(err) != CodeNotFound {
				return err
			}
			if err := r.tx.InsertDomain(row); err != nil {
				return err
			}
			r.report.Domains++
		}
	}
	return nil
}

// hosts takes routes over that are newer than the rows.
func (r *recovery) hosts() error {
	for _, route := range r.c.routes {
		h, err := r.tx.Host(route.Host)
		if err != nil && CodeOf(err) != CodeNotFound {
			return err
		}
		if err == nil && h.Generation >= route.Generation {
			continue
		}
		if !route.Gone && !r.kept[route.Project] {
			if _, err := r.tx.Project(route.Project); CodeOf(err) == CodeNotFound {
				r.lose(route.Host, "it leads to project "+route.Project+", whose record is not in the bucket; its route is left as it is")
				continue
			} else if err != nil {
				return err
			}
		}
		if err := r.host(route); err != nil {
			return err
		}
	}
	return nil
}

func (r *recovery) host(route *site.RouteRecord) error {
	h := &HostRow{
		Host: route.Host, ProjectID: route.Project, UserID: route.Owner, Role: r.role(route), Branch: route.Branch,
		Deployment: route.Deployment, Previous: route.Previous, RedirectTo: route.RedirectTo, Gone: route.Gone, ProtectedUntil: route.ProtectedUntil,
		Generation: route.Generation, Published: route.Generation, PublishedAt: route.PublishedAt,
	}
	if route.Gone {
		h.UserID = cmp.Or(r.owners[route.Owner], route.Owner)
		if h.ProtectedUntil.IsZero() {
			h.ProtectedUntil = route.PublishedAt.Add(nameProtection)
		}
		r.report.Tombstones++
		return r.tx.SaveHost(h)
	}
	p, err := r.tx.Project(route.Project)
	if err != nil {
		return err
	}
	h.UserID = p.UserID
	d := r.c.deployments[route.Deployment]
	if h.Role == RoleBranch && h.Branch == "" && d != nil {
		h.Branch = d.source.Branch
	}
	if route.Deployment != "" && d == nil {
		if _, err := r.tx.Deployment(route.Deployment); CodeOf(err) == CodeNotFound {
			r.lose(route.Host, "it leads to deployment "+route.Deployment+", of which the bucket has no manifest: deploy again")
			h.Deployment = ""
		} else if err != nil {
			return err
		}
	}
	if h.TakenSeq, err = r.takenSeq(p, route); err != nil {
		return err
	}
	if h.Role == RoleProduction && p.Pinned != route.Pinned {
		p.Pinned = route.Pinned
		if err := r.tx.SaveProject(p); err != nil {
			return err
		}
	}
	r.report.Hosts++
	return r.tx.SaveHost(h)
}

// takenSeq is the order of the newest deployment that took a host: the one that
// it leads to; of a pinned production the newest that might have it.
func (r *recovery) takenSeq(p *ProjectRow, route *site.RouteRecord) (int64, error) {
	if route.Pinned {
		newest, err := r.tx.NewestReady(p.ID, "")
		if err == nil {
			return newest.Seq, nil
		}
		if CodeOf(err) != CodeNotFound {
			return 0, err
		}
	}
	d, err := r.tx.Deployment(route.Deployment)
	if CodeOf(err) == CodeNotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return d.Seq, nil
}

// removed gives up what was removed since the rows were written: deployments whose own host
// is a tombstone now, and projects that left nothing but tombstones.
func (r *recovery) removed() error {
	if !r.older {
		return nil
	}
	// Projects first: of one that was deleted there is nothing more to remove.
	for _, role := range []Role{RoleProduction, RoleDeployment} {
		for _, route := range r.c.routes {
			if r.role(route) != role || !route.Gone {
				continue
			}
			if err := r.removedBy(route, role); err != nil {
				return err
			}
		}
	}
	return nil
}

// removedBy draws the conclusion of one tombstone.
func (r *recovery) removedBy(route *site.RouteRecord, role Role) error {
	h, err := r.tx.Host(route.Host)
	if CodeOf(err) == CodeNotFound || err == nil && (!h.Gone || h.Generation != route.Generation) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := r.tx.Project(h.ProjectID)
	if CodeOf(err) == CodeNotFound || err == nil && p.State == projectDeleted {
		return nil
	}
	if err != nil {
		return err
	}
	if role == RoleProduction {
		if r.c.projects[p.ID] != nil || route.Host != r.s.productionHost(p.SubDomain) {
			return nil // it is there, or has moved to another subdomain
		}
		if err := r.tx.DeleteDomains(p.ID); err != nil {
			return err
		}
		p.State, p.SubDomain, p.CustomDomain, p.CollectAt, p.UpdatedAt = projectDeleted, "deleted-"+p.ID, "", r.now, r.now
		return r.tx.SaveProject(p)
	}
	hostID, _, _ := strings.Cut(route.Host, "--")
	d, err := r.tx.DeploymentByHostID(p.ID, hostID)
	if CodeOf(err) == CodeNotFound || err == nil && !d.Status.Ended() {
		return nil
	}
	if err != nil {
		return err
	}
	// A project that moved to another subdomain has left tombstones too.
	if hosts, err := r.tx.HostsOfDeployments([]string{d.ID}); err != nil || len(hosts) > 0 {
		return err
	}
	d.RemovedAt, d.UpdatedAt, d.IdempotencyKey = r.now, r.now, ""
	r.report.Removed++
	_, err = r.tx.SaveDeployment(d, d.Status, d.Attempt)
	return err
}

var hostIDPattern = regexp.MustCompile(`^[0-9a-f]{8}--`)

// role is what a route says, or what its host looks like.
func (r *recovery) role(route *site.RouteRecord) Role {
	label, below := strings.CutSuffix(route.Host, "."+r.s.config.BaseDomain)
	switch {
	case route.Role != "":
		return Role(route.Role)
	case !below || strings.Contains(label, "."):
		return RoleDomain
	case hostIDPattern.MatchString(label):
		return RoleDeployment
	case strings.Contains(label, "--"):
		return RoleBranch
	}
	return RoleProduction
}
