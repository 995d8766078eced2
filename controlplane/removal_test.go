package controlplane_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// keys lists what the bucket has below a prefix.
func (p *plane) keys(prefix string) (keys []string) {
	p.t.Helper()
	for info, err := range p.raw.List(p.t.Context(), prefix, blob.ListOptions{}) {
		if err != nil {
			p.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func (p *plane) has(project, text string) bool {
	p.t.Helper()
	_, err := p.raw.Stat(p.t.Context(), site.BlobKey(project, site.HashOf([]byte(text))))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	return err == nil
}

// age sets the test's clock to so long after now, by which the bucket's files
// have their times.
func (p *plane) age(d time.Duration) {
	p.clock.mu.Lock()
	defer p.clock.mu.Unlock()
	p.clock.now = time.Now().Add(d)
}

// Sweep does one round of the sweeper's work.
func (p *plane) Sweep(t *testing.T) {
	t.Helper()
	if err := p.SweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// collectNow frees what a project no longer needs, as if it were later; uploads
// that go on are not given up by that.
func (p *plane) collectNow(project string, after time.Duration) {
	p.t.Helper()
	p.age(after)
	if err := p.Collect(p.t.Context(), project); err != nil {
		p.t.Fatal(err)
	}
	p.age(0)
}

func TestRemovedDeploymentIsFreedADayLater(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	project := p.project("repo")
	old := p.deployFiles(project.ID, site.Production, map[string]string{"/index.html": "old", "/shared": "shared"})
	now := p.deployFiles(project.ID, site.Production, map[string]string{"/index.html": "new", "/shared": "shared"})
	err := p.DeleteDeployment(t.Context(), p.me, now.ID)
	wantCode(t, err, controlplane.CodeConflict)
	if err := p.DeleteDeployment(t.Context(), p.me, old.ID); err != nil {
		t.Fatal(err)
	}
	_, err = p.Deployment(t.Context(), p.me, old.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	eventually(t, "its host is a tombstone, and it is off the list", func() bool {
		return p.route(old.HostID+"--"+productionHost).Gone && len(p.route(productionHost).Previous) == 0 && p.nothingDirty()
	})
	p.Sweep(t)
	if !p.has(project.ID, "old") {
		t.Fatal("its bytes are freed at once")
	}
	p.age(49 * time.Hour)
	p.Sweep(t)
	if p.has(project.ID, "old") || !p.has(project.ID, "new") || !p.has(project.ID, "shared") {
		t.Errorf("blobs: old %v, new %v, shared %v", p.has(project.ID, "old"), p.has(project.ID, "new"), p.has(project.ID, "shared"))
	}
	if got := p.keys(site.ManifestsPrefix(project.ID)); len(got) != 1 || got[0] != site.ManifestKey(project.ID, now.ID) {
		t.Errorf("manifests: %v", got)
	}
}

func TestUploadsThatGoOnKeepTheirBlobs(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	project := p.project("repo")
	p.deployFiles(project.ID, site.Production, version(1))
	begin := func() *controlplane.Deployment {
		d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
		if err != nil {
			t.Fatal(err)
		}
		p.upload(actor(p.me), d.ID, map[string]string{"/index.html": "goes on"})
		return d
	}
	d := begin()
	p.collectNow(project.ID, 72*time.Hour)
	if !p.has(project.ID, "goes on") {
		t.Fatal("a blob of an upload that goes on was freed")
	}
	if _, err := p.Publish(t.Context(), actor(p.me), d.ID); err != nil {
		t.Fatal(err)
	}
	given, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	p.upload(actor(p.me), given.ID, map[string]string{"/index.html": "given up"})
	p.clock.Advance(61 * time.Minute)
	p.Sweep(t)
	if got := p.is(given.ID, controlplane.StatusFail); !strings.Contains(got.Reason, "not finished") {
		t.Errorf("reason: %s", got.Reason)
	}
	p.age(200 * time.Hour)
	p.Sweep(t)
	if p.has(project.ID, "given up") || !p.has(project.ID, "goes on") {
		t.Error("the blobs of an upload that was given up are kept, or others were freed")
	}
}

func TestRetentionSparesWhatARouteNames(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.Retention, p.config.KeepDeployments = 10*24*time.Hour, -1 }).start()
	project := p.project("repo")
	production := p.deployFiles(project.ID, site.Production, version(0))
	preview := p.deployFiles(project.ID, site.Preview, version(1))
	build := func(branch string, n int) *controlplane.Deployment {
		p.deploy(project.ID, branch)
		return p.claim(p.next()).finish(version(n))
	}
	older, head := build("next", 2), build("next", 3)
	failed := p.deploy(project.ID, "broken")
	p.claim(p.next()).report(site.Event{Type: site.EventFailed, Reason: "x"})
	p.clock.Advance(11 * 24 * time.Hour)
	p.Sweep(t)
	for _, row := range []struct {
		name string
		d    *controlplane.Deployment
		kept bool
	}{{"production", production, true}, {"an old preview", preview, false}, {"an older one of a branch", older, false}, {"the head of a branch", head, true}, {"a failed one", failed, true}} {
		_, err := p.Deployment(t.Context(), p.me, row.d.ID)
		if kept := err == nil; kept != row.kept {
			t.Errorf("%s: kept %v, %v", row.name, kept, err)
		}
	}
	p.clock.Advance(20 * 24 * time.Hour)
	p.Sweep(t)
	_, err := p.Deployment(t.Context(), p.me, failed.ID)
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestRemovedBranchHeadGivesWay(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	p.deployFiles(project.ID, site.Production, version(0))
	var built []*controlplane.Deployment
	for n := range 2 {
		p.deploy(project.ID, "next")
		built = append(built, p.claim(p.next()).finish(version(n+1)))
	}
	const host = "git-next--repo.example.test"
	if r := p.route(host); r.Deployment != built[1].ID {
		t.Fatalf("%+v", r)
	}
	for i, want := range []func(site.Route) bool{
		func(r site.Route) bool { return r.Deployment == built[0].ID && len(r.Previous) == 0 },
		func(r site.Route) bool { return r.Gone },
	} {
		if err := p.DeleteDeployment(t.Context(), p.me, built[1-i].ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the branch's host gives way", func() bool { return want(p.route(host)) })
	}
}

func TestDeletedProjectLeavesTombstonesOnly(t *testing.T) {
	p := newPlane(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	project, other := p.project("repo"), p.project("other")
	d := p.deployFiles(project.ID, site.Production, version(1))
	p.deployFiles(other.ID, site.Production, version(1))
	p.deploy(project.ID, "main")
	b := p.claim(p.next())
	b.report(lines("a line"))
	if err := p.DeleteProject(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	_, err := p.Project(t.Context(), p.me, project.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.Deployment(t.Context(), p.me, d.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	_, err = p.AuthenticateAttempt(t.Context(), b.job.Token)
	wantCode(t, err, controlplane.CodeUnauthorized)
	eventually(t, "its builder is stopped", func() bool { return p.runner.running() == 0 })
	p.kill() // and another process goes on
	p.open()
	p.start()
	eventually(t, "its objects are gone", func() bool { return len(p.keys(site.ProjectPrefix(project.ID))) == 0 })
	if !p.route(productionHost).Gone {
		t.Error("its host is no tombstone")
	}
	if got := p.keys(site.ProjectPrefix(other.ID)); len(got) == 0 {
		t.Error("another project's objects are gone")
	}
	eventually(t, "its log is gone", func() bool {
		got, err := p.logs.Lines(t.Context(), controlplane.LogRef{Deployment: b.job.Deployment}, controlplane.Cursor{}, 10, "")
		return err == nil && len(got) == 0
	})
	p.clock.Advance(20 * time.Minute)
	p.Sweep(t)
	err = p.store.View(t.Context(), func(tx controlplane.Tx) error {
		_, err := tx.Project(project.ID)
		return err
	})
	wantCode(t, err, controlplane.CodeNotFound)
}

func TestArchiveIsQueuedWhenItIsThere(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	const body = "not really an archive"
	d, url, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindArchive, ArchiveSize: int64(len(body)), ArchiveSHA256: site.HashOf([]byte(body))})
	if err != nil || d.Status != controlplane.StatusQueued || url == nil {
		t.Fatalf("%+v %+v %v", d, url, err)
	}
	p.none()
	_, err = p.Publish(t.Context(), actor(p.me), d.ID)
	wantCode(t, err, controlplane.CodeConflict)
	p.put(*url, body)
	for range 2 {
		if d, err = p.Publish(t.Context(), actor(p.me), d.ID); err != nil {
			t.Fatal(err)
		}
	}
	b := p.claim(p.next())
	if b.job.Archive == nil || b.job.Git != nil {
		t.Fatalf("job: %+v", b.job)
	}
	b.report(site.Event{Type: site.EventFailed, Reason: "x"})
	p.is(d.ID, controlplane.StatusFail)
	again, err := p.Retry(t.Context(), p.me, d.ID)
	if err != nil || again.RetryOf != d.ID {
		t.Fatalf("%+v %v", again, err)
	}
	if b = p.claim(p.next()); b.job.Deployment != again.ID || b.job.Archive == nil {
		t.Fatalf("job: %+v", b.job)
	}
	_, _, err = p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindArchive, ArchiveSize: 1 << 40, ArchiveSHA256: site.HashOf(nil)})
	wantCode(t, err, controlplane.CodeTooLarge)
}

func TestLogsExpireByTheirOwnRetention(t *testing.T) {
	for _, test := range []struct {
		name      string
		retention time.Duration
		after     time.Duration
		want      int
	}{
		{"by default it stays 30 days", 0, 30 * 24 * time.Hour, 1},
		{"and no longer", 0, 31 * 24 * time.Hour, 0},
		{"its last day is kept whole", 48 * time.Hour, 48 * time.Hour, 1},
		{"the next day it goes", 48 * time.Hour, 72 * time.Hour, 0},
		{"or it stays for ever", -1, 3000 * 24 * time.Hour, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlane(t, func(p *plane) { p.config.LogRetention = test.retention; p.config.FailedRetention = -1 }).start()
			d := p.deploy(p.project("repo").ID, "main")
			b := p.claim(p.next())
			b.report(lines("a line"), site.Event{Type: site.EventFailed, Reason: "done"})
			p.clock.Advance(test.after)
			p.Sweep(t)
			got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
			if err != nil || len(got) != test.want {
				t.Errorf("%d lines, want %d, %v", len(got), test.want, err)
			}
			shown, err := p.Deployment(t.Context(), p.me, d.ID)
			if err != nil {
				t.Fatal(err)
			}
			if at := shown.LogExpiresAt; (at != nil && !p.clock.Peek().Before(*at)) != (test.want == 0) {
				t.Errorf("at %v it is told to be gone from %v on", p.clock.Peek(), at)
			}
		})
	}
}

// By default a project keeps what is not older than 30 days, and its last 20
// ready deployments whatever their age; production and the heads of branches
// always.
func TestWhatIsKeptByDefault(t *testing.T) {
	const month = 30 * 24 * time.Hour
	for _, row := range []struct {
		name   string
		later  int // ready deployments that were made after it
		failed int
		age    time.Duration
		kept   bool
	}{
		{"the 21st last, not quite 30 days old", 20, 0, month - time.Second, true},
		{"the 21st last, older", 20, 0, month + time.Second, false},
		{"the 20th last, much older", 19, 0, 10 * month, true},
		{"the 20th last, with failures behind it", 19, 5, 10 * month, true},
		{"the 22nd last, much older", 21, 0, 10 * month, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPlane(t).start()
			project := p.project("repo")
			production := p.deployFiles(project.ID, site.Production, version(0))
			p.deploy(project.ID, "next")
			head := p.claim(p.next()).finish(version(1))
			d := p.deployFiles(project.ID, site.Preview, version(2))
			made := p.row(d.ID).CreatedAt
			for n := range row.later {
				p.deployFiles(project.ID, site.Preview, version(3+n))
			}
			for range row.failed {
				p.deploy(project.ID, "broken")
				p.claim(p.next()).report(site.Event{Type: site.EventFailed, Reason: "x"})
			}
			other := p.project("other") // whose deployments count for nothing here
			for n := range 3 {
				p.deployFiles(other.ID, site.Preview, version(n))
			}
			p.clock.Advance(made.Add(row.age).Sub(p.clock.Now()))
			g := p.garbage()
			p.Sweep(t)
			_, err := p.Deployment(t.Context(), p.me, d.ID)
			if kept := err == nil; kept != row.kept {
				t.Errorf("kept %v: %v", kept, err)
			}
			named := false
			for _, of := range g.Projects {
				named = named || slices.ContainsFunc(of.Deployments, func(e controlplane.ExpiredDeployment) bool { return e.ID == d.ID })
			}
			if named == row.kept {
				t.Errorf("the dry run named it: %v", named)
			}
			for name, id := range map[string]string{"production": production.ID, "the head of a branch": head.ID} {
				if _, err := p.Deployment(t.Context(), p.me, id); err != nil {
					t.Errorf("%s is gone: %v", name, err)
				}
			}
		})
	}
}
