package controlplane

import (
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// routeRecord is what is written of a host.
func routeRecord(h *HostRow, now time.Time) *site.RouteRecord {
	r := &site.RouteRecord{
		Route: site.Route{Host: h.Host, Project: h.ProjectID, Generation: h.Generation, PublishedAt: now, Gone: h.Gone},
		Role:  string(h.Role), Branch: h.Branch,
	}
	if h.Gone {
		r.Owner, r.ProtectedUntil = h.UserID, h.ProtectedUntil
		return r
	}
	r.Deployment, r.Environment, r.Previous, r.RedirectTo = h.Deployment, environmentOf(h.Role), h.Previous, h.RedirectTo
	r.Pinned, r.MadeFor, r.Promoted = h.Pinned, h.MadeFor, h.Promoted
	return r
}

// projectRecord is what is written of a project, but for its protection.
func projectRecord(p *ProjectRow, domains []*DomainRow) *site.ProjectRecord {
	r := &site.ProjectRecord{
		Project:   site.Project{ID: p.ID, Name: p.Name, Owner: p.UserID, State: p.State, Generation: p.Generation},
		SubDomain: p.SubDomain, CustomDomain: p.CustomDomain, GitURL: p.GitURL, ProductionBranch: p.ProductionBranch,
		Build: p.BuildSettings, CreatedAt: p.CreatedAt,
	}
	for _, d := range domains {
		r.Domains = append(r.Domains, site.DomainRecord{
			Host: d.Host, Token: d.Token, RedirectTo: d.RedirectTo, CreatedAt: d.CreatedAt,
			VerifiedAt: d.VerifiedAt, MissingSince: d.MissingSince, StoppedAt: d.StoppedAt,
		})
	}
	return r
}

// saveRecord saves a project and has its record published anew.
func saveRecord(tx Tx, n *notes, p *ProjectRow, now time.Time) error {
	if err := dirtyProject(tx, p, now); err != nil {
		return err
	}
	n.publish = true
	return tx.SaveProject(p)
}
