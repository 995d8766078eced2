package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func testDeploymentFields(t *testing.T, s *suite) {
	s.project("p")
	at := func(n int) time.Time { return s.now.Add(time.Duration(n) * time.Second).Truncate(time.Microsecond) }
	started, ended, live, phaseEnd := at(3), at(4), at(5), at(6)
	d := &controlplane.DeploymentRow{
		Deployment: controlplane.Deployment{
			ID: "d", HostID: "hid", ProjectID: "p", Kind: controlplane.KindArchive, Status: controlplane.StatusInProgress, Reason: "r",
			Environment: site.Production, Attempt: 2, Phase: site.PhaseBuild, Phases: []controlplane.PhaseTimes{{Phase: site.PhaseClone, StartedAt: at(1), EndedAt: &phaseEnd}},
			Source: site.Source{Repository: "g", Branch: "b", Commit: "c", Message: "m", Author: "a", Framework: "f", BuiltAt: at(2)}, Message: "msg", NoCache: true, RetryOf: "x",
			Files: 3, Bytes: 1 << 40, UploadedBlobs: 4, Warnings: []controlplane.Warning{{File: "_redirects", Line: 3, Reason: "r"}},
			CreatedAt: at(0), UpdatedAt: at(1), StartedAt: &started, EndedAt: &ended, LiveAt: &live,
		},
		Seq: 99, UserID: "u", Auto: true, Promoted: true, Dispatchable: true, WantBranch: "wb", WantCommit: "wc", IdempotencyKey: "k", ArchiveSize: 5, ArchiveKey: "ak",
		NotBefore: at(7), ClaimedBy: "cp", ClaimUntil: at(8), Handle: "h", HeardAt: at(9), PhaseAt: at(10), LastSeq: 6, HasManifest: true,
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertDeployment(d) })
	s.view(func(tx controlplane.Tx) error {
		got, err := tx.Deployment("d")
		s.same("by id", got, d)
		if err != nil {
			return err
		}
		got, err = tx.DeploymentByHostID("p", "hid")
		s.same("by host id", got, d)
		if err != nil {
			return err
		}
		got, err = tx.DeploymentByKey("u", "k")
		s.same("by key", got, d)
		return err
	})
	twin := *d
	twin.ID, twin.Seq, twin.IdempotencyKey = "d2", 100, ""
	if err := s.Update(t.Context(), func(tx controlplane.Tx) error { return tx.InsertDeployment(&twin) }); err == nil {
		t.Error("two deployments of a project have one host id")
	}
}

func testDeploymentGuard(t *testing.T, s *suite) {
	s.project("p")
	s.deployment("d", "p", func(d *controlplane.DeploymentRow) { d.Status, d.Attempt = controlplane.StatusInProgress, 2 })
	for _, row := range []struct {
		status  controlplane.Status
		attempt int
		want    bool
	}{{controlplane.StatusQueued, 2, false}, {controlplane.StatusInProgress, 1, false}, {controlplane.StatusInProgress, 2, true}, {controlplane.StatusInProgress, 2, false}} {
		s.update(func(tx controlplane.Tx) error {
			d, err := tx.Deployment("d")
			if err != nil {
				return err
			}
			d.Status, d.Reason = controlplane.StatusFail, "saved"
			ok, err := tx.SaveDeployment(d, row.status, row.attempt)
			s.same(fmt.Sprint(row), ok, row.want)
			return err
		})
	}
}

func testDeploymentList(t *testing.T, s *suite) {
	s.project("p")
	s.project("q", func(p *controlplane.ProjectRow) { p.UserID = "other" })
	s.project("gone", func(p *controlplane.ProjectRow) { p.State = site.ProjectDeleted })
	s.deployment("a", "p", status(controlplane.StatusReady), func(d *controlplane.DeploymentRow) { d.Environment, d.Source.Branch = site.Production, "main" })
	s.deployment("b", "p", status(controlplane.StatusFail), func(d *controlplane.DeploymentRow) { d.Source.Branch = "next" })
	s.deployment("c", "q")
	s.deployment("d", "gone")
	last := s.deployment("e", "p", func(d *controlplane.DeploymentRow) { d.Source.Branch = "main" })
	for _, row := range []struct {
		name string
		q    controlplane.DeploymentQuery
		want []string
	}{
		{"all of a user", controlplane.DeploymentQuery{}, []string{"e", "b", "a"}},
		{"of a project", controlplane.DeploymentQuery{DeploymentFilter: controlplane.DeploymentFilter{ProjectID: "p"}}, []string{"e", "b", "a"}},
		{"of another's project", controlplane.DeploymentQuery{DeploymentFilter: controlplane.DeploymentFilter{ProjectID: "q"}}, nil},
		{"by status", controlplane.DeploymentQuery{DeploymentFilter: controlplane.DeploymentFilter{Status: controlplane.StatusFail}}, []string{"b"}},
		{"by branch", controlplane.DeploymentQuery{DeploymentFilter: controlplane.DeploymentFilter{Branch: "main"}}, []string{"e", "a"}},
		{"by environment", controlplane.DeploymentQuery{DeploymentFilter: controlplane.DeploymentFilter{Environment: site.Production}}, []string{"a"}},
		{"a page", controlplane.DeploymentQuery{Before: last.Seq, Limit: 1}, []string{"b"}},
	} {
		row.q.UserID = "me"
		if row.q.Limit == 0 {
			row.q.Limit = 9
		}
		s.view(func(tx controlplane.Tx) error {
			rows, err := tx.Deployments(row.q)
			s.same(row.name, ids(rows), row.want)
			return err
		})
	}
	s.view(func(tx controlplane.Tx) error {
		latest, err := tx.LatestDeployments([]string{"p", "q", "none"})
		if err == nil {
			s.same("latest", []any{len(latest), latest["p"].ID, latest["q"].ID}, []any{2, "e", "c"})
		}
		return err
	})
}

func testRemoved(t *testing.T, s *suite) {
	s.project("p")
	d := s.deployment("d", "p", status(controlplane.StatusReady), func(d *controlplane.DeploymentRow) { d.HasManifest = true })
	d.RemovedAt = s.now
	s.update(func(tx controlplane.Tx) error {
		ok, err := tx.SaveDeployment(d, controlplane.StatusReady, 0)
		s.same("removed", ok, true)
		return err
	})
	s.update(func(tx controlplane.Tx) error {
		ok, err := tx.SaveDeployment(d, controlplane.StatusReady, 0)
		s.same("changed after", ok, false)
		return err
	})
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Deployment("d")
		s.missing(err)
		_, err = tx.DeploymentByHostID("p", "d")
		s.missing(err)
		_, err = tx.NewestReady("p", "")
		s.missing(err)
		rows, err := tx.Deployments(controlplane.DeploymentQuery{UserID: "me", Limit: 9})
		s.same("listed", len(rows), 0)
		if err != nil {
			return err
		}
		removed, err := tx.RemovedDeployments("p")
		if err != nil {
			return err
		}
		s.same("to be freed", ids(removed), []string{"d"})
		s.same("since", removed[0].RemovedAt, s.now)
		all, err := tx.AllDeployments("p")
		s.same("all", all, []controlplane.LogRef{d.Log()})
		return err
	})
	s.update(func(tx controlplane.Tx) error { return tx.DeleteDeployments("d", "unknown") })
	s.view(func(tx controlplane.Tx) error {
		all, err := tx.AllDeployments("p")
		s.same("all", len(all), 0)
		return err
	})
}

func testIdempotencyKey(t *testing.T, s *suite) {
	s.project("p")
	key := func(user, key string) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) { d.UserID, d.IdempotencyKey = user, key }
	}
	s.deployment("a", "p", key("me", "k"))
	s.deployment("b", "p", key("other", "k"))
	s.deployment("c", "p", key("me", ""))
	s.deployment("d", "p", key("me", ""))
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.DeploymentByKey("me", "")
		s.missing(err)
		got, err := tx.DeploymentByKey("me", "k")
		if err == nil {
			s.same("by key", got.ID, "a")
		}
		return err
	})
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		return tx.InsertDeployment(&controlplane.DeploymentRow{UserID: "me", IdempotencyKey: "k", Seq: 1000, Deployment: controlplane.Deployment{ID: "e", HostID: "e", ProjectID: "p"}})
	})
	if err == nil {
		t.Error("a key was used twice")
	}
}

func testQueue(t *testing.T, s *suite) {
	s.project("p")
	s.project("q")
	s.project("suspended", func(p *controlplane.ProjectRow) { p.State = site.ProjectSuspended })
	s.deployment("s", "suspended")
	s.deployment("waits", "q", func(d *controlplane.DeploymentRow) { d.NotBefore = s.now.Add(time.Minute) })
	s.deployment("archive", "q", func(d *controlplane.DeploymentRow) { d.Dispatchable = false })
	s.deployment("upload", "q", status(controlplane.StatusInProgress), func(d *controlplane.DeploymentRow) { d.Kind = controlplane.KindFiles })
	s.deployment("p1", "p")
	s.deployment("p2", "p")
	s.deployment("q1", "q")
	next := func(at time.Time, total, project int) (id string) {
		s.view(func(tx controlplane.Tx) error {
			d, err := tx.NextQueued(at, controlplane.QueueLimits{Total: total, Project: project})
			if d != nil {
				id = d.ID
			}
			return err
		})
		return id
	}
	run := func(id string) {
		s.update(func(tx controlplane.Tx) error {
			d, err := tx.Deployment(id)
			if err != nil {
				return err
			}
			d.Status, d.Attempt = controlplane.StatusInProgress, 1
			_, err = tx.SaveDeployment(d, controlplane.StatusQueued, 0)
			return err
		})
	}
	s.same("the oldest", next(s.now, 9, 1), "p1")
	s.same("none in all", next(s.now, 0, 1), "")
	run("p1")
	s.same("not of the same project", next(s.now, 9, 1), "q1")
	s.same("the limit in all", next(s.now, 1, 2), "")
	run("q1")
	s.same("two of a project", next(s.now, 9, 2), "p2")
	s.same("none", next(s.now, 9, 1), "")
	s.same("when its time has come", next(s.now.Add(time.Minute), 9, 2), "waits")
	s.view(func(tx controlplane.Tx) error {
		b, err := tx.Backlog()
		n := b.Queued
		s.same("queued", n, 3)
		if err != nil {
			return err
		}
		rows, err := tx.Running()
		s.same("running", ids(rows), []string{"p1", "q1"})
		if err != nil {
			return err
		}
		rows, err = tx.ActiveDeployments("q")
		s.same("active", ids(rows), []string{"waits", "archive", "upload", "q1"})
		return err
	})
}

func testRenew(t *testing.T, s *suite) {
	s.project("p")
	claimed := func(by string) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) {
			d.Status, d.ClaimedBy, d.ClaimUntil = controlplane.StatusInProgress, by, s.now
		}
	}
	s.deployment("mine", "p", claimed("me"))
	s.deployment("other", "p", claimed("other"))
	s.deployment("ended", "p", claimed("me"), status(controlplane.StatusFail))
	for _, until := range []time.Time{s.now.Add(time.Minute).Truncate(time.Microsecond), {}} {
		s.update(func(tx controlplane.Tx) error { return tx.RenewClaims("me", until) })
		s.view(func(tx controlplane.Tx) error {
			for id, want := range map[string]bool{"mine": true, "other": false, "ended": false} {
				d, err := tx.Deployment(id)
				if err != nil {
					return err
				}
				s.same(id, d.ClaimUntil.Equal(until), want)
			}
			return nil
		})
	}
}

func testHeard(t *testing.T, s *suite) {
	s.project("p")
	s.deployment("d", "p", func(d *controlplane.DeploymentRow) {
		d.Status, d.Attempt, d.LastSeq = controlplane.StatusInProgress, 2, 10
	})
	for _, row := range []struct {
		attempt int
		seq     int64
		want    bool
		last    int64
	}{{2, 15, true, 15}, {2, 12, true, 15}, {1, 20, false, 15}, {3, 20, false, 15}} {
		s.update(func(tx controlplane.Tx) error {
			ok, err := tx.Heard("d", row.attempt, row.seq, s.now.Add(time.Second))
			s.same(fmt.Sprint(row), ok, row.want)
			if err != nil {
				return err
			}
			d, err := tx.Deployment("d")
			if err == nil {
				s.same("last", d.LastSeq, row.last)
				s.same("heard", d.HeardAt, s.now.Add(time.Second).Truncate(time.Microsecond))
			}
			return err
		})
	}
}

func testStaleUploads(t *testing.T, s *suite) {
	s.project("p")
	heard := func(at time.Time, kind controlplane.Kind, v controlplane.Status, dispatchable bool) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) {
			d.HeardAt, d.Kind, d.Status, d.Dispatchable = at, kind, v, dispatchable
		}
	}
	old, fresh := s.now.Add(-time.Hour), s.now
	s.deployment("files", "p", heard(old, controlplane.KindFiles, controlplane.StatusInProgress, false))
	s.deployment("archive", "p", heard(old, controlplane.KindArchive, controlplane.StatusQueued, false))
	s.deployment("goes on", "p", heard(fresh, controlplane.KindFiles, controlplane.StatusInProgress, false))
	s.deployment("queued", "p", heard(old, controlplane.KindArchive, controlplane.StatusQueued, true))
	s.deployment("ready", "p", heard(old, controlplane.KindFiles, controlplane.StatusReady, false))
	s.deployment("build", "p", heard(old, controlplane.KindGit, controlplane.StatusInProgress, true))
	s.view(func(tx controlplane.Tx) error {
		rows, err := tx.StaleUploads(s.now.Add(-time.Minute))
		s.same("stale", ids(rows), []string{"files", "archive"})
		return err
	})
}

func testWentLive(t *testing.T, s *suite) {
	s.project("p")
	s.deployment("a", "p", status(controlplane.StatusReady))
	s.deployment("b", "p", status(controlplane.StatusReady))
	s.deployment("c", "p", status(controlplane.StatusInProgress))
	s.host("a1", func(h *controlplane.HostRow) { h.Deployment, h.Generation, h.Published = "a", 2, 2 })
	s.host("a2", func(h *controlplane.HostRow) { h.Deployment, h.Generation, h.Published = "a", 3, 3 })
	s.host("b1", func(h *controlplane.HostRow) { h.Deployment, h.Generation, h.Published = "b", 4, 4 })
	s.host("b2", func(h *controlplane.HostRow) { h.Deployment, h.Generation, h.Published = "b", 5, 4 })
	live := func() (out []string) {
		s.update(func(tx controlplane.Tx) (err error) {
			out, err = tx.WentLive(s.now)
			return err
		})
		return out
	}
	s.same("first", live(), []string{"a"})
	s.same("again", live(), []string(nil))
	s.update(func(tx controlplane.Tx) error { return tx.HostPublished("b2", 5, s.now) })
	s.same("then", live(), []string{"b"})
}

func testNewestReady(t *testing.T, s *suite) {
	s.project("p")
	row := func(e site.Environment, branch string, v controlplane.Status, promoted bool) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) {
			d.Environment, d.Source.Branch, d.Status, d.Promoted = e, branch, v, promoted
		}
	}
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.NewestReady("p", "")
		s.missing(err)
		return nil
	})
	s.deployment("a", "p", row(site.Production, "main", controlplane.StatusReady, false))
	s.deployment("b", "p", row(site.Preview, "next", controlplane.StatusReady, true))
	s.deployment("c", "p", row(site.Preview, "main", controlplane.StatusReady, false))
	s.deployment("d", "p", row(site.Production, "main", controlplane.StatusFail, false))
	for branch, want := range map[string]string{"": "b", "main": "c", "next": "b"} {
		s.view(func(tx controlplane.Tx) error {
			d, err := tx.NewestReady("p", branch)
			if err == nil {
				s.same("of "+branch, d.ID, want)
			}
			return err
		})
	}
}

func testKeptManifests(t *testing.T, s *suite) {
	s.project("p")
	row := func(v controlplane.Status, has bool, removed time.Time) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) { d.Status, d.HasManifest, d.RemovedAt = v, has, removed }
	}
	s.deployment("ready", "p", row(controlplane.StatusReady, true, time.Time{}))
	s.deployment("removed", "p", row(controlplane.StatusReady, true, s.now))
	s.deployment("uploading", "p", row(controlplane.StatusInProgress, true, time.Time{}))
	s.deployment("building", "p", row(controlplane.StatusInProgress, false, time.Time{}))
	s.deployment("failed", "p", row(controlplane.StatusFail, true, time.Time{}))
	s.deployment("newest", "p", row(controlplane.StatusReady, true, time.Time{}))
	s.view(func(tx controlplane.Tx) error {
		some, err := tx.KeptManifests("p", false, 9)
		if err != nil {
			return err
		}
		one, err := tx.KeptManifests("p", false, 1)
		if err != nil {
			return err
		}
		all, err := tx.KeptManifests("p", true, 9)
		s.same("kept", [][]string{some, one, all}, [][]string{{"newest", "ready"}, {"newest"}, {"newest", "uploading", "removed", "ready"}})
		return err
	})
}

func testExpired(t *testing.T, s *suite) {
	s.project("p")
	row := func(age time.Duration, e site.Environment, v controlplane.Status) func(*controlplane.DeploymentRow) {
		return func(d *controlplane.DeploymentRow) { d.CreatedAt, d.Environment, d.Status = s.now.Add(-age), e, v }
	}
	const day = 24 * time.Hour
	for _, v := range []struct {
		id   string
		edit func(*controlplane.DeploymentRow)
	}{
		{"oldest", row(400*day, site.Production, controlplane.StatusReady)},
		{"named", row(40*day, site.Preview, controlplane.StatusReady)},
		{"earlier", row(40*day, site.Preview, controlplane.StatusReady)},
		{"older", row(31*day, site.Preview, controlplane.StatusReady)},
		{"aged", row(30*day, site.Preview, controlplane.StatusReady)}, // to the moment
		{"failed", row(31*day, site.Production, controlplane.StatusFail)},
		{"canceled", row(30*day, site.Production, controlplane.StatusCanceled)},
		{"running", row(40*day, site.Preview, controlplane.StatusInProgress)},
		{"fresh", row(day, site.Preview, controlplane.StatusReady)},
	} {
		s.deployment(v.id, "p", v.edit)
	}
	s.project("q")
	s.deployment("other", "q", row(50*day, site.Preview, controlplane.StatusReady))
	s.host("own", func(h *controlplane.HostRow) { h.Role, h.Deployment = controlplane.RoleDeployment, "older" })
	s.host("branch", func(h *controlplane.HostRow) {
		h.Role, h.Deployment, h.Previous = controlplane.RoleBranch, "named", []site.Previous{{Deployment: "earlier"}}
	})
	month := s.now.Add(-30 * day)
	for _, v := range []struct {
		name string
		q    controlplane.ExpiryQuery
		want []string
	}{
		{"none", controlplane.ExpiryQuery{}, nil},
		{"by age alone", controlplane.ExpiryQuery{Before: month}, []string{"oldest", "older", "other"}},
		{"a moment later", controlplane.ExpiryQuery{Before: month.Add(time.Microsecond)}, []string{"oldest", "older", "aged", "other"}},
		{"the newest is kept", controlplane.ExpiryQuery{Before: month, Keep: 1}, []string{"oldest", "older"}},
		{"as many newer ones as are kept", controlplane.ExpiryQuery{Before: month, Keep: 2}, []string{"oldest", "older"}},
		{"one fewer newer than are kept", controlplane.ExpiryQuery{Before: month, Keep: 3}, []string{"oldest"}},
		{"the oldest is among those kept", controlplane.ExpiryQuery{Before: month, Keep: 6}, nil},
		{"failed ones", controlplane.ExpiryQuery{FailedBefore: month, Keep: 20}, []string{"failed"}},
		{"a moment later", controlplane.ExpiryQuery{FailedBefore: month.Add(time.Microsecond)}, []string{"failed", "canceled"}},
		{"of one project", controlplane.ExpiryQuery{Before: month, Project: "q"}, []string{"other"}},
		{"one alone", controlplane.ExpiryQuery{Before: month, Deployment: "older"}, []string{"older"}},
		{"those that only lists of earlier ones name", controlplane.ExpiryQuery{Before: month, Listed: true}, []string{"oldest", "earlier", "older", "other"}},
		{"one alone that stays", controlplane.ExpiryQuery{Before: month, Deployment: "named"}, nil},
	} {
		v.q.Limit = 99
		s.view(func(tx controlplane.Tx) error {
			rows, err := tx.Expired(v.q)
			s.same(v.name, ids(rows), v.want)
			return err
		})
	}
	s.view(func(tx controlplane.Tx) error {
		rows, err := tx.Expired(controlplane.ExpiryQuery{Before: month, Limit: 2})
		s.same("a batch", ids(rows), []string{"oldest", "older"})
		return err
	})
}
