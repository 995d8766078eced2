package controlplane_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const productionHost = "repo.example.test"

func version(n int) map[string]string { return map[string]string{"/index.html": fmt.Sprint("v", n)} }

// production is the deployment that the production route names.
func (p *plane) production() string { return p.route(productionHost).Deployment }

func TestProductionGoesToTheLaterCreated(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.MaxProjectBuilds = 2 }).start()
	project := p.project("repo")
	older := p.deploy(project.ID, "main")
	slow := p.claim(p.next())
	newer := p.deploy(project.ID, "main")
	quick := p.claim(p.next())
	quick.finish(version(2))
	slow.finish(version(1))
	if p.production() != newer.ID {
		t.Error("the deployment that was created earlier and became ready later took production")
	}
	if r := p.route("git-main--repo.example.test"); r.Deployment != newer.ID {
		t.Error("and its branch")
	}
	if r := p.route(older.HostID + "--repo.example.test"); r.Deployment != older.ID {
		t.Errorf("its own host: %+v", r)
	}
}

func TestPreviewReachesItsOwnHostsOnly(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	first := p.deployFiles(project.ID, "", version(1))
	preview := p.deployFiles(project.ID, "", version(2))
	if preview.Environment != site.Preview || preview.InProduction || p.production() != first.ID {
		t.Errorf("the second deployment without --prod: %+v", preview)
	}
	if preview.URL != preview.DeploymentURL {
		t.Errorf("its address is %s", preview.URL)
	}
}

func TestRollbackPinsUntilResumed(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	ctx := t.Context()
	one := p.deployFiles(project.ID, site.Production, version(1))
	two := p.deployFiles(project.ID, site.Production, version(2))
	pinned := func() bool {
		got, err := p.Project(ctx, p.me, project.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Pinned
	}
	promote := func(id string) {
		t.Helper()
		d, err := p.Promote(ctx, p.me, id, controlplane.PromoteInput{})
		if err != nil {
			t.Fatal(err)
		}
		if p.production() != id || d.LiveAt == nil {
			t.Error("it returned before the route stands in the bucket")
		}
	}
	promote(one.ID)
	if !pinned() {
		t.Fatal("a rollback does not pin")
	}
	three := p.deployFiles(project.ID, site.Production, version(3))
	if p.production() != one.ID || three.InProduction {
		t.Fatal("a later deployment took a pinned production")
	}
	if r := p.route(three.HostID + "--repo.example.test"); r.Deployment != three.ID {
		t.Error("and has no host of its own")
	}
	promote(two.ID)
	if !pinned() {
		t.Error("promoting one that is not the newest unpins")
	}
	if _, err := p.ResumeProject(ctx, p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the newest is in production", func() bool { return p.production() == three.ID })
	if pinned() {
		t.Error("pinned after resume")
	}
	promote(one.ID)
	promote(three.ID)
	if pinned() {
		t.Error("promoting the newest leaves it pinned")
	}
	four := p.deployFiles(project.ID, site.Production, version(4))
	if p.production() != four.ID {
		t.Error("production does not follow after the newest was promoted")
	}
}

// closedBucket takes no writes while it is closed.
type closedBucket struct {
	blob.Store
	closed *atomic.Bool
}

func (b closedBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	if b.closed.Load() {
		return blob.Info{}, errFault
	}
	return b.Store.Put(ctx, key, body, size, opts)
}

// TestPromoteTellsThatTheRouteIsNotThere: the bucket takes no writes.
func TestPromoteTellsThatTheRouteIsNotThere(t *testing.T) {
	closed := &atomic.Bool{}
	p := newPlane(t, func(p *plane) { p.bucket = closedBucket{p.bucket, closed} }).start()
	project := p.project("repo")
	one := p.deployFiles(project.ID, site.Production, version(1))
	two := p.deployFiles(project.ID, site.Production, version(2))
	closed.Store(true)
	d, err := p.Promote(t.Context(), p.me, one.ID, controlplane.PromoteInput{})
	if err != nil {
		t.Fatal(err)
	}
	if d.LiveAt != nil || p.production() != two.ID {
		t.Errorf("live at %v, and production has %s", d.LiveAt, p.production())
	}
	closed.Store(false)
	eventually(t, "the route follows", func() bool { return p.production() == one.ID })
}

func TestPreviousAreKeptForTheirGrace(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	var ids []string
	for n := range 7 {
		ids = append(ids, p.deployFiles(project.ID, site.Production, version(n)).ID)
		p.clock.Advance(time.Hour)
	}
	previous := p.route(productionHost).Previous
	if len(previous) != 5 || previous[0].Deployment != ids[5] || previous[4].Deployment != ids[1] {
		t.Fatalf("previous: %+v", previous)
	}
	p.clock.Advance(20 * time.Hour) // the replacement of ids[3] is 23 h ago, of ids[2] 24
	last := p.deployFiles(project.ID, site.Production, version(7))
	previous = p.route(productionHost).Previous
	if len(previous) != 4 || previous[0].Deployment != ids[6] || previous[3].Deployment != ids[3] {
		t.Fatalf("after the grace of some: %+v of %v", previous, ids)
	}
	if _, err := p.Promote(t.Context(), p.me, ids[6], controlplane.PromoteInput{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rolled back", func() bool { return p.production() == ids[6] })
	previous = p.route(productionHost).Previous
	if previous[0].Deployment != last.ID {
		t.Errorf("previous: %+v", previous)
	}
	for _, v := range previous {
		if v.Deployment == ids[6] {
			t.Error("a route names its own deployment as an earlier one")
		}
	}
	if _, err := p.Promote(t.Context(), p.me, last.ID, controlplane.PromoteInput{NoGrace: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "promoted", func() bool { return p.production() == last.ID })
	if left := p.route(productionHost).Previous; len(left) != 0 {
		t.Errorf("noGrace leaves %+v", left)
	}
}

func TestOnlyReadyDeploymentsArePromoted(t *testing.T) {
	p := newPlane(t)
	d := p.deploy(p.project("repo").ID, "main")
	_, err := p.Promote(t.Context(), p.me, d.ID, controlplane.PromoteInput{})
	wantCode(t, err, controlplane.CodeConflict)
	_, err = p.Promote(t.Context(), controlplane.Principal{UserID: "other", Scope: controlplane.ScopeAdmin, Admin: true}, d.ID, controlplane.PromoteInput{})
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestSubDomains(t *testing.T) {
	p := newPlane(t)
	create := func(who, name, subDomain string) (*controlplane.Project, error) {
		return p.CreateProject(t.Context(), controlplane.Principal{UserID: who, Scope: controlplane.ScopeAdmin}, controlplane.ProjectInput{Name: name, SubDomain: subDomain})
	}
	for _, row := range []struct{ name, asked, want string }{
		{"My Blog", "", "my-blog"},
		{"my blog", "", "my-blog-2"},
		{"ä", "", "site"},
		{"api", "", "site-api"},
		{"git-x", "", "git-x"},
		{"a -- b", "", "a-b"},
		{"x", "chosen", "chosen"},
		{"A very long name that goes on and on and on and on", "", "a-very-long-name-that-goes-on-and-on-and"},
		{"A very long name that goes on and on and on and more", "", "a-very-long-name-that-goes-on-and-on-a-2"},
	} {
		got, err := create("me", row.name, row.asked)
		if err != nil || got.SubDomain != row.want {
			t.Errorf("%q, %q: %+v %v, want %s", row.name, row.asked, got, err, row.want)
		}
	}
	for _, asked := range []string{"my-blog", "www", "api", "a--b", "AB", "ab", "-ab", "a_b", "x.y"} {
		_, err := create("me", "x", asked)
		wantCode(t, err, controlplane.CodeInvalid)
	}
}

func TestNamesAreProtectedAfterRemoval(t *testing.T) {
	p := newPlane(t).start()
	other := controlplane.Principal{UserID: "other", Scope: controlplane.ScopeAdmin}
	project := p.project("repo")
	d := p.deployFiles(project.ID, site.Production, version(1))
	if err := p.DeleteProject(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hosts are tombstones", func() bool {
		return p.route(productionHost).Gone && p.route(d.HostID+"--repo.example.test").Gone
	})
	_, err := p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "x", SubDomain: "repo"})
	wantCode(t, err, controlplane.CodeInvalid)
	if got, err := p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "repo"}); err != nil || got.SubDomain != "repo-2" {
		t.Errorf("%+v %v", got, err)
	}
	generation := p.route(productionHost).Generation
	again := p.project("repo") // its former owner may
	eventually(t, "the host lives again", func() bool { r := p.route(productionHost); return !r.Gone && r.Project == again.ID })
	if r := p.route(productionHost); r.Generation <= generation || r.Deployment != "" {
		t.Errorf("route: %+v", r)
	}
	if err := p.DeleteProject(t.Context(), p.me, again.ID); err != nil {
		t.Fatal(err)
	}
	p.clock.Advance(31 * 24 * time.Hour)
	if _, err := p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "x", SubDomain: "repo"}); err != nil {
		t.Error(err)
	}
}

func TestRenamedSubDomainMovesEveryHost(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	d := p.deployFiles(project.ID, site.Production, version(1))
	name := "renamed"
	got, err := p.UpdateProject(t.Context(), p.me, project.ID, controlplane.ProjectPatch{SubDomain: &name})
	if err != nil || got.URL != "http://renamed.example.test" {
		t.Fatalf("%+v %v", got, err)
	}
	eventually(t, "the new hosts answer", func() bool {
		return p.route("renamed.example.test").Deployment == d.ID && p.route(d.HostID+"--renamed.example.test").Deployment == d.ID
	})
	eventually(t, "the old ones are tombstones", func() bool {
		return p.route(productionHost).Gone && p.route(d.HostID+"--repo.example.test").Gone
	})
	if d, _ = p.Deployment(t.Context(), p.me, d.ID); d.URL != "http://renamed.example.test" {
		t.Errorf("address: %s", d.URL)
	}
}

func TestSuspendedProject(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	_, err := p.SuspendProject(t.Context(), p.me, project.ID, true)
	wantCode(t, err, controlplane.CodeForbidden)
	admin := controlplane.Principal{UserID: "admin", Scope: controlplane.ScopeAdmin, Admin: true}
	state := func() site.ProjectState {
		var record site.Project
		p.read(site.ProjectKey(project.ID), &record)
		return record.State
	}
	if _, err := p.SuspendProject(t.Context(), admin, project.ID, true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record says so", func() bool { return state() == site.ProjectSuspended })
	_, err = p.Deploy(t.Context(), p.me, controlplane.DeployInput{ProjectID: project.ID})
	wantCode(t, err, controlplane.CodeConflict)
	if _, err := p.SuspendProject(t.Context(), admin, project.ID, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record says so", func() bool { return state() == site.ProjectActive })
}
