package controlplane_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// loseDatabase ends the control plane as a kill does, and removes its database.
func (p *plane) loseDatabase() {
	p.t.Helper()
	p.kill()
	p.database = "" // at PostgreSQL: another one
	for _, name := range []string{"control.db", "control.db-wal", "control.db-shm"} {
		if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.open()
}

// shown is what people see of all that p.me owns, but for what is lost with the
// database: times, phases and counts of the build.
func (p *plane) shown(only ...string) string {
	p.t.Helper()
	ctx := p.t.Context()
	var all []any
	projects, _, err := p.Projects(ctx, p.me, controlplane.Page{Limit: 100})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, project := range projects {
		if len(only) > 0 && !slices.Contains(only, project.ID) {
			continue
		}
		deployments, _, err := p.Deployments(ctx, p.me, controlplane.DeploymentFilter{ProjectID: project.ID, Status: controlplane.StatusReady}, controlplane.Page{Limit: 100})
		if err != nil {
			p.t.Fatal(err)
		}
		domains, err := p.Domains(ctx, p.me, project.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, project, deployments, domains)
	}
	return without(p.t, all, "updatedAt", "startedAt", "endedAt", "liveAt", "phase", "phases", "attempt", "uploadedBlobs", "warnings", "latest", "hasCredentials",
		"records", "checkedAt", "nextCheckAt", "detail", "retryOf")
}

// routed is what visitors are told by the bucket, but for some fields.
func (p *plane) routed(but ...string) string {
	p.t.Helper()
	var all []any
	for _, key := range p.keys(site.RoutesPrefix) {
		var r site.Route
		p.read(key, &r)
		all = append(all, r)
	}
	for _, key := range p.keys(site.ProjectsPrefix) {
		if strings.HasSuffix(key, "/project") {
			var r site.Project
			p.read(key, &r)
			all = append(all, r)
		}
	}
	return without(p.t, all, append(but, "generation", "publishedAt")...)
}

// without writes a value as indented JSON without some fields, wherever they are.
func without(t testing.TB, v any, fields ...string) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			maps.DeleteFunc(v, func(k string, _ any) bool { return slices.Contains(fields, k) })
			for _, w := range v {
				strip(w)
			}
		case []any:
			for _, w := range v {
				strip(w)
			}
		}
	}
	strip(tree)
	b, err = json.MarshalIndent(tree, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			from := max(0, i-6)
			t.Errorf("%s differs in line %d:\ngot:\n%s\nwant:\n%s", what, i, strings.Join(g[from:min(len(g), i+4)], "\n"), strings.Join(w[from:min(len(w), i+4)], "\n"))
			return
		}
	}
	t.Errorf("%s: %d lines, not %d", what, len(g), len(w))
}

// aFullPlane has projects of every kind: branches, domains, protection, a
// rollback, a suspended one, one that was deleted.
func aFullPlane(t *testing.T, options ...option) (p *domainPlane, projects map[string]*controlplane.Project, builds map[string]*controlplane.Deployment) {
	p = newDomainPlane(t, options...)
	p.age(0)
	p.start()
	ctx := t.Context()
	projects, builds = map[string]*controlplane.Project{}, map[string]*controlplane.Deployment{}
	branch := func(project, name string, n int) *controlplane.Deployment {
		p.deploy(project, name)
		return p.claim(p.next()).finish(version(n))
	}
	repo := p.project("repo")
	projects["repo"] = repo
	builds["main"] = branch(repo.ID, "main", 1)
	builds["next"] = branch(repo.ID, "Feature/Next", 2)
	p.verified(repo.ID, customer)
	p.add(repo.ID, "pending.customer.test")
	password := "a good password"
	if err := p.setAccess(repo.ID, site.AccessPreviews, &password); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpdateProject(ctx, p.me, repo.ID, controlplane.ProjectPatch{BuildCommand: ptr("make site"), NotFound: ptr(site.NotFoundSPA)}); err != nil {
		t.Fatal(err)
	}

	rolled := p.project("rolled")
	projects["rolled"] = rolled
	builds["old"] = p.deployFiles(rolled.ID, site.Production, version(3))
	builds["new"] = p.deployFiles(rolled.ID, site.Production, version(4))
	builds["preview"] = p.deployFiles(rolled.ID, site.Preview, version(5))
	if _, err := p.Promote(ctx, p.me, builds["old"].ID, controlplane.PromoteInput{}); err != nil {
		t.Fatal(err)
	}

	empty := p.project("empty")
	projects["empty"] = empty
	down := p.project("down")
	projects["down"] = down
	p.deployFiles(down.ID, site.Production, version(6))
	admin := p.me
	admin.Admin = true
	if _, err := p.SuspendProject(ctx, admin, down.ID, true); err != nil {
		t.Fatal(err)
	}
	deleted := p.project("deleted")
	projects["deleted"] = deleted
	p.deployFiles(deleted.ID, site.Production, version(7))
	if err := p.DeleteProject(ctx, p.me, deleted.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is published, and what was deleted is gone", func() bool {
		return p.nothingDirty() && len(p.keys(site.ProjectPrefix(deleted.ID))) == 0
	})
	return p, projects, builds
}

func ptr[T any](v T) *T { return &v }

func TestRebuildFromTheBucketAlone(t *testing.T) {
	onEveryBucket(t, func(t *testing.T, options ...option) {
		p, projects, builds := aFullPlane(t, options...)
		seen, routed := p.shown(), p.routed()
		key := p.record(projects["repo"].ID).Access
		p.loseDatabase()

		report, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{DryRun: true})
		if err != nil || report.Projects != 4 || report.Deployments != 6 {
			t.Fatalf("dry run: %+v %v", report, err)
		}
		steps := map[string]int{}
		report, err = p.Rebuild(t.Context(), controlplane.RecoverOptions{Progress: func(step string, done int) { steps[step] = done }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Projects != 4 || report.Deployments != 6 || report.Domains != 2 || report.Tombstones != 2 || len(report.Accounts) != 1 || report.Accounts[0].ID != p.me.UserID {
			t.Errorf("%+v", report)
		}
		if steps["deployments"] != 6 || steps["routes"] == 0 || steps["projects"] != 4 {
			t.Errorf("progress: %v", steps)
		}
		for _, l := range report.Losses {
			if strings.Contains(l.What, "/") {
				t.Errorf("lost: %+v", l)
			}
		}
		same(t, "what people see", p.shown(), seen)
		p.start()
		eventually(t, "everything is published again", p.nothingDirty)
		same(t, "what visitors see", p.routed(), routed)
		if got := p.record(projects["repo"].ID).Access; got == nil || got.PasswordHash != key.PasswordHash || !bytes.Equal(got.CookieKey, key.CookieKey) {
			t.Errorf("protection: %+v", got)
		}

		// And it goes on from there.
		later := p.deployFiles(projects["rolled"].ID, site.Production, version(8))
		if r := p.route("rolled.example.test"); r.Deployment != builds["old"].ID || later.InProduction {
			t.Errorf("the pin is lost: %+v", r)
		}
		if _, err := p.ResumeProject(t.Context(), p.me, projects["rolled"].ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the newest is in production", func() bool { return p.route("rolled.example.test").Deployment == later.ID })
		p.deploy(projects["repo"].ID, "Feature/Next")
		b := p.claim(p.next())
		if b.job.Build.BuildCommand != "make site" {
			t.Errorf("build settings: %+v", b.job.Build)
		}
		head := b.finish(version(9))
		eventually(t, "a branch follows", func() bool {
			r := p.route(site.BranchHost("Feature/Next", "repo", "example.test"))
			return r.Deployment == head.ID && len(r.Previous) == 1 && r.Previous[0].Deployment == builds["next"].ID
		})
		if d := p.verify(projects["repo"].ID, customer); d.State != controlplane.DomainActive {
			t.Errorf("domain: %+v", d)
		}
		if _, err := p.Promote(t.Context(), p.me, builds["next"].ID, controlplane.PromoteInput{}); err != nil {
			t.Fatal(err)
		}
		p.routes(customer, builds["next"].ID)
		// Nobody else gets a name that was given up.
		other := controlplane.Principal{UserID: "other", Scope: controlplane.ScopeAdmin}
		_, err = p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "x", SubDomain: "deleted"})
		wantCode(t, err, controlplane.CodeInvalid)
	})
}

func TestRebuildKeepsOwnersApart(t *testing.T) {
	p := newPlane(t).start()
	other := controlplane.Principal{UserID: "0f6a3b1e-1111-4222-8333-444455556666", Scope: controlplane.ScopeAdmin}
	p.project("mine")
	if _, err := p.CreateProject(t.Context(), other, controlplane.ProjectInput{Name: "theirs"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", p.nothingDirty)
	for _, one := range []bool{false, true} {
		p.loseDatabase()
		report, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{OneOwner: one})
		if err != nil {
			t.Fatal(err)
		}
		accounts := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now}, p.store)
		code, err := accounts.Open(t.Context())
		if err != nil || code == "" {
			t.Fatalf("the first owner can't be taken over: %q %v", code, err)
		}
		user, _, err := accounts.SignUp(t.Context(), controlplane.SignUpInput{Email: "me@example.com", Password: "correct horse", Code: code})
		if err != nil {
			t.Fatal(err)
		}
		mine, _, err := p.Projects(t.Context(), controlplane.Principal{UserID: user.ID, Scope: controlplane.ScopeRead}, controlplane.Page{})
		if err != nil {
			t.Fatal(err)
		}
		if one {
			if len(mine) != 2 || len(report.Accounts) != 1 || report.Accounts[0].Projects != 2 {
				t.Errorf("one owner: %d projects, %+v", len(mine), report.Accounts)
			}
			continue
		}
		if len(mine) != 0 || len(report.Accounts) != 3 {
			t.Errorf("%d projects, %+v", len(mine), report.Accounts)
		}
		const email = "owner-0f6a3b1e-1111-4222-8333-444455556666@recovered.invalid"
		if err := accounts.ResetPassword(t.Context(), email, "another horse"); err != nil {
			t.Fatal(err)
		}
		back, _, err := accounts.SignIn(t.Context(), email, "another horse")
		if err != nil || back.ID != other.UserID || back.Admin {
			t.Errorf("%+v %v", back, err)
		}
	}
}

func TestRebuildTellsWhatIsLost(t *testing.T) {
	p := newPlane(t).start()
	project, other := p.project("repo"), p.project("other")
	d := p.deployFiles(project.ID, site.Production, version(1))
	p.deployFiles(other.ID, site.Production, version(2))
	eventually(t, "published", p.nothingDirty)
	if err := p.raw.Delete(t.Context(), site.ManifestKey(project.ID, d.ID), site.ProjectKey(other.ID)); err != nil {
		t.Fatal(err)
	}
	p.write(site.RouteKey("damaged.example.test"), "{")
	p.loseDatabase()
	report, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{productionHost, "other.example.test", site.RouteKey("damaged.example.test"), site.ManifestKey(project.ID, d.ID)} {
		if !slices.ContainsFunc(report.Losses, func(l controlplane.Loss) bool { return l.What == what && l.Why != "" }) {
			t.Errorf("not told that %s is lost: %+v", what, report.Losses)
		}
	}
	if report.Projects != 1 || report.Deployments != 0 {
		t.Errorf("%+v", report)
	}
}

// A bucket of a version that told less is rebuilt as far as it goes.
func TestRebuildFromAnOlderBucket(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	p.deploy(project.ID, "next")
	d := p.claim(p.next()).finish(version(1))
	eventually(t, "published", p.nothingDirty)
	for _, key := range p.keys(site.RoutesPrefix) {
		var r site.Route
		p.read(key, &r)
		p.overwrite(key, r)
	}
	record := p.record(project.ID)
	p.overwrite(site.ProjectKey(project.ID), record)
	p.loseDatabase()
	report, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{})
	if err != nil || report.Projects != 1 || report.Deployments != 1 || report.Hosts != 3 {
		t.Fatalf("%+v %v", report, err)
	}
	got, err := p.ProjectDeployment(t.Context(), p.me, "repo", d.HostID)
	if err != nil || got.ID != d.ID || len(got.Hosts) != 3 || got.Environment != site.Production || got.Source.Branch != "next" || !got.CreatedAt.Equal(d.CreatedAt) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestOnlyAnEmptyDatabaseIsFilled(t *testing.T) {
	p := newPlane(t).start()
	var backup bytes.Buffer
	if _, err := p.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	accounts := controlplane.NewAccounts(controlplane.AccountsConfig{Now: p.clock.Now}, p.store)
	if _, err := accounts.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := p.store.Update(t.Context(), func(tx controlplane.Tx) error {
		owner, err := tx.UnclaimedOwner()
		if err != nil {
			return err
		}
		return tx.InsertToken(&controlplane.TokenRow{APIToken: controlplane.APIToken{ID: "t", CreatedAt: p.clock.Now()}, UserID: owner.ID, Hash: "h", Local: true})
	})
	if err != nil {
		t.Fatal(err)
	}
	fill := map[string]func() error{
		"restore": func() error {
			_, err := p.Restore(t.Context(), bytes.NewReader(backup.Bytes()), controlplane.RecoverOptions{})
			return err
		},
		"rebuild": func() error {
			_, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{})
			return err
		},
	}
	for name, f := range fill {
		if err := f(); err != nil { // an owner whom nobody took over is what a first start leaves
			t.Errorf("%s into a new database: %v", name, err)
		}
	}
	code, err := accounts.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := accounts.SignUp(t.Context(), controlplane.SignUpInput{Email: "me@example.com", Password: "correct horse", Code: code}); err != nil {
		t.Fatal(err)
	}
	for name, f := range fill {
		err := f()
		wantCode(t, err, controlplane.CodeConflict)
		if err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingIsFilledWhileAControlPlaneRuns(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false }).start()
	running := p.Service
	eventually(t, "it publishes", func() bool {
		var l controlplane.LeaseRow
		err := p.store.View(t.Context(), func(tx controlplane.Tx) (err error) { l, err = tx.Lease("publisher"); return err })
		return err == nil && l.Holder != ""
	})
	p.Service = controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), p.bucket, newFakeRunner(), slog.New(slog.DiscardHandler))
	_, err := p.Rebuild(t.Context(), controlplane.RecoverOptions{})
	p.Service = running
	wantCode(t, err, controlplane.CodeConflict)
}
