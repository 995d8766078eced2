package controlplane

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
)

// Domains lists a project's domains, oldest first, as DNS was seen last.
func (s *Service) Domains(ctx context.Context, p Principal, project string) (items []*Domain, err error) {
	if err := p.Allows(ScopeRead); err != nil {
		return nil, err
	}
	items = []*Domain{}
	err = s.store.View(ctx, func(tx Tx) error {
		owned, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		rows, err := tx.Domains(owned.ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			d, err := s.showDomain(tx, owned, row)
			if err != nil {
				return err
			}
			items = append(items, d)
		}
		return nil
	})
	return items, err
}

// Domain returns a domain as DNS has it now, and its certificate. What it sees
// counts: a domain whose records are right is verified by that.
func (s *Service) Domain(ctx context.Context, p Principal, project, host string) (*Domain, error) {
	return s.seeDomain(ctx, p, ScopeRead, project, host, checkFresh)
}

// VerifyDomain is [Service.Domain], never answered from a look just before.
func (s *Service) VerifyDomain(ctx context.Context, p Principal, project, host string) (*Domain, error) {
	return s.seeDomain(ctx, p, ScopeDeploy, project, host, 0)
}

// AddDomain adds a domain to a project and looks at once whether its records
// are there. A domain that another project has verified is refused, unless DNS
// says that it is this project's now.
func (s *Service) AddDomain(ctx context.Context, p Principal, project string, in DomainInput) (*Domain, error) {
	if err := p.Allows(ScopeAdmin); err != nil {
		return nil, err
	}
	owner, err := s.ownedProject(ctx, p, project)
	if err != nil {
		return nil, err
	}
	host, err := s.parseDomain("host", in.Host)
	if err != nil {
		return nil, err
	}
	hosts := []string{host}
	if in.RedirectOther {
		other := otherDomain(host)
		if err := s.checkDomain("redirectOther", other); err != nil {
			return nil, err
		}
		hosts = append(hosts, other)
	}
	for _, h := range hosts {
		if err := s.mayClaim(ctx, p, owner.ID, h); err != nil {
			return nil, err
		}
	}
	err = s.update(ctx, func(tx Tx, n *notes) error {
		owner, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		return s.insertDomains(tx, n, owner, hosts)
	})
	if err != nil {
		return nil, err
	}
	// A look that fails is made again in the background.
	looks := errgroup.Group{}
	for _, h := range hosts {
		looks.Go(func() error { return s.checkDomainNow(ctx, owner.ID, h) })
	}
	if err := looks.Wait(); err != nil && ctx.Err() == nil {
		s.log.Warn("the first look at a domain failed", "domain", host, "project", owner.ID, "error", err)
	}
	return s.storedDomain(ctx, p, owner.ID, host)
}

// insertDomains adds what is not there of one domain and the other that
// redirects to it.
func (s *Service) insertDomains(tx Tx, n *notes, p *ProjectRow, hosts []string) error {
	rows, err := tx.Domains(p.ID)
	if err != nil {
		return err
	}
	now, count := s.now(), len(rows)
	for i, host := range hosts {
		redirectTo := ""
		if i > 0 {
			redirectTo = hosts[0]
		}
		at := slices.IndexFunc(rows, func(d *DomainRow) bool { return d.Host == host })
		if at >= 0 {
			d := rows[at]
			if len(hosts) == 1 {
				return Invalid("host", "The project has %s already.", host)
			}
			d.RedirectTo = redirectTo
			if err := tx.SaveDomain(d); err != nil {
				return err
			}
			continue
		}
		if count++; count > s.config.MaxDomains {
			return Invalid("host", "A project has at most %d domains: remove one first.", s.config.MaxDomains)
		}
		err := tx.InsertDomain(&DomainRow{ProjectID: p.ID, Host: host, Token: s.domainToken(p.ID, host), RedirectTo: redirectTo, CreatedAt: now, NextCheck: now})
		if err != nil {
			return err
		}
	}
	n.projects = append(n.projects, p)
	return s.changeDomains(tx, n, p)
}

// changeDomains has the hosts and the record of a project follow its domains.
func (s *Service) changeDomains(tx Tx, n *notes, p *ProjectRow) error {
	if err := s.routeDomains(tx, n, p); err != nil {
		return err
	}
	return saveRecord(tx, n, p, s.now())
}

// mayClaim refuses a domain that another project has verified, but for one
// whose TXT record is this project's now, and no more the other's.
func (s *Service) mayClaim(ctx context.Context, p Principal, project, host string) error {
	var other *DomainRow
	theirs, token := "another project", s.domainToken(project, host)
	err := s.store.View(ctx, func(tx Tx) (err error) {
		if own, err := tx.Domain(project, host); err == nil {
			token = own.Token
		}
		other, err = tx.VerifiedDomain(host)
		if CodeOf(err) == CodeNotFound || err == nil && other.ProjectID == project {
			other = nil
			return nil
		}
		if err != nil {
			return err
		}
		row, err := tx.Project(other.ProjectID)
		if err == nil && row.UserID == p.UserID {
			theirs = "your project " + row.Name
		}
		return err
	})
	if err != nil || other == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	texts, err := s.dns.TXT(ctx, domainPrefix+host)
	if slices.Contains(texts, token) && !slices.Contains(texts, other.Token) {
		return nil
	}
	why := ""
	if failed := (*dnslookup.Error)(nil); errors.As(err, &failed) && !failed.Absent() {
		why = " (" + failed.Sentence() + ")"
	}
	return Errorf(CodeConflict, "The domain %s is verified by %s. Remove it there; or, to prove that it is this project's now, set the TXT record of %s to %q, remove every other text there, and add the domain again.%s",
		host, theirs, domainPrefix+host, token, why)
}

// RemoveDomain removes a domain, and those that redirect to it: their hosts
// become tombstones.
func (s *Service) RemoveDomain(ctx context.Context, p Principal, project, host string) error {
	if err := p.Allows(ScopeAdmin); err != nil {
		return err
	}
	return s.update(ctx, func(tx Tx, n *notes) error {
		owner, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		d, err := findDomain(tx, owner.ID, host)
		if err != nil {
			return err
		}
		rows, err := tx.Domains(owner.ID)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Host == d.Host || row.RedirectTo == d.Host {
				if err := tx.DeleteDomain(owner.ID, row.Host); err != nil {
					return err
				}
			}
		}
		n.projects = append(n.projects, owner)
		return s.changeDomains(tx, n, owner)
	})
}

// findDomain returns a domain of a project by its name, as DNS or as people
// write it.
func findDomain(tx Tx, project, host string) (*DomainRow, error) {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return tx.Domain(project, host)
}

func (s *Service) ownedProject(ctx context.Context, p Principal, project string) (row *ProjectRow, err error) {
	err = s.store.View(ctx, func(tx Tx) (err error) {
		row, err = ownProject(tx, p, project)
		return err
	})
	return row, err
}

// seeDomain looks at a domain now, unless somebody just did.
func (s *Service) seeDomain(ctx context.Context, p Principal, scope Scope, project, host string, fresh time.Duration) (*Domain, error) {
	if err := p.Allows(scope); err != nil {
		return nil, err
	}
	owner, err := s.ownedProject(ctx, p, project)
	if err != nil {
		return nil, err
	}
	d, err := s.storedDomain(ctx, p, owner.ID, host)
	if err != nil {
		return nil, err
	}
	if d.CheckedAt == nil || s.now().Sub(*d.CheckedAt) >= fresh {
		if err := s.checkDomainNow(ctx, owner.ID, d.Host); err != nil {
			return nil, err
		}
		if d, err = s.storedDomain(ctx, p, owner.ID, d.Host); err != nil {
			return nil, err
		}
	}
	d.Certificate = s.certificate(ctx, owner, d)
	return d, nil
}

func (s *Service) storedDomain(ctx context.Context, p Principal, project, host string) (d *Domain, err error) {
	err = s.store.View(ctx, func(tx Tx) error {
		owner, err := ownProject(tx, p, project)
		if err != nil {
			return err
		}
		row, err := findDomain(tx, owner.ID, host)
		if err == nil {
			d, err = s.showDomain(tx, owner, row)
		}
		return err
	})
	return d, err
}

// showDomain makes of a row what people see.
func (s *Service) showDomain(tx Tx, p *ProjectRow, row *DomainRow) (*Domain, error) {
	d := &Domain{
		Host: row.Host, Unicode: unicodeDomain(row.Host), URL: s.siteURL(row.Host), RedirectTo: row.RedirectTo,
		State: row.state(), Primary: row.Host == p.CustomDomain, Records: s.wantedRecords(p, row), CreatedAt: row.CreatedAt,
		VerifiedAt: known(row.VerifiedAt), CheckedAt: known(row.CheckedAt), NextCheckAt: known(row.NextCheck), MissingSince: known(row.MissingSince), StoppedAt: known(row.StoppedAt),
	}
	// What was seen is of the records that were wanted then.
	for i, want := range d.Records {
		for _, seen := range row.Records {
			if want.Type == seen.Type && want.Name == seen.Name && want.Value == seen.Value {
				d.Records[i] = seen
			}
		}
	}
	switch d.State {
	case DomainPending:
		d.Detail = "Set these records where the domain's DNS is managed. They are looked up again and again until they are there."
		other, err := tx.VerifiedDomain(row.Host)
		if err == nil && other.ProjectID != row.ProjectID {
			d.Detail = "Another project has verified this domain. It moves here when its records below are right and every other text of its TXT record is gone."
		} else if err != nil && CodeOf(err) != CodeNotFound {
			return nil, err
		}
	case DomainActive:
		d.Detail = "The domain leads to this project."
		if row.RedirectTo != "" {
			d.Detail = "Visitors are redirected to " + unicodeDomain(row.RedirectTo) + "."
		}
	case DomainMissing:
		at := row.MissingSince.Add(missingTime)
		d.StopsAt = &at
		d.Detail = "The records of this domain are gone. Set them again, or the domain stops answering a week after they went."
	case DomainStopped:
		d.Detail = "The records of this domain were gone for a week, so it no longer answers. It comes back by itself when they are right again."
	}
	return d, nil
}

// domainToken is what the TXT record of a domain says. It depends on nothing
// but project and host, so that it can be told before the domain is added.
func (s *Service) domainToken(project, host string) string {
	mac := hmac.New(sha256.New, DeriveKey(s.config.MasterKey, "domain-tokens"))
	mac.Write([]byte(project + "|" + host))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// known is a time, or nil where there is none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
