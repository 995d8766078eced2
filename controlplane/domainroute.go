package controlplane

import (
	"slices"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// saveProduction edits a project's production host, and has its domains follow.
func (s *Service) saveProduction(tx Tx, n *notes, p *ProjectRow, edit func(*HostRow) bool) error {
	if err := s.saveHost(tx, p, s.productionHost(p.SubDomain), RoleProduction, edit); err != nil {
		return err
	}
	return s.routeDomains(tx, n, p)
}

// routeDomains brings the hosts of a project's domains into the state that is
// their due: they lead where production does, or redirect to another domain
// that does. A domain that does not route, or is no more, is a tombstone.
func (s *Service) routeDomains(tx Tx, n *notes, p *ProjectRow) error {
	domains, err := tx.Domains(p.ID)
	if err != nil {
		return err
	}
	hosts, err := tx.HostsOfProject(p.ID)
	if err != nil {
		return err
	}
	have := map[string]*HostRow{}
	for _, h := range hosts {
		if h.Role == RoleDomain && !h.Gone {
			have[h.Host] = h
		}
	}
	if len(domains) == 0 && len(have) == 0 {
		return s.choosePrimary(tx, p, nil)
	}
	routed := map[string]*DomainRow{}
	for _, d := range domains {
		if d.routed() {
			routed[d.Host] = d
		}
	}
	n.publish = true
	for host, h := range have {
		if routed[host] == nil {
			if err := entomb(tx, h, s.now()); err != nil {
				return err
			}
		}
	}
	production, err := tx.Host(s.productionHost(p.SubDomain))
	if err != nil {
		return err
	}
	for host, d := range routed {
		want := HostRow{Deployment: production.Deployment, Previous: production.Previous, TakenSeq: production.TakenSeq}
		// To redirect to a name that doesn't answer would help nobody.
		if routed[d.RedirectTo] != nil {
			want.RedirectTo = d.RedirectTo
		}
		if h := have[host]; h != nil && h.leadsAs(&want) {
			continue
		}
		err := s.saveHost(tx, p, host, RoleDomain, func(h *HostRow) bool {
			h.Deployment, h.Previous, h.TakenSeq, h.RedirectTo = want.Deployment, want.Previous, want.TakenSeq, want.RedirectTo
			return true
		})
		if err != nil {
			return err
		}
	}
	return s.choosePrimary(tx, p, domains)
}

// leadsAs reports whether two hosts lead to the same.
func (h *HostRow) leadsAs(o *HostRow) bool {
	return h.Deployment == o.Deployment && h.RedirectTo == o.RedirectTo && slices.EqualFunc(h.Previous, o.Previous, func(a, b site.Previous) bool {
		return a.Deployment == b.Deployment && a.Until.Equal(b.Until)
	})
}

// makePrimary has the project shown with one of its domains.
func makePrimary(tx Tx, p *ProjectRow, host string) error {
	d, err := findDomain(tx, p.ID, host)
	if CodeOf(err) == CodeNotFound || err == nil && (!d.routed() || d.RedirectTo != "") {
		return Invalid("customDomain", "Name a domain of the project that is verified and does not redirect.")
	}
	if err == nil {
		p.CustomDomain = d.Host
	}
	return err
}

// choosePrimary picks the domain that the project is shown with: it stays the
// same while it routes, and is else the one that was added first.
func (s *Service) choosePrimary(tx Tx, p *ProjectRow, domains []*DomainRow) error {
	first := ""
	for _, d := range domains {
		if !d.routed() || d.RedirectTo != "" {
			continue
		}
		if first == "" || d.Host == p.CustomDomain {
			first = d.Host
		}
	}
	if p.CustomDomain == first {
		return nil
	}
	p.CustomDomain = first
	return tx.SaveProject(p)
}
