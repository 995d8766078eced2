package storetest

import (
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func (s *suite) domain(project, host string, edit ...func(*controlplane.DomainRow)) *controlplane.DomainRow {
	s.t.Helper()
	d := &controlplane.DomainRow{ProjectID: project, Host: host, Token: "t", CreatedAt: s.now, NextCheck: s.now}
	for _, e := range edit {
		e(d)
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertDomain(d) })
	return d
}

func testDomainFields(t *testing.T, s *suite) {
	s.project("p")
	d := s.domain("p", "www.example.test", func(d *controlplane.DomainRow) {
		at := func(n int) time.Time { return s.now.Add(time.Duration(n) * time.Second) }
		d.RedirectTo, d.VerifiedAt, d.MissingSince, d.StoppedAt, d.CheckedAt, d.NextCheck, d.Failures = "example.test", at(1), at(2), at(3), at(4), at(5), 6
		d.Records = []controlplane.DNSRecord{{Type: "TXT", Name: "n", Value: "v", Seen: []string{"a", `"ä`}, State: controlplane.RecordWrong, Detail: "d"}}
	})
	check := func(what string) {
		t.Helper()
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Domain("p", d.Host)
			s.same(what, got, d)
			return err
		})
	}
	check("as inserted")
	d.RedirectTo, d.VerifiedAt, d.MissingSince, d.StoppedAt, d.Failures, d.Records = "", time.Time{}, time.Time{}, time.Time{}, 0, []controlplane.DNSRecord{}
	s.update(func(tx controlplane.Tx) error { return tx.SaveDomain(d) })
	check("as saved")
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Domain("p", "other.test")
		s.missing(err)
		_, err = tx.Domain("q", d.Host)
		s.missing(err)
		_, err = tx.VerifiedDomain(d.Host)
		s.missing(err)
		return nil
	})
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		return tx.SaveDomain(&controlplane.DomainRow{ProjectID: "p", Host: "nobody.test"})
	})
	s.missing(err)
}

func testDomainLists(t *testing.T, s *suite) {
	s.project("p")
	s.project("q")
	at := func(n time.Duration) func(*controlplane.DomainRow) {
		return func(d *controlplane.DomainRow) {
			d.CreatedAt, d.NextCheck = s.now.Add(n*time.Second), s.now.Add(-n*time.Second)
		}
	}
	s.domain("p", "b.test", at(1))
	s.domain("p", "a.test", at(2))
	s.domain("q", "a.test", at(3))
	s.domain("q", "later.test", at(-1))
	hosts := func(rows []*controlplane.DomainRow, err error) (out []string) {
		if err != nil {
			t.Error(err)
		}
		for _, d := range rows {
			out = append(out, d.ProjectID+" "+d.Host)
		}
		return out
	}
	s.view(func(tx controlplane.Tx) error {
		s.same("of a project", hosts(tx.Domains("p")), []string{"p b.test", "p a.test"})
		s.same("due", hosts(tx.DueDomains(s.now, 9)), []string{"q a.test", "p a.test", "p b.test"})
		s.same("due first", hosts(tx.DueDomains(s.now, 1)), []string{"q a.test"})
		return nil
	})
	s.update(func(tx controlplane.Tx) error { return tx.DeleteDomain("p", "a.test") })
	s.update(func(tx controlplane.Tx) error { return tx.DeleteDomains("q") })
	s.view(func(tx controlplane.Tx) error {
		s.same("left", append(hosts(tx.Domains("p")), hosts(tx.Domains("q"))...), []string{"p b.test"})
		return nil
	})
	s.update(func(tx controlplane.Tx) error { return tx.DeleteProject("p") })
	s.view(func(tx controlplane.Tx) error {
		s.same("after the project", hosts(tx.Domains("p")), []string(nil))
		return nil
	})
}

func testOneHasADomain(t *testing.T, s *suite) {
	s.project("p")
	s.project("q")
	verified := func(d *controlplane.DomainRow) { d.VerifiedAt = s.now }
	s.domain("p", "a.test", verified)
	claim := s.domain("q", "a.test")
	claim.VerifiedAt = s.now
	if err := s.Update(t.Context(), func(tx controlplane.Tx) error { return tx.SaveDomain(claim) }); err == nil {
		t.Fatal("two projects have one domain")
	}
	s.update(func(tx controlplane.Tx) error {
		has, err := tx.VerifiedDomain("a.test")
		if err != nil {
			return err
		}
		s.same("who has it", has.ProjectID, "p")
		has.VerifiedAt = time.Time{}
		if err := tx.SaveDomain(has); err != nil {
			return err
		}
		return tx.SaveDomain(claim)
	})
	s.view(func(tx controlplane.Tx) error {
		has, err := tx.VerifiedDomain("a.test")
		s.same("who has it", has.ProjectID, "q")
		return err
	})
}
