package controlplane_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// survivors is a plane whose builders outlive their control plane.
func survivors(p *plane) {
	p.runner.survives = true
	p.config.Exclusive = false
}

// beside starts a second control plane on the same database and runner.
func (p *plane) beside() *controlplane.Service {
	p.t.Helper()
	second := controlplane.New(p.config, storetest.Twice{Store: p.store}, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.NewTextHandler(testWriter{p.t}, nil)))
	if err := second.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := second.Stop(ctx); err != nil {
			p.t.Error(err)
		}
	})
	return second
}

func TestABuilderOutlivesItsControlPlane(t *testing.T) {
	t.Parallel()
	p := newPlane(t, survivors)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild})
	second := p.beside()
	p.Abandon()
	killed := p.clock.Peek()
	p.Service = second
	eventually(t, "the claim is taken over", func() bool {
		p.clock.Advance(time.Second)
		second.WakeAll()
		return p.claimUntil(d.ID).After(killed)
	})
	b.report(site.Event{Type: site.EventHeartbeat})
	if got := b.finish(page); got.Attempt != 1 || got.Status != controlplane.StatusReady {
		t.Errorf("%+v", got)
	}
}

func TestTheEndOfABuilderWithoutControlPlane(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		exit controlplane.BuilderExit
		want controlplane.Status
		says string
	}{
		{"the build's fault", controlplane.BuilderExit{Code: 137, Reason: "out of memory"}, controlplane.StatusFail, "out of memory"},
		{"its machine's", controlplane.BuilderExit{Code: -1, Lost: true, Reason: "its machine was taken back"}, controlplane.StatusInProgress, ""},
		{"nobody knows", controlplane.BuilderExit{Code: -1, Lost: true}, controlplane.StatusInProgress, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPlane(t, survivors)
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			d := p.deploy(p.project("repo").ID, "main")
			b := p.claim(p.next())
			p.Abandon()
			p.runner.mu.Lock()
			p.runner.ended = map[string]controlplane.BuilderExit{b.job.AttemptID: row.exit}
			delete(p.runner.builders, b.job.AttemptID)
			p.runner.mu.Unlock()
			p.Service = p.beside()
			if row.want == controlplane.StatusInProgress {
				eventually(t, "it is built again", func() bool {
					p.clock.Advance(time.Second)
					p.WakeAll()
					return len(p.runner.news) > 0
				})
				if again := p.next(); again.Attempt != d.ID+".2" {
					t.Fatalf("attempt %s", again.Attempt)
				}
			}
			eventually(t, "it is "+string(row.want), func() bool {
				if row.want == controlplane.StatusFail {
					p.clock.Advance(time.Second)
					p.WakeAll()
				}
				got, err := p.Deployment(t.Context(), p.me, d.ID)
				return err == nil && got.Status == row.want && strings.Contains(got.Reason, row.says)
			})
		})
	}
}

func TestOnlyBuildersWhoseAttemptIsOverAreSwept(t *testing.T) {
	p := newPlane(t, survivors).start()
	running := p.deploy(p.project("repo").ID, "main")
	p.claim(p.next())
	p.runner.mu.Lock()
	for _, left := range []string{running.ID + ".0", running.ID + ".2", "5f1c8f3e-0000-4000-8000-000000000000.1", "no attempt"} {
		p.runner.builders[left] = controlplane.Builder{Attempt: left}
	}
	p.runner.mu.Unlock()
	second := p.beside() // it knows of none of them but by the database
	if err := second.SweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.SweepOnce(t.Context()); err != nil { // one of them holds the lease
		t.Fatal(err)
	}
	if n := p.runner.running(); n != 1 {
		t.Errorf("%d builders are left: %v were stopped", n, p.runner.stopped)
	}
	p.is(running.ID, controlplane.StatusInProgress)
}

func TestADetectionsBuilderIsSweptWhenItIsOver(t *testing.T) {
	p := newPlane(t, survivors).start()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.Detect(ctx, p.me, controlplane.DetectInput{GitURL: "https://git.example.com/owner/repository"})
	}()
	b := p.next()
	if err := p.SweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.runner.running() != 1 {
		t.Fatal("a detection's builder was swept while it was awaited")
	}
	cancel()
	<-done
	eventually(t, "it is stopped", func() bool { return p.runner.running() == 0 })
	p.runner.mu.Lock()
	p.runner.builders[b.Attempt] = b // its stop did not come through
	p.runner.mu.Unlock()
	if err := p.SweepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.runner.running() != 0 {
		t.Error("it is left")
	}
}

func TestABuilderWithoutRoomCostsNoAttempt(t *testing.T) {
	t.Parallel()
	p := newPlane(t, func(p *plane) { p.runner.full = 5 }).start()
	d := p.deploy(p.project("repo").ID, "")
	for n := 1; n <= 5; n++ {
		eventually(t, "it waits", func() bool {
			got, err := p.Deployment(t.Context(), p.me, d.ID)
			return err == nil && got.Status == controlplane.StatusQueued && got.Attempt == n && strings.Contains(got.Reason, "no room")
		})
		p.clock.Advance(time.Minute)
	}
	b := p.claim(p.next())
	if b.job.Attempt != 6 {
		t.Errorf("attempt %d", b.job.Attempt)
	}
	// What is lost after that still counts: two more attempts, and no third.
	for _, want := range []string{".7", ".8"} {
		p.runner.exits <- controlplane.BuilderExit{Handle: b.job.AttemptID, Code: -1, Lost: true}
		next := p.next()
		if next.Attempt != d.ID+want {
			t.Fatalf("attempt %s", next.Attempt)
		}
		b = p.claim(next)
	}
	p.runner.exits <- controlplane.BuilderExit{Handle: b.job.AttemptID, Code: -1, Lost: true, Reason: "its machine was taken back"}
	eventually(t, "it fails", func() bool {
		got, err := p.Deployment(t.Context(), p.me, d.ID)
		return err == nil && got.Status == controlplane.StatusFail && strings.Contains(got.Reason, "3 times") && strings.Contains(got.Reason, "its machine was taken back")
	})
}

func TestABuilderThatFoundNoRoomLaterWaits(t *testing.T) {
	t.Parallel()
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	for n := 1; n <= 4; n++ {
		b := p.next()
		p.runner.exits <- controlplane.BuilderExit{Handle: b.Attempt, Code: -1, Lost: true, NoRoom: true, Reason: "there was no Spot capacity"}
		eventually(t, "it waits", func() bool {
			got, err := p.Deployment(t.Context(), p.me, d.ID)
			return err == nil && got.Status == controlplane.StatusQueued && strings.Contains(got.Reason, "no Spot capacity")
		})
		p.none()
		p.clock.Advance(time.Minute)
	}
}
