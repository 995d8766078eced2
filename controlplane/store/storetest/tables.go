package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// testTables copies every row out and in again, as a backup does.
func testTables(t *testing.T, s *suite) {
	s.project("p", func(p *controlplane.ProjectRow) { p.Name = "Ünï\"code\n" })
	s.deployment("d", "p")
	s.host("h", func(h *controlplane.HostRow) { h.Deployment = "d" })
	s.domain("p", "www.example.com")
	s.update(func(tx controlplane.Tx) error {
		for i := range 2010 { // more than one statement reads
			if err := tx.PutClaim(fmt.Sprint("hash ", i), controlplane.Attempt{Deployment: "d"}, s.now); err != nil {
				return err
			}
		}
		return nil
	})
	type row struct {
		table   string
		columns []string
		values  []any
	}
	read := func() (rows []row) {
		s.view(func(tx controlplane.Tx) error {
			for _, table := range tx.Tables() {
				err := tx.EachRow(table.Name, func(columns []string, values []any) error {
					rows = append(rows, row{table.Name, append([]string{}, columns...), append([]any{}, values...)})
					return nil
				})
				if err != nil {
					return err
				}
			}
			n, err := tx.Schema()
			s.same("there is a schema", n > 0, true)
			return err
		})
		return rows
	}
	before := read()
	s.same("rows", len(before) >= 2014, true)
	s.update(func(tx controlplane.Tx) error {
		tables := tx.Tables()
		for i := len(tables) - 1; i >= 0; i-- {
			if err := tx.ClearTable(tables[i].Name); err != nil {
				return err
			}
		}
		return nil
	})
	s.same("rows after they were cleared", len(read()), 0)
	s.update(func(tx controlplane.Tx) error {
		for _, r := range before {
			if err := tx.InsertRow(r.table, r.columns, r.values); err != nil {
				return err
			}
		}
		return nil
	})
	s.same("rows put back", read(), before)
	for name, f := range map[string]func(controlplane.Tx) error{
		"a table that is not there":  func(tx controlplane.Tx) error { return tx.InsertRow("nothing", []string{"id"}, []any{"x"}) },
		"a column that is not there": func(tx controlplane.Tx) error { return tx.InsertRow("counters", []string{"nothing"}, []any{"x"}) },
		"a column that is SQL": func(tx controlplane.Tx) error {
			return tx.InsertRow("counters", []string{"name) VALUES ('x'); --"}, []any{"x"})
		},
		"reading a table that is SQL": func(tx controlplane.Tx) error {
			return tx.EachRow("counters; DROP TABLE hosts", func([]string, []any) error { return nil })
		},
	} {
		if err := s.Update(t.Context(), f); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func testReports(_ *testing.T, s *suite) {
	s.view(func(tx controlplane.Tx) error {
		_, _, err := tx.Report("r")
		s.missing(err)
		return nil
	})
	for i, body := range []string{"{}", `{"n":1}`} {
		at := s.now.Add(time.Duration(i) * time.Second)
		s.update(func(tx controlplane.Tx) error { return tx.PutReport("r", at, body) })
		s.view(func(tx controlplane.Tx) error {
			got, text, err := tx.Report("r")
			s.same("report", []any{got, text}, []any{at, body})
			return err
		})
	}
}

// testRouteFacts are what a route tells besides its row.
func testRouteFacts(_ *testing.T, s *suite) {
	s.project("p", func(p *controlplane.ProjectRow) { p.Pinned = true })
	s.deployment("d", "p", func(d *controlplane.DeploymentRow) { d.Environment, d.Promoted = "production", true })
	for i, role := range []controlplane.Role{controlplane.RoleProduction, controlplane.RoleDeployment, controlplane.RoleBranch} {
		s.host(string(role), func(h *controlplane.HostRow) {
			h.ProjectID, h.Role, h.Deployment, h.Generation = "p", role, "d", int64(i+1)
		})
	}
	s.host("gone", func(h *controlplane.HostRow) {
		h.ProjectID, h.Gone, h.Role, h.Generation = "unknown", true, controlplane.RoleDeployment, 4
	})
	s.view(func(tx controlplane.Tx) error {
		hosts, err := tx.DirtyHosts(9)
		var got [][]any
		for _, h := range hosts {
			got = append(got, []any{h.Host, h.Pinned, string(h.MadeFor), h.Promoted})
		}
		s.same("facts", got, [][]any{
			{"production", true, "", false}, {"deployment", false, "production", true}, {"branch", false, "", false}, {"gone", false, "", false},
		})
		return err
	})
}

func testBacklog(_ *testing.T, s *suite) {
	backlog := func() (b controlplane.Backlog) {
		s.view(func(tx controlplane.Tx) (err error) {
			b, err = tx.Backlog()
			return err
		})
		return b
	}
	s.same("of nothing", backlog(), controlplane.Backlog{})
	s.project("p", func(p *controlplane.ProjectRow) {
		p.Generation, p.Published, p.ChangedAt = 9, 8, s.now.Add(-time.Minute)
	})
	s.host("published", func(h *controlplane.HostRow) {
		h.Generation, h.Published, h.ChangedAt = 7, 7, s.now.Add(-time.Hour)
	})
	s.host("later", func(h *controlplane.HostRow) { h.Generation, h.Published, h.ChangedAt = 5, 4, s.now })
	s.host("not known", func(h *controlplane.HostRow) { h.Generation, h.Published = 6, 4 })
	for i, id := range []string{"first", "second"} {
		s.deployment(id, "p", func(d *controlplane.DeploymentRow) {
			d.Status, d.Dispatchable, d.CreatedAt = controlplane.StatusQueued, true, s.now.Add(time.Duration(i)*time.Minute)
		})
	}
	s.deployment("uploading", "p", func(d *controlplane.DeploymentRow) {
		d.Status, d.Dispatchable, d.CreatedAt = controlplane.StatusQueued, false, s.now.Add(-time.Hour)
	})
	until := s.now.Add(10 * time.Second)
	s.update(func(tx controlplane.Tx) error {
		if _, err := tx.TakeLease("publisher", controlplane.LeaseRow{Holder: "me", Until: until}, controlplane.LeaseRow{}); err != nil {
			return err
		}
		return tx.PutReport("backup", s.now, "{}")
	})
	s.same("of all", backlog(), controlplane.Backlog{Queued: 2, OldestQueued: s.now, Unpublished: 3, OldestChange: s.now.Add(-time.Minute), Publisher: controlplane.LeaseRow{Holder: "me", Until: until}, BackedUpAt: s.now})
}
