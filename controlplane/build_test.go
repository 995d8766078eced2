package controlplane_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

var page = map[string]string{"/index.html": "<h1>built</h1>"}

func TestRepositoryBecomesLiveSite(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	d := p.deploy(project.ID, "")
	if d.Status != controlplane.StatusQueued || d.Environment != site.Production || d.Source.Branch != "main" {
		t.Fatalf("queued: %+v", d)
	}
	b := p.claim(p.next())
	if b.job.Git.URL != project.GitURL || b.job.Git.Branch != "main" || b.job.Project != project.ID || b.job.Attempt != 1 {
		t.Fatalf("job: %+v", b.job)
	}
	b.report(site.Event{Type: site.EventStarted}, site.Event{Type: site.EventPhase, Phase: site.PhaseClone})
	b.report(site.Event{Type: site.EventSource, Source: &site.Source{Branch: "main", Commit: strings.Repeat("a", 40), Message: "first", Author: "A"}})
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}, lines("one", "two"))
	running := p.is(d.ID, controlplane.StatusInProgress)
	if running.Phase != site.PhaseBuild || len(running.Phases) != 2 || running.Phases[0].EndedAt == nil || running.Source.Message != "first" {
		t.Fatalf("running: %+v", running)
	}
	d = b.finish(page)
	if d.Status != controlplane.StatusReady || !d.InProduction || d.LiveAt == nil || len(d.Hosts) != 3 {
		t.Fatalf("ready: %+v", d)
	}
	branch := p.route("git-main--repo.example.test")
	if branch.Deployment != d.ID || branch.Environment != site.Preview {
		t.Fatalf("branch's route: %+v", branch)
	}
	got, next, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
	if err != nil || next != "" || len(got) != 2 || got[1].Text != "two" || got[1].Phase != site.PhaseBuild {
		t.Fatalf("log: %+v %q %v", got, next, err)
	}
	if _, err := p.AuthenticateAttempt(t.Context(), b.job.Token); controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
		t.Fatalf("the token lives on: %v", err)
	}
}

func TestHundredDeploymentsAtOnce(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.MaxBuilds = 4 }).start()
	var projects []string
	for i := range 10 {
		projects = append(projects, p.project(fmt.Sprintf("site-%d", i)).ID)
	}
	var mu sync.Mutex
	order := map[string][]string{} // as queued, by project
	var all sync.WaitGroup
	for _, project := range projects {
		all.Go(func() {
			for i := range 10 {
				d := p.deploy(project, fmt.Sprintf("branch-%d", i))
				mu.Lock()
				order[project] = append(order[project], d.ID)
				mu.Unlock()
			}
		})
	}
	built := map[string][]string{}
	running := map[string]int{}
	for range 100 {
		b := p.claim(p.next())
		if n := p.runner.running(); n > 4 {
			t.Fatalf("%d builds run at once", n)
		}
		all.Go(func() {
			mu.Lock()
			running[b.job.Project]++
			if running[b.job.Project] > 1 {
				t.Errorf("two builds of one project run at once")
			}
			built[b.job.Project] = append(built[b.job.Project], b.job.Deployment)
			running[b.job.Project]--
			mu.Unlock()
			b.report(site.Event{Type: site.EventFailed, Reason: "on purpose"})
			p.runner.exit(b.job.AttemptID, 1, "")
		})
	}
	all.Wait()
	p.none()
	for _, project := range projects {
		if fmt.Sprint(built[project]) != fmt.Sprint(order[project]) {
			t.Errorf("built %v, queued %v", built[project], order[project])
		}
	}
	if n := len(p.runner.started); n != 100 {
		t.Errorf("%d builders were started", n)
	}
}

func TestNewestOfABranchWins(t *testing.T) {
	p := newPlane(t) // nothing starts
	project := p.project("repo")
	first, other := p.deploy(project.ID, "main"), p.deploy(project.ID, "next")
	second := p.deploy(project.ID, "main")
	if d := p.is(first.ID, controlplane.StatusCanceled); !strings.Contains(d.Reason, "Superseded") || !strings.Contains(d.Reason, second.HostID) {
		t.Errorf("reason: %s", d.Reason)
	}
	p.is(other.ID, controlplane.StatusQueued)
	p.is(second.ID, controlplane.StatusQueued)
}

func TestIdempotencyKeyAnswersTheFirst(t *testing.T) {
	p := newPlane(t)
	project, other := p.project("repo"), p.project("other")
	in := controlplane.DeployInput{ProjectID: project.ID, IdempotencyKey: "once"}
	first, err := p.Deploy(t.Context(), p.me, in)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Deploy(t.Context(), p.me, in)
	if err != nil || again.ID != first.ID {
		t.Fatalf("again: %+v %v", again, err)
	}
	in.ProjectID = other.ID
	_, err = p.Deploy(t.Context(), p.me, in)
	wantCode(t, err, controlplane.CodeConflict)
}

func TestCancelStopsThatBuildAlone(t *testing.T) {
	p := newPlane(t).start()
	a, b := p.deploy(p.project("one").ID, ""), p.deploy(p.project("two").ID, "")
	builders := map[string]*fakeBuilder{}
	for range 2 {
		f := p.claim(p.next())
		builders[f.job.Deployment] = f
	}
	if _, err := p.Cancel(t.Context(), p.me, a.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one builder is left", func() bool { return p.runner.running() == 1 })
	p.is(a.ID, controlplane.StatusCanceled)
	p.is(b.ID, controlplane.StatusInProgress)
	if canceled, err := p.HandleEvents(t.Context(), builders[a.ID].actor, builders[a.ID].job.AttemptID, []site.Event{builders[a.ID].event(site.Event{Type: site.EventHeartbeat})}); err != nil || !canceled {
		t.Errorf("the canceled builder is told %v, %v", canceled, err)
	}
	if builders[b.ID].report(site.Event{Type: site.EventHeartbeat}) {
		t.Error("the other builder is canceled too")
	}
	_, err := p.Cancel(t.Context(), p.me, a.ID)
	wantCode(t, err, controlplane.CodeConflict)
	_, err = p.Publish(t.Context(), builders[a.ID].actor, a.ID)
	wantCode(t, err, controlplane.CodeConflict)
}

func TestBuilderThatEndsByItselfFailsTheDeployment(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		exit controlplane.BuilderExit
		want controlplane.Status
		says string
	}{
		{"crash", controlplane.BuilderExit{Code: 2, Reason: "panic: oops"}, controlplane.StatusFail, "panic: oops"},
		{"killed", controlplane.BuilderExit{Code: -1}, controlplane.StatusFail, "ended unexpectedly"},
		{"nothing published", controlplane.BuilderExit{}, controlplane.StatusFail, "without publishing"},
		{"its machine is gone", controlplane.BuilderExit{Code: -1, Lost: true}, controlplane.StatusInProgress, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPlane(t).start()
			d := p.deploy(p.project("repo").ID, "")
			b := p.claim(p.next())
			b.report(site.Event{Type: site.EventStarted})
			row.exit.Handle = b.job.AttemptID
			p.runner.exits <- row.exit
			if row.want == controlplane.StatusInProgress {
				if again := p.next(); again.Attempt != d.ID+".2" {
					t.Fatalf("attempt %s", again.Attempt)
				}
			}
			if d = p.is(d.ID, row.want); !strings.Contains(d.Reason, row.says) {
				t.Errorf("reason: %s", d.Reason)
			}
		})
	}
}

func TestSilentBuilderIsStopped(t *testing.T) {
	t.Parallel()
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	b.report(site.Event{Type: site.EventStarted})
	p.clock.Advance(50 * time.Second)
	b.report(site.Event{Type: site.EventHeartbeat})
	p.clock.Advance(50 * time.Second)
	p.none()
	p.is(d.ID, controlplane.StatusInProgress)
	eventually(t, "it fails", func() bool {
		p.clock.Advance(15 * time.Second)
		p.WakeAll()
		got, err := p.Deployment(t.Context(), p.me, d.ID)
		return err == nil && got.Status == controlplane.StatusFail
	})
	if d = p.is(d.ID, controlplane.StatusFail); !strings.Contains(d.Reason, "not reported") {
		t.Errorf("reason: %s", d.Reason)
	}
	eventually(t, "the builder is stopped", func() bool { return p.runner.running() == 0 })
}

func TestPhaseOverItsTimeFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		phase site.Phase
		limit time.Duration
	}{{site.PhaseClone, 5 * time.Minute}, {site.PhaseInstall, 15 * time.Minute}, {site.PhaseBuild, 30 * time.Minute}, {site.PhaseUpload, 15 * time.Minute}} {
		t.Run(string(row.phase), func(t *testing.T) {
			p, _, _ := watched(t)
			d, b := p.build()
			b.report(site.Event{Type: site.EventPhase, Phase: row.phase})
			p.watch(p.Service)
			for passed := time.Duration(0); passed < row.limit; passed += 30 * time.Second {
				p.clock.Advance(30 * time.Second)
				if b.report(site.Event{Type: site.EventHeartbeat}) {
					t.Fatalf("canceled after %s", passed)
				}
				p.watch(p.Service)
			}
			p.clock.Advance(40 * time.Second)
			p.watch(p.Service)
			if d := p.is(d.ID, controlplane.StatusFail); !strings.Contains(d.Reason, string(row.phase)) || !strings.Contains(d.Reason, row.limit.String()) {
				t.Errorf("reason: %s", d.Reason)
			}
			eventually(t, "the builder is stopped", func() bool { return p.runner.running() == 0 })
		})
	}
}

func TestPlatformFaultsStartAgainAtMostThreeTimes(t *testing.T) {
	t.Parallel()
	p := newPlane(t, func(p *plane) { p.runner.failures = 3 }).start()
	d := p.deploy(p.project("repo").ID, "")
	for range 100 {
		p.clock.Advance(5 * time.Second)
		if shown, _ := p.Deployment(t.Context(), p.me, d.ID); shown.Status == controlplane.StatusFail {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	d = p.is(d.ID, controlplane.StatusFail)
	if d.Attempt != 3 || !strings.Contains(d.Reason, "3 times") {
		t.Errorf("attempt %d: %s", d.Attempt, d.Reason)
	}
}

// kill ends a control plane as kill -9 does: nothing is told, nothing is done.
func (p *plane) kill() {
	p.t.Helper()
	p.Abandon()
	p.store.Close()
	p.logs.Close()
	p.runner = newFakeRunner()
}

func TestKilledControlPlaneBuildsAgain(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d, queued := p.deploy(p.project("repo").ID, "main"), p.deploy(p.project("other").ID, "main")
	old := p.claim(p.next())
	old.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}, lines("first attempt"))
	p.kill()
	p.open()
	p.start()
	if p.runner.swept != 1 {
		t.Error("what was left was not swept")
	}
	var again *fakeBuilder
	for range 2 {
		if b := p.claim(p.next()); b.job.Deployment == d.ID {
			again = b
		} else if b.job.Deployment != queued.ID {
			t.Fatalf("unknown build: %+v", b.job)
		}
	}
	if again.job.Attempt != 2 {
		t.Fatalf("attempt %d", again.job.Attempt)
	}
	if _, err := p.AuthenticateAttempt(t.Context(), old.job.Token); controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
		t.Errorf("the older attempt's token: %v", err)
	}
	if canceled, err := p.HandleEvents(t.Context(), old.actor, old.job.AttemptID, []site.Event{old.event(site.Event{Type: site.EventFailed, Reason: "late"})}); err != nil || !canceled {
		t.Errorf("the older builder is told %v, %v", canceled, err)
	}
	again.report(lines("second attempt"))
	d = again.finish(page)
	if d.Status != controlplane.StatusReady || d.Attempt != 2 {
		t.Fatalf("deployment: %+v", d)
	}
	got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
	if err != nil || len(got) != 2 || got[0].Attempt != 1 || got[1].Attempt != 2 {
		t.Errorf("log: %+v %v", got, err)
	}
}

func TestDrainTakesBuildsBackIntoTheQueue(t *testing.T) {
	p := newPlane(t)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if n := p.runner.running(); n != 0 {
		t.Errorf("%d builders are left", n)
	}
	if got := p.is(d.ID, controlplane.StatusQueued); !strings.Contains(got.Reason, "stopped") {
		t.Errorf("reason: %s", got.Reason)
	}
	_, err := p.AuthenticateAttempt(t.Context(), b.job.Token)
	wantCode(t, err, controlplane.CodeUnauthorized)
	p.store.Close()
	p.logs.Close()
	p.open()
	p.start()
	if again := p.claim(p.next()); again.job.Attempt != 2 || again.job.Deployment != d.ID {
		t.Errorf("job: %+v", again.job)
	}
}
