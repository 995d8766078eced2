package controlplane_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestAnotherControlPlaneTakesOver lets two control planes share a database:
// when one is killed, the other builds again what it was building, and
// publishes what it had not.
func TestAnotherControlPlaneTakesOver(t *testing.T) {
	t.Parallel()
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false })
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	project := p.project("repo")
	d := p.deploy(project.ID, "main")
	first := p.claim(p.next())
	first.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild})

	other := newFakeRunner()
	second := controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), p.bucket, other, slog.New(slog.DiscardHandler))
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := second.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	// As long as the first one lives, it keeps its build.
	for range 6 {
		before := p.clock.Peek()
		p.clock.Advance(3 * time.Second)
		first.report(site.Event{Type: site.EventHeartbeat})
		eventually(t, "the claim is renewed", func() bool { return p.claimUntil(d.ID).After(before) })
	}
	if len(other.news) != 0 {
		t.Fatal("the second took a build whose control plane lives")
	}
	p.Abandon()
	p.Service, p.runner = second, other
	eventually(t, "it is built again", func() bool {
		p.clock.Advance(time.Second)
		second.WakeAll()
		return len(other.news) > 0
	})
	again := p.claim(p.next())
	if again.job.Deployment != d.ID || again.job.Attempt != 2 {
		t.Fatalf("job: %+v", again.job)
	}
	if got := again.finish(page); got.LiveAt == nil || p.production() != d.ID {
		t.Errorf("%+v", got)
	}
}

func (p *plane) claimUntil(id string) (until time.Time) {
	p.t.Helper()
	err := p.store.View(p.t.Context(), func(tx controlplane.Tx) error {
		d, err := tx.Deployment(id)
		if err == nil {
			until = d.ClaimUntil.Add(-12 * time.Second) // when it was claimed
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return until
}

// Peek is the time without moving it.
func (c *clock) Peek() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func TestBuilderThatEndsAtOnceIsNotMissed(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.runner.instant = true }).start()
	d := p.deploy(p.project("repo").ID, "main")
	// It had not begun: that is the platform's fault, and is tried again.
	var got *controlplane.Deployment
	eventually(t, "the last attempt has ended", func() bool {
		p.clock.Advance(10 * time.Second)
		var err error
		if got, err = p.Deployment(t.Context(), p.me, d.ID); err != nil {
			t.Fatal(err)
		}
		return got.Status == controlplane.StatusFail
	})
	if got.Attempt != controlplane.MaxAttempts || !strings.Contains(got.Reason, "at once") {
		t.Errorf("attempt %d: %s", got.Attempt, got.Reason)
	}
}

func TestBuilderThatBreaksLaterHasFailed(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	b.report(site.Event{Type: site.EventStarted})
	p.runner.exit(b.job.AttemptID, site.ExitBroken, "no memory")
	if got := p.is(d.ID, controlplane.StatusFail); got.Attempt != 1 || !strings.Contains(got.Reason, "no memory") {
		t.Errorf("attempt %d: %s", got.Attempt, got.Reason)
	}
}

// downBucket answers nothing while it is down.
type downBucket struct {
	blob.Store
	down atomic.Bool
}

var errDown = errors.New("the bucket is down")

func (b *downBucket) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if b.down.Load() {
		return nil, errDown
	}
	return b.Store.Get(ctx, key, opts)
}

func TestBucketThatIsDownIsCaughtUpWith(t *testing.T) {
	bucket := &downBucket{}
	p := newPlane(t, func(p *plane) { bucket.Store = p.raw; p.bucket = bucket; bucket.down.Store(true) }).start()
	project := p.project("repo")
	if _, err := p.Project(t.Context(), p.me, project.ID); err != nil {
		t.Fatal(err)
	}
	bucket.down.Store(false)
	eventually(t, "the route is published when the bucket answers", func() bool { return p.route(productionHost).Project == project.ID })
}

// downLogs keeps and deletes nothing while it is down.
type downLogs struct {
	controlplane.LogStore
	down atomic.Bool
}

func (l *downLogs) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	if l.down.Load() {
		return errDown
	}
	return l.LogStore.Append(ctx, batches...)
}

func (l *downLogs) Delete(ctx context.Context, logs ...controlplane.LogRef) error {
	if l.down.Load() {
		return errDown
	}
	return l.LogStore.Delete(ctx, logs...)
}

// TestLogStoreThatIsDownHoldsUpNoRemoval removes a deployment that has nothing
// but a log.
func TestLogStoreThatIsDownHoldsUpNoRemoval(t *testing.T) {
	down := &downLogs{}
	p := newPlane(t)
	down.LogStore = p.logs
	p.Service = controlplane.New(p.config, p.store, down, stream.NewDirect(down), p.bucket, p.runner, slog.New(slog.DiscardHandler))
	p.start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	b.report(lines("one"), site.Event{Type: site.EventFailed, Reason: "done"})
	kept := func() int {
		got, err := p.logs.Lines(t.Context(), d.Log(), controlplane.Cursor{}, 10, "")
		if err != nil {
			t.Fatal(err)
		}
		return len(got)
	}
	down.down.Store(true)
	if err := p.DeleteDeployment(t.Context(), p.me, d.ID); err != nil {
		t.Fatal(err)
	}
	if kept() != 1 {
		t.Fatal("a log store that is down has deleted it")
	}
	down.down.Store(false)
	p.clock.Advance(25 * time.Hour)
	p.Sweep(t)
	if kept() != 0 {
		t.Error("the log is never deleted")
	}
}

func TestLogStoreThatIsDownFailsNoBuild(t *testing.T) {
	down := &downLogs{}
	p := newPlane(t)
	down.LogStore = p.logs
	p.Service = controlplane.New(p.config, p.store, down, stream.NewDirect(down), p.bucket, p.runner, slog.New(slog.DiscardHandler))
	p.start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	down.down.Store(true)
	events := []site.Event{b.event(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}), b.event(lines("one"))}
	for range 3 {
		p.clock.Advance(40 * time.Second)
		if _, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, events); err == nil {
			t.Fatal("lines that were not kept are said to be")
		}
	}
	if got := p.is(d.ID, controlplane.StatusInProgress); got.Phase != site.PhaseBuild {
		t.Errorf("phase %s", got.Phase)
	}
	down.down.Store(false)
	if _, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, events); err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{}); err != nil || len(got) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	if got := b.finish(page); got.Status != controlplane.StatusReady {
		t.Errorf("%+v", got)
	}
}
