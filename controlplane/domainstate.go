package controlplane

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	looksInTurn = 3             // of one domain, where others are faster
	lookAge     = 2 * checkTime // after which a look is too old to be noted
)

// checkDomainNow looks at a domain and notes what follows. A look that hung, as
// machines do, is not noted: it is looked again, until one is the newest.
func (s *Service) checkDomainNow(ctx context.Context, project, host string) error {
	for range looksInTurn {
		noted, err := s.lookOnce(ctx, project, host)
		if noted || err != nil {
			return err
		}
	}
	return nil // others keep looking, and note it
}

// lookOnce reports false where another look was noted since this one began, or
// it took too long.
func (s *Service) lookOnce(ctx context.Context, project, host string) (noted bool, err error) {
	var p *ProjectRow
	var d *DomainRow
	began := s.clock()
	err = s.store.View(ctx, func(tx Tx) (err error) {
		if d, err = tx.Domain(project, host); err == nil {
			p, err = tx.Project(project)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	l, err := s.look(ctx, p, d)
	if err != nil {
		return false, err
	}
	seen := d
	err = s.update(ctx, func(tx Tx, n *notes) error {
		noted = true
		if d, err = tx.Domain(project, host); err != nil {
			return err
		}
		if p, err = tx.Project(project); err != nil {
			return err
		}
		if d.Token != seen.Token || p.State == projectDeleted {
			return nil // removed and added anew meanwhile
		}
		if !d.CheckedAt.Equal(seen.CheckedAt) || s.clock().Sub(began) > lookAge {
			noted = false
			return nil
		}
		return s.noteLook(tx, n, p, d, l)
	})
	if CodeOf(err) == CodeNotFound {
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("note what DNS says of domain %s: %w", host, err)
	}
	if noted {
		s.metrics.domainChecks.WithLabelValues(string(l.verdict())).Inc()
	}
	return noted, nil
}

// noteLook draws the conclusions of a look: the one place where a domain's
// state changes.
func (s *Service) noteLook(tx Tx, n *notes, p *ProjectRow, d *DomainRow, l *look) error {
	now := s.now()
	before := d.state()
	d.CheckedAt, d.Records = now, l.records
	switch l.verdict() {
	case verdictGood:
		d.Failures = 0
		if d.VerifiedAt.IsZero() {
			if taken, err := s.takeDomain(tx, n, d, l); err != nil || !taken {
				d.NextCheck = now.Add(s.checkAgain(d, now))
				return or(err, tx.SaveDomain(d))
			}
			d.VerifiedAt = now
		}
		d.MissingSince, d.StoppedAt = time.Time{}, time.Time{}
	case verdictGone:
		d.Failures = 0
		if d.VerifiedAt.IsZero() {
			break
		}
		if d.MissingSince.IsZero() {
			d.MissingSince = now
		}
		if d.StoppedAt.IsZero() && !now.Before(d.MissingSince.Add(missingTime)) {
			d.StoppedAt = now
		}
	case verdictUnknown:
		d.Failures++
	}
	d.NextCheck = now.Add(s.checkAgain(d, now))
	if err := tx.SaveDomain(d); err != nil {
		return err
	}
	if after := d.state(); after != before {
		n.projects = append(n.projects, p)
		n.then = append(n.then, func() { s.logDomain(d, before, after) })
		return s.changeDomains(tx, n, p)
	}
	return nil
}

func (s *Service) logDomain(d *DomainRow, before, after DomainState) {
	args := []any{"domain", d.Host, "project", d.ProjectID, "was", before}
	switch after {
	case DomainMissing:
		s.log.Warn("the DNS records of a domain are gone", append(args, "stops", d.MissingSince.Add(missingTime))...)
	case DomainStopped:
		s.log.Warn("a domain stops routing: its DNS records have been gone for a week", args...)
	default:
		s.log.Info("a domain routes: its DNS records are right", args...)
	}
}

// takeDomain makes a verified domain of one whose records are right. Another
// project that has verified it keeps it for as long as its text is in DNS.
func (s *Service) takeDomain(tx Tx, n *notes, d *DomainRow, l *look) (bool, error) {
	other, err := tx.VerifiedDomain(d.Host)
	if CodeOf(err) == CodeNotFound {
		return true, nil
	}
	if err != nil || slices.Contains(l.texts, other.Token) {
		return false, err
	}
	former, err := tx.Project(other.ProjectID)
	if err != nil {
		return false, err
	}
	other.VerifiedAt, other.MissingSince, other.StoppedAt = time.Time{}, time.Time{}, time.Time{}
	if err := tx.SaveDomain(other); err != nil {
		return false, err
	}
	n.projects = append(n.projects, former)
	n.then = append(n.then, func() {
		s.log.Warn("a domain moves to another project, which has proved that it is its own", "domain", d.Host, "from", former.ID, "to", d.ProjectID)
	})
	return true, s.changeDomains(tx, n, former)
}

// checkAgain is when a domain is looked at again: the longer nothing happens,
// the more seldom, with some jitter so that they spread.
func (s *Service) checkAgain(d *DomainRow, now time.Time) time.Duration {
	quarter := func(since time.Time, least, most time.Duration) time.Duration {
		return min(max(now.Sub(since)/4, least), most)
	}
	wait := time.Hour
	switch {
	case d.Failures > 0:
		wait = min(10*time.Second<<min(d.Failures, 10), time.Hour)
	case d.state() == DomainPending:
		wait = quarter(d.CreatedAt, 5*time.Second, 6*time.Hour)
	case d.state() == DomainMissing:
		wait = quarter(d.MissingSince, time.Minute, time.Hour)
	case d.state() == DomainStopped:
		wait = quarter(d.StoppedAt, 5*time.Minute, 6*time.Hour)
	}
	return wait + rand.N(wait/10)
}
