package controlplane

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// productionHost is a project's own host.
func (s *Service) productionHost(subDomain string) string {
	return subDomain + "." + s.config.BaseDomain
}

// siteURL is the address of a site's host.
func (s *Service) siteURL(host string) string {
	scheme, port := s.config.SiteScheme, s.config.SitePort
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		return fmt.Sprintf("%s://%s", scheme, host)
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, strconv.Itoa(port)))
}

// showProject makes of a row what people see, without its deployments.
func (s *Service) showProject(row *ProjectRow) *Project {
	p := row.Project
	p.HasCredentials = len(row.Credentials) > 0
	if row.Protection != nil {
		p.Access = &ProjectAccess{Scope: row.Protection.Scope}
	}
	p.URL = s.siteURL(cmp.Or(p.CustomDomain, s.productionHost(p.SubDomain)))
	return &p
}

// showProjects makes of rows what people see, with their latest and their
// production deployments.
func (s *Service) showProjects(tx Tx, rows []*ProjectRow) ([]*Project, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	latest, err := tx.LatestDeployments(ids)
	if err != nil {
		return nil, err
	}
	hosts, err := tx.ProductionHosts(ids)
	if err != nil {
		return nil, err
	}
	var all []*DeploymentRow
	production := map[string]*DeploymentRow{}
	for _, d := range latest {
		all = append(all, d)
	}
	for _, h := range hosts {
		if h.Deployment == "" {
			continue
		}
		if d := latest[h.ProjectID]; d != nil && d.ID == h.Deployment {
			production[h.ProjectID] = d
			continue
		}
		d, err := tx.Deployment(h.Deployment)
		if CodeOf(err) == CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		production[h.ProjectID] = d
		all = append(all, d)
	}
	shown, err := s.showDeployments(tx, all)
	if err != nil {
		return nil, err
	}
	byID := map[string]*Deployment{}
	for _, d := range shown {
		byID[d.ID] = d
	}
	items := make([]*Project, len(rows))
	for i, row := range rows {
		items[i] = s.showProject(row)
		if d := latest[row.ID]; d != nil {
			items[i].Latest = byID[d.ID]
		}
		if d := production[row.ID]; d != nil {
			items[i].Production = byID[d.ID]
		}
	}
	return items, nil
}

// showDeployments makes of rows what people see, with their hosts.
func (s *Service) showDeployments(tx Tx, rows []*DeploymentRow) ([]*Deployment, error) {
	out := make([]*Deployment, len(rows))
	byID := map[string]*Deployment{}
	ids := make([]string, len(rows))
	for i, row := range rows {
		d := row.Deployment
		d.Hosts = []Host{}
		d.LogExpiresAt = s.logExpiresAt(d.Log())
		if d.Phases == nil {
			d.Phases = []PhaseTimes{}
		}
		if d.Warnings == nil {
			d.Warnings = []Warning{}
		}
		out[i], ids[i] = &d, d.ID
		byID[d.ID] = &d
	}
	hosts, err := tx.HostsOfDeployments(ids)
	if err != nil {
		return nil, err
	}
	if err := primaryFirst(tx, hosts); err != nil {
		return nil, err
	}
	for _, role := range []Role{RoleDomain, RoleProduction, RoleBranch, RoleDeployment} {
		for _, h := range hosts {
			d := byID[h.Deployment]
			if h.Role != role {
				continue
			}
			url := s.siteURL(h.Host)
			d.Hosts = append(d.Hosts, Host{Host: h.Host, URL: url, Role: string(role)})
			if d.URL == "" && h.RedirectTo == "" {
				d.URL = url
			}
			switch role {
			case RoleProduction:
				d.InProduction = true
			case RoleDeployment:
				d.DeploymentURL = url
			}
		}
	}
	return out, nil
}

// primaryFirst puts the domain that a project is shown with before its others.
func primaryFirst(tx Tx, hosts []*HostRow) error {
	primary := map[string]string{} // by project
	for _, h := range hosts {
		if _, known := primary[h.ProjectID]; known || h.Role != RoleDomain {
			continue
		}
		p, err := tx.Project(h.ProjectID)
		if err != nil {
			return err
		}
		primary[h.ProjectID] = p.CustomDomain
	}
	slices.SortStableFunc(hosts, func(a, b *HostRow) int {
		rank := func(h *HostRow) int {
			if h.Role == RoleDomain && primary[h.ProjectID] == h.Host {
				return 0
			}
			return 1
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return nil
}

// showDeployment makes of a row what people see, with its hosts.
func (s *Service) showDeployment(tx Tx, row *DeploymentRow) (*Deployment, error) {
	shown, err := s.showDeployments(tx, []*DeploymentRow{row})
	if err != nil {
		return nil, err
	}
	return shown[0], nil
}

// environmentOf is what a host's route says: only the project's own host and its
// domains are production, so that previews are neither indexed nor open where they are
// protected.
func environmentOf(role Role) site.Environment {
	if role == RoleProduction || role == RoleDomain {
		return site.Production
	}
	return site.Preview
}
