package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// testFairQueue starts builds one after the other, ends them, and compares the
// order with what is fair.
func testFairQueue(t *testing.T, s *suite) {
	owned := func(user string) func(*controlplane.ProjectRow) {
		return func(p *controlplane.ProjectRow) { p.UserID = user }
	}
	of := func(user string) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) { d.UserID = user }
	}
	for _, p := range []string{"a1", "a2", "a3"} {
		s.project(p, owned("a"))
		for n := range 5 {
			s.deployment(fmt.Sprint(p, "-", n), p, of("a"))
		}
	}
	s.project("b1", owned("b"))
	s.project("c1", owned("c"))
	s.project("idle", owned("d"))
	limits := controlplane.QueueLimits{Total: 3, Project: 2}
	now := s.now
	running := []string{}
	start := func(want string) {
		t.Helper()
		var d *controlplane.DeploymentRow
		s.view(func(tx controlplane.Tx) (err error) {
			d, err = tx.NextQueued(now, limits)
			return err
		})
		if d == nil {
			s.same("next", "", want)
			return
		}
		s.same("next", d.ID, want)
		now = now.Add(time.Second)
		s.update(func(tx controlplane.Tx) error {
			at := now
			d.Status, d.StartedAt, d.Attempt, d.ClaimedBy = controlplane.StatusInProgress, &at, 1, "one"
			_, err := tx.SaveDeployment(d, controlplane.StatusQueued, 0)
			return err
		})
		running = append(running, d.ID)
	}
	end := func(id string) {
		t.Helper()
		s.update(func(tx controlplane.Tx) error {
			d, err := tx.Deployment(id)
			if err != nil {
				return err
			}
			d.Status = controlplane.StatusReady
			_, err = tx.SaveDeployment(d, controlplane.StatusInProgress, 1)
			return err
		})
	}
	start("a1-0") // nobody has had a turn: the oldest
	start("a2-0") // of a project that has none running
	s.deployment("b1-0", "b1", of("b"))
	s.deployment("b1-1", "b1", of("b"))
	start("b1-0") // of an owner who has none running, though it came last
	start("")     // the limit in all
	s.deployment("c1-0", "c1", of("c"))
	end("a1-0")
	start("c1-0") // an owner who has none
	end("a2-0")
	start("a3-0") // a has none now; of its projects, the one that had no turn yet
	end("b1-0")
	start("b1-1") // b has none, a one
	end("a3-0")
	end("b1-1")
	end("c1-0")
	start("a1-1") // b and c have nothing that waits
	start("a2-1")
	start("a3-1")
	s.view(func(tx controlplane.Tx) error {
		for _, row := range []struct {
			project, holder string
			want            int
		}{{"", "", 3}, {"a1", "", 1}, {"b1", "", 0}, {"", "one", 3}, {"", "two", 0}} {
			n, err := tx.Builds(row.project, row.holder)
			if err != nil {
				return err
			}
			s.same(fmt.Sprint(row), n, row.want)
		}
		return nil
	})
	limits.Holder = "two" // whose builds are counted on their own
	start("a1-2")
}

// Queue fills a store with deployments that wait: of one owner's projects, and
// one each of as many others.
func Queue(t testing.TB, store controlplane.Store, waiting, projects, others int) {
	t.Helper()
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	seq := int64(0)
	err := store.Update(t.Context(), func(tx controlplane.Tx) error {
		add := func(project, user string, deployments int) error {
			seq++
			err := tx.InsertProject(&controlplane.ProjectRow{Seq: seq, Project: controlplane.Project{ID: project, SubDomain: project, UserID: user, State: "active", CreatedAt: now}})
			for n := 0; n < deployments && err == nil; n++ {
				seq++
				id := fmt.Sprintf("%s-%d", project, n)
				err = tx.InsertDeployment(&controlplane.DeploymentRow{Seq: seq, UserID: user, Dispatchable: true, Deployment: controlplane.Deployment{
					ID: id, HostID: id, ProjectID: project, Kind: controlplane.KindGit, Status: controlplane.StatusQueued, CreatedAt: now,
				}})
			}
			return err
		}
		for n := range projects {
			if err := add(fmt.Sprint("p", n), "greedy", waiting/projects); err != nil {
				return err
			}
		}
		for n := range others {
			if err := add(fmt.Sprint("o", n), fmt.Sprint("user", n), 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
