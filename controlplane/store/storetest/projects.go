package storetest

import (
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func testProjectFields(t *testing.T, s *suite) {
	p := &controlplane.ProjectRow{
		Project: controlplane.Project{
			ID: "p", Name: "n", SubDomain: "s", CustomDomain: "c", UserID: "u", GitURL: "g", ProductionBranch: "b", HasCredentials: true,
			BuildSettings: site.BuildSettings{RootDirectory: "r", Framework: "f", InstallCommand: "i", BuildCommand: "b", OutputDirectory: "o", NodeVersion: "20", HTMLHandling: site.HTMLDrop, NotFound: site.NotFoundSPA},
			State:         site.ProjectSuspended, Pinned: true, CreatedAt: s.now, UpdatedAt: s.now.Add(time.Second),
		},
		Seq: 7, Credentials: []byte{0, 1, 255}, Protection: &controlplane.AccessRow{Scope: site.AccessAll, PasswordHash: "h", CookieKey: []byte{0, 2, 254}}, Generation: 9, Published: 8, ChangedAt: s.now.Add(-time.Hour), CollectAt: s.now.Add(time.Hour),
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertProject(p) })
	check := func(what string) {
		t.Helper()
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Project("p")
			s.same(what, got, p)
			if err != nil {
				return err
			}
			got, err = tx.ProjectBySubDomain(p.SubDomain)
			s.same(what, got, p)
			return err
		})
	}
	check("as inserted")
	p.Name, p.SubDomain, p.State, p.Pinned, p.Credentials, p.HasCredentials, p.CollectAt, p.Protection = "n2", "s2", site.ProjectActive, false, nil, false, time.Time{}, nil
	s.update(func(tx controlplane.Tx) error { return tx.SaveProject(p) })
	check("as saved")
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.ProjectBySubDomain("s")
		s.missing(err)
		_, err = tx.Project("nobody")
		s.missing(err)
		return nil
	})
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		return tx.SaveProject(&controlplane.ProjectRow{Project: controlplane.Project{ID: "nobody"}})
	})
	s.missing(err)
	again := *p
	again.ID, again.Seq = "p2", 8
	if err := s.Update(t.Context(), func(tx controlplane.Tx) error { return tx.InsertProject(&again) }); err == nil {
		t.Error("two projects have one subdomain")
	}
}

func testProjectList(t *testing.T, s *suite) {
	for _, id := range []string{"a", "b", "c", "d"} {
		s.project(id)
	}
	s.project("other", func(p *controlplane.ProjectRow) { p.UserID = "other" })
	s.project("gone", func(p *controlplane.ProjectRow) { p.State, p.CollectAt = site.ProjectDeleted, s.now })
	list := func(before int64, limit int) (out []string, last int64) {
		s.view(func(tx controlplane.Tx) error {
			rows, err := tx.Projects("me", before, limit)
			for _, p := range rows {
				out, last = append(out, p.ID), p.Seq
			}
			return err
		})
		return out, last
	}
	page, last := list(0, 3)
	s.same("first page", page, []string{"d", "c", "b"})
	page, _ = list(last, 3)
	s.same("second page", page, []string{"a"})
	page, _ = list(1<<40, 9)
	s.same("all pages", page, []string{"d", "c", "b", "a"})
	s.view(func(tx controlplane.Tx) error {
		due, err := tx.DeletedProjects(s.now)
		s.same("deleted", due, []string{"gone"})
		if err != nil {
			return err
		}
		due, err = tx.DeletedProjects(s.now.Add(-time.Second))
		s.same("deleted, not due", len(due), 0)
		return err
	})
	s.update(func(tx controlplane.Tx) error {
		for _, at := range []time.Duration{2 * time.Hour, time.Hour, 3 * time.Hour} {
			if err := tx.CollectLater("a", s.now.Add(at)); err != nil {
				return err
			}
		}
		return nil
	})
	s.view(func(tx controlplane.Tx) error {
		early, err := tx.CollectableProjects(s.now.Add(59*time.Minute), 9)
		if err != nil {
			return err
		}
		due, err := tx.CollectableProjects(s.now.Add(time.Hour), 9)
		s.same("to collect", [][]string{early, due}, [][]string{nil, {"a"}})
		return err
	})
}

func testDirty(t *testing.T, s *suite) {
	s.project("clean", func(p *controlplane.ProjectRow) { p.Generation, p.Published = 3, 3 })
	s.project("p", func(p *controlplane.ProjectRow) { p.Generation, p.Published = 5, 3 })
	s.host("clean", func(h *controlplane.HostRow) { h.Generation, h.Published = 4, 4 })
	s.host("b", func(h *controlplane.HostRow) { h.Generation = 7 })
	s.host("a", func(h *controlplane.HostRow) { h.Generation = 9 })
	dirty := func() (out []string) {
		s.view(func(tx controlplane.Tx) error {
			projects, err := tx.DirtyProjects(9)
			if err != nil {
				return err
			}
			hosts, err := tx.DirtyHosts(9)
			for _, p := range projects {
				out = append(out, p.ID)
			}
			for _, h := range hosts {
				out = append(out, h.Host)
			}
			return err
		})
		return out
	}
	s.same("dirty", dirty(), []string{"p", "b", "a"})
	publish := func(generation int64) {
		s.update(func(tx controlplane.Tx) error {
			if err := tx.ProjectPublished("p", generation); err != nil {
				return err
			}
			return tx.HostPublished("a", generation+4, s.now)
		})
	}
	publish(4) // an older state
	s.same("dirty", dirty(), []string{"p", "b", "a"})
	publish(5)
	s.same("dirty", dirty(), []string{"b"})
	publish(4) // a late word changes nothing
	s.same("dirty", dirty(), []string{"b"})
	s.view(func(tx controlplane.Tx) error {
		h, err := tx.Host("a")
		if err == nil {
			s.same("published", []any{h.Published, h.PublishedAt}, []any{int64(9), s.now.Truncate(time.Microsecond)})
		}
		return err
	})
}

func testMarkAllDirty(t *testing.T, s *suite) {
	s.project("p", func(p *controlplane.ProjectRow) { p.Generation, p.Published = 3, 3 })
	s.host("a", func(h *controlplane.HostRow) { h.Generation, h.Published = 4, 4 })
	s.host("b", func(h *controlplane.HostRow) { h.Generation, h.Published = 5, 5 })
	waits := s.now.Add(-time.Hour)
	s.host("waits", func(h *controlplane.HostRow) { h.Generation, h.Published, h.ChangedAt = 6, 5, waits })
	s.update(func(tx controlplane.Tx) error {
		_, err := tx.Raise(controlplane.CounterGeneration, 50)
		return err
	})
	s.update(func(tx controlplane.Tx) error { return tx.MarkAllDirty(100, s.now) })
	s.view(func(tx controlplane.Tx) error {
		projects, err := tx.DirtyProjects(9)
		if err != nil {
			return err
		}
		hosts, err := tx.DirtyHosts(9)
		seen := map[int64]bool{}
		for _, p := range projects {
			seen[p.Generation] = p.Generation > 100
		}
		for _, h := range hosts {
			seen[h.Generation] = h.Generation > 100
		}
		s.same("generations", seen, map[int64]bool{101: true, 102: true, 103: true, 104: true})
		for _, h := range hosts { // what waits already goes on to
			want := s.now
			if h.Host == "waits" {
				want = waits
			}
			s.same("since when "+h.Host+" waits", h.ChangedAt, want)
		}
		s.same("since when the project waits", projects[0].ChangedAt, s.now)
		return err
	})
	s.update(func(tx controlplane.Tx) error {
		n, err := tx.Next(controlplane.CounterGeneration, 1)
		s.same("the next", n, int64(105))
		return err
	})
	s.update(func(tx controlplane.Tx) error { return tx.MarkAllDirty(7, s.now.Add(time.Hour)) }) // the counter is above that
	s.view(func(tx controlplane.Tx) error {
		hosts, err := tx.DirtyHosts(9)
		s.same("generations", []int64{hosts[0].Generation, hosts[1].Generation}, []int64{107, 108})
		return err
	})
}

func testHostFields(t *testing.T, s *suite) {
	h := &controlplane.HostRow{
		Host: "h.example.test", ProjectID: "p", UserID: "u", Role: controlplane.RoleBranch, Branch: "b", Deployment: "d",
		Previous: []site.Previous{{Deployment: "e", Until: s.now.Truncate(time.Microsecond)}}, RedirectTo: "r.example.test", TakenSeq: 3, Gone: true, ProtectedUntil: s.now, Generation: 4, Published: 2, PublishedAt: s.now.Add(time.Second), ChangedAt: s.now.Add(-time.Hour),
	}
	for range 2 { // inserted, then replaced
		s.update(func(tx controlplane.Tx) error { return tx.SaveHost(h) })
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Host(h.Host)
			s.same("host", got, h)
			return err
		})
		h.Gone, h.Role, h.Previous, h.Branch, h.TakenSeq = false, controlplane.RoleProduction, nil, "", 9
	}
	s.host("own", func(h *controlplane.HostRow) { h.Deployment, h.Role = "d", controlplane.RoleDeployment })
	s.host("gone", func(h *controlplane.HostRow) { h.Deployment, h.Gone = "d", true })
	s.host("earlier", func(h *controlplane.HostRow) { h.Previous = []site.Previous{{Deployment: "e"}} })
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Host("nobody")
		s.missing(err)
		names := func(rows []*controlplane.HostRow, err error) (out []string) {
			if err != nil {
				t.Error(err)
			}
			for _, h := range rows {
				out = append(out, h.Host)
			}
			return out
		}
		s.same("of deployments", names(tx.HostsOfDeployments([]string{"d", "x"})), []string{"h.example.test", "own"})
		s.same("of no deployments", names(tx.HostsOfDeployments(nil)), []string(nil))
		s.same("of the project", len(names(tx.HostsOfProject("p"))), 4)
		s.same("with earlier ones", names(tx.HostsWithPrevious(9)), []string{"earlier"})
		s.same("of production", len(names(tx.ProductionHosts([]string{"p"}))), 2)
		return nil
	})
}

func testHostsOutlive(t *testing.T, s *suite) {
	s.project("p")
	s.deployment("d", "p")
	s.host("h")
	s.update(func(tx controlplane.Tx) error { return tx.DeleteProject("p") })
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Deployment("d")
		s.missing(err)
		_, err = tx.Host("h")
		return err
	})
}
