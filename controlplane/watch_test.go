package controlplane_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// awayStore is a database that can be away, and whose answers can be lost.
type awayStore struct {
	controlplane.Store
	away, mute atomic.Bool
	full       atomic.Bool  // it can be read alone
	refused    atomic.Int64 // updates
}

var errNoDatabase = controlplane.Errorf(controlplane.CodeUnavailable, "The database does not answer.")

func (s *awayStore) View(ctx context.Context, f func(controlplane.Tx) error) error {
	if s.away.Load() {
		return errNoDatabase
	}
	return s.Store.View(ctx, f)
}

func (s *awayStore) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	if s.away.Load() || s.full.Load() {
		s.refused.Add(1)
		return errNoDatabase
	}
	err := s.Store.Update(ctx, f)
	if s.mute.Load() {
		return errNoDatabase // nobody heard the answer
	}
	return err
}

// watched is a plane whose work in the background is done by the test, beside a
// second control plane.
func watched(t *testing.T, options ...option) (p *plane, second *controlplane.Service, s *awayStore) {
	t.Helper()
	p = newPlane(t, append(options, func(p *plane) { p.config.Exclusive = false })...)
	s = &awayStore{Store: p.store}
	one := func() *controlplane.Service {
		return controlplane.New(p.config, s, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.NewTextHandler(testWriter{t}, nil)))
	}
	p.Service = one()
	return p, one(), s
}

// build starts the builder of a new deployment.
func (p *plane) build() (*controlplane.Deployment, *fakeBuilder) {
	p.t.Helper()
	d := p.deploy(p.project("repo").ID, "main")
	p.dispatch()
	b := p.claim(p.next())
	eventually(p.t, "its handle is kept", func() bool { return p.row(d.ID).Handle != "" })
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild})
	return d, b
}

func (p *plane) dispatch() {
	p.t.Helper()
	if err := p.DispatchOnce(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plane) watch(s *controlplane.Service) {
	p.t.Helper()
	if err := s.WatchOnce(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plane) row(id string) (d *controlplane.DeploymentRow) {
	p.t.Helper()
	err := p.store.View(p.t.Context(), func(tx controlplane.Tx) (err error) { d, err = tx.Deployment(id); return err })
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// isNow fails where a deployment has not that status and attempt already.
func (p *plane) isNow(what, id string, status controlplane.Status, attempt int) {
	p.t.Helper()
	if d := p.row(id); d.Status != status || d.Attempt != attempt {
		p.t.Fatalf("%s: attempt %d is %s (%s), not %s of %d", what, d.Attempt, d.Status, d.Reason, status, attempt)
	}
}

func TestBuildersAreNotSilentWhileTheDatabaseIsAway(t *testing.T) {
	p, _, s := watched(t)
	d, b := p.build()
	s.away.Store(true)
	p.clock.Advance(10 * time.Minute)
	if err := p.WatchOnce(t.Context()); err == nil {
		t.Fatal("a database that is away was read")
	}
	s.away.Store(false)
	p.watch(p.Service)
	p.isNow("when it is back", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(59 * time.Second)
	p.watch(p.Service)
	p.isNow("a minute later", d.ID, controlplane.StatusInProgress, 1)
	b.report(site.Event{Type: site.EventHeartbeat})
	p.watch(p.Service)
	p.clock.Advance(61 * time.Second)
	p.watch(p.Service)
	p.isNow("after a minute of silence", d.ID, controlplane.StatusFail, 1)
}

func TestNobodyTakesBuildsOverWhileNobodyCanRenewAClaim(t *testing.T) {
	p, second, s := watched(t)
	d, _ := p.build()
	s.away.Store(true)
	if err := second.WatchOnce(t.Context()); err == nil {
		t.Fatal("a database that is away was read")
	}
	p.clock.Advance(30 * time.Second)
	s.away.Store(false)
	p.watch(second)
	p.isNow("when it is back", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(11 * time.Second)
	p.watch(second)
	p.isNow("before a claim ends", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(2 * time.Second)
	p.watch(second)
	p.isNow("not renewed", d.ID, controlplane.StatusQueued, 1)
}

// TestADatabaseThatIsFullCostsNoBuild: reports can't be noted and claims not be
// renewed, while all can be read.
func TestADatabaseThatIsFullCostsNoBuild(t *testing.T) {
	p, second, s := watched(t)
	d, b := p.build()
	round := func(what string, fails bool) {
		t.Helper()
		p.clock.Advance(3 * time.Second)
		for _, one := range []*controlplane.Service{second, p.Service} {
			if err := one.RenewOnce(t.Context()); (err != nil) != fails {
				t.Fatalf("%s: renewed: %v", what, err)
			}
			p.watch(one)
		}
		p.isNow(what, d.ID, controlplane.StatusInProgress, 1)
		if p.runner.running() != 1 {
			t.Fatalf("%s: the builder was stopped", what)
		}
	}
	round("before", false)
	s.full.Store(true)
	for range 30 {
		round("while it is full", true)
	}
	s.full.Store(false)
	p.watch(second) // before anyone has renewed anything
	for range 10 {
		round("after", false)
	}
	b.report(site.Event{Type: site.EventHeartbeat})
	round("heard", false)
}

func TestWhoHungLeavesABuilderToItsHeir(t *testing.T) {
	p, second, _ := watched(t, func(p *plane) { p.runner.survives = true })
	d, b := p.build()
	p.watch(second)
	p.clock.Advance(13 * time.Second)
	p.watch(second)
	heir := p.row(d.ID).ClaimedBy
	for range 2 {
		p.watch(p.Service) // it goes on now
		p.clock.Advance(11 * time.Second)
		b.report(site.Event{Type: site.EventHeartbeat})
	}
	if err := p.Stop(t.Context()); err != nil { // and what it began has ended
		t.Fatal(err)
	}
	if now := p.row(d.ID); now.ClaimedBy != heir || heir == "" || p.runner.running() != 1 {
		t.Errorf("claimed by %q, then by %q; %d builders, stopped: %v", heir, now.ClaimedBy, p.runner.running(), p.runner.stopped)
	}
	p.Service = second
	if got := b.finish(page); got.Status != controlplane.StatusReady || got.Attempt != 1 {
		t.Errorf("%+v", got)
	}
}

// awayAfterStart is a runner that loses the database as soon as a builder runs.
type awayAfterStart struct {
	*fakeRunner
	store *awayStore
}

func (r awayAfterStart) Start(ctx context.Context, b controlplane.Builder) (string, error) {
	defer r.store.away.Store(true)
	return r.fakeRunner.Start(ctx, b)
}

func TestABuilderIsKeptWhoseHandleCouldNotBe(t *testing.T) {
	p, _, s := watched(t)
	p.Service = controlplane.New(p.config, s, p.logs, stream.NewDirect(p.logs), p.bucket, awayAfterStart{p.runner, s}, slog.New(slog.DiscardHandler))
	d := p.deploy(p.project("repo").ID, "main")
	_ = p.DispatchOnce(t.Context()) // its last look may come when the database is away
	builder := p.next()
	eventually(t, "the handle is not kept", func() bool { return s.refused.Load() > 0 })
	s.away.Store(false)
	b := p.claim(builder)
	eventually(t, "it is kept later", func() bool { p.watch(p.Service); return p.row(d.ID).Handle == builder.Attempt })
	if got := b.finish(page); got.Status != controlplane.StatusReady || got.Attempt != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAClaimThatNobodyKnowsOfIsGivenUp(t *testing.T) {
	p, _, s := watched(t)
	d := p.deploy(p.project("repo").ID, "main")
	s.mute.Store(true)
	if err := p.DispatchOnce(t.Context()); err == nil {
		t.Fatal("the answer was heard")
	}
	s.mute.Store(false)
	p.watch(p.Service)
	p.clock.Advance(11 * time.Second)
	p.watch(p.Service)
	p.isNow("it may be about to start", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(2 * time.Second)
	p.watch(p.Service)
	p.isNow("nobody starts it", d.ID, controlplane.StatusQueued, 1)
	p.dispatch()
	if b := p.claim(p.next()); b.job.Attempt != 2 {
		t.Errorf("attempt %d", b.job.Attempt)
	}
}
