package controlplane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func (p *plane) admin() controlplane.Principal {
	admin := p.me
	admin.Admin = true
	return admin
}

func (p *plane) garbage() *controlplane.Garbage { return p.round(true).Garbage }

// round has a round begun, and returns it when it is done.
func (p *plane) round(dry bool) *controlplane.GarbageRound {
	p.t.Helper()
	begun, err := p.BeginGarbage(p.t.Context(), p.admin(), dry)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.Leaving() { // nothing runs in the background
		if err := p.GarbageOnce(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
	return p.done(begun)
}

func (p *plane) done(begun *controlplane.GarbageRound) (round *controlplane.GarbageRound) {
	p.t.Helper()
	eventually(p.t, "the round is done", func() (done bool) {
		if p.resting {
			if err := p.GarbageOnce(p.t.Context()); err != nil {
				p.t.Fatal(err)
			}
		}
		var err error
		if round, err = p.GarbageRound(p.t.Context(), p.admin()); err != nil || round.ID != begun.ID {
			p.t.Fatalf("%+v %v", round, err)
		}
		return round.State == controlplane.GarbageDone
	})
	return round
}

// items are what a report says of a project, and when in hours from now.
func items(g *controlplane.Garbage, project string, now time.Time) map[string]int {
	out := map[string]int{}
	for _, p := range g.Projects {
		if p.ID != project {
			continue
		}
		for range p.Deployments {
			out["expired"]++
		}
		for _, item := range p.Items {
			when := "now"
			if item.At != nil {
				when = fmt.Sprintf("in %d days", int(item.At.Sub(now).Hours()/24+0.5))
			}
			out[fmt.Sprintf("%s %s %s", item.What, item.Why, when)] += item.Objects
		}
	}
	return out
}

func TestGarbageIsToldBeforeItGoes(t *testing.T) {
	onEveryBucket(t, func(t *testing.T, options ...option) {
		p := newPlane(t, append(options, func(p *plane) { p.config.KeepDeployments = 2 })...)
		p.age(0)
		p.start()
		ctx := t.Context()
		project := p.project("repo")
		files := func(n int) map[string]string {
			return map[string]string{"/index.html": fmt.Sprint("v", n), "/shared": "shared"}
		}
		var ds []*controlplane.Deployment
		for n := range 4 {
			ds = append(ds, p.deployFiles(project.ID, site.Production, files(n)))
		}
		eventually(t, "published", p.nothingDirty)
		if g := p.garbage(); len(g.Projects) != 0 || g.Objects != 0 || !g.DryRun {
			t.Fatalf("%+v", g)
		}
		if err := p.DeleteDeployment(ctx, p.me, ds[1].ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "its tombstone stands", p.nothingDirty)
		p.age(time.Minute)
		got := items(p.garbage(), project.ID, p.clock.Now())
		if got["manifests of removed deployments in 1 days"] != 1 || got["blobs of removed deployments in 2 days"] != 1 || len(got) != 2 {
			t.Errorf("after a removal: %v", got)
		}
		p.rest()
		p.age(31 * 24 * time.Hour)
		keys := fmt.Sprint(p.keys(""))
		g := p.garbage()
		got = items(g, project.ID, p.clock.Now())
		if got["expired"] != 1 || got["manifests of removed deployments now"] != 1 || got["blobs named by no deployment now"] != 1 ||
			got["manifests of expired deployments in 1 days"] != 1 || got["blobs of expired deployments in 1 days"] != 1 || len(got) != 5 {
			t.Errorf("a month later: %v", got)
		}
		if g.Bytes <= 2 || g.Objects != 2 || g.Later <= 2 {
			t.Errorf("%+v", g)
		}
		if fmt.Sprint(p.keys("")) != keys {
			t.Fatalf("a dry run removed something: %s, and before %s", fmt.Sprint(p.keys("")), keys)
		}

		done := p.round(false).Garbage
		if done.DryRun || done.Bytes != g.Bytes || done.Objects != g.Objects {
			t.Fatalf("what was said: %+v, what was done: %+v", g, done)
		}
		if p.has(project.ID, "v1") || !p.has(project.ID, "v0") || !p.has(project.ID, "v2") || !p.has(project.ID, "shared") {
			t.Error("other files are gone than were named")
		}
		_, err := p.Deployment(ctx, p.me, ds[0].ID)
		wantCode(t, err, controlplane.CodeNotFound)
		last, err := p.LastGarbage(ctx, p.admin())
		if err != nil || last.Bytes != done.Bytes || len(last.Projects) != 1 || last.Projects[0].Name != "repo" {
			t.Errorf("%+v %v", last, err)
		}
		p.open()
		p.start()
		eventually(t, "the tombstone of what expired stands", p.nothingDirty)
		p.rest()
		p.age(33 * 24 * time.Hour)
		if g = p.garbage(); g.Objects != 2 {
			t.Errorf("%+v", g)
		}
		p.Sweep(t)
		if p.has(project.ID, "v0") {
			t.Error("the sweeper did not free what was said")
		}
	})
}

func TestGarbageOfUnknownProjects(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	ctx := t.Context()
	project := p.project("gone")
	p.deployFiles(project.ID, site.Production, version(1))
	if err := p.DeleteProject(ctx, p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is purged", func() bool { return len(p.keys(site.ProjectPrefix(project.ID))) == 0 && p.nothingDirty() })
	p.age(time.Hour)
	p.Sweep(t)
	p.rest()
	late, foreign := site.BlobKey(project.ID, site.HashOf([]byte("late"))), site.BlobKey("5f3c1111-0000-4000-8000-000000000000", site.HashOf([]byte("foreign")))
	p.write(late, "late")
	p.write(foreign, "foreign")
	for _, step := range []struct {
		age  time.Duration
		late bool
	}{{47 * time.Hour, true}, {49 * time.Hour, false}} {
		p.age(step.age)
		g := p.round(false).Garbage
		if len(g.Unknown) != 2 {
			t.Fatalf("%+v", g)
		}
		for _, u := range g.Unknown {
			if u.Objects != 1 || u.Deleted != (u.ID == project.ID) {
				t.Errorf("%+v", u)
			}
		}
		if got := len(p.keys(late)) == 1; got != step.late {
			t.Errorf("after %s: what a late upload left is there: %v", step.age, got)
		}
		if len(p.keys(foreign)) != 1 {
			t.Error("objects of a project that the database never knew are gone")
		}
	}
}

func TestGarbageIsForAdministrators(t *testing.T) {
	p := newPlane(t)
	ctx := t.Context()
	token := p.admin()
	token.Scope = controlplane.ScopeDeploy
	for _, who := range []controlplane.Principal{p.me, token} {
		_, err := p.BeginGarbage(ctx, who, true)
		wantCode(t, err, controlplane.CodeForbidden)
		_, err = p.GarbageRound(ctx, who)
		wantCode(t, err, controlplane.CodeForbidden)
		_, err = p.LastGarbage(ctx, who)
		wantCode(t, err, controlplane.CodeForbidden)
		_, err = p.BeginBackup(who)
		wantCode(t, err, controlplane.CodeForbidden)
	}
	_, err := p.LastGarbage(ctx, p.admin())
	wantCode(t, err, controlplane.CodeNotFound)
	backup, err := p.BeginBackup(p.admin())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.BeginBackup(p.admin())
	wantCode(t, err, controlplane.CodeConflict)
	if _, err := backup(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.BeginBackup(p.admin()); err != nil {
		t.Error(err)
	}
}

// Between the look and the removal somebody may have promoted it, or promoted
// another one in its place: pages that are open still ask for its files.
func TestExpiryLooksAgain(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.KeepDeployments = -1 }).start()
	ctx := t.Context()
	project := p.project("repo")
	old := p.deployFiles(project.ID, site.Production, version(1))
	newer := p.deployFiles(project.ID, site.Production, version(2))
	p.clock.Advance(31 * 24 * time.Hour)
	var rows []*controlplane.DeploymentRow
	err := p.store.Update(ctx, func(tx controlplane.Tx) (err error) {
		h, err := tx.Host(productionHost)
		if err != nil {
			return err
		}
		h.Previous = nil // its time is over
		if err := tx.SaveHost(h); err != nil {
			return err
		}
		rows, err = tx.Expired(controlplane.ExpiryQuery{Before: p.clock.Now().Add(-30 * 24 * time.Hour), Limit: 9})
		return err
	})
	if err != nil || len(rows) != 1 || rows[0].ID != old.ID {
		t.Fatalf("%v %v", rows, err)
	}
	for _, id := range []string{old.ID, newer.ID} { // then it is in production, then an earlier one
		if _, err := p.Promote(ctx, p.me, id, controlplane.PromoteInput{}); err != nil {
			t.Fatal(err)
		}
		if err := p.ExpireOne(ctx, rows[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Deployment(ctx, p.me, old.ID); err != nil {
			t.Fatal("it was removed while a route named it: ", err)
		}
	}
	p.clock.Advance(25 * time.Hour)
	p.Sweep(t)
	_, err = p.Deployment(ctx, p.me, old.ID)
	wantCode(t, err, controlplane.CodeNotFound)
}
