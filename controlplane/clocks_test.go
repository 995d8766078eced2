package controlplane_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// apart is two control planes whose clocks differ; the work in the background is
// done by the test.
type apart struct {
	*plane
	first, second *controlplane.Service
}

// withClocksApart runs a test where the second clock is ahead, and behind.
func withClocksApart(t *testing.T, test func(t *testing.T, a *apart)) {
	for _, skew := range []time.Duration{time.Minute, -time.Minute, 4 * time.Minute, -4 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			p := newPlane(t, func(p *plane) { p.config.Exclusive = false })
			one := func(now func() time.Time) *controlplane.Service {
				config := p.config
				config.Now = now
				return controlplane.New(config, storetest.Twice{Store: p.store}, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.NewTextHandler(testWriter{t}, nil)))
			}
			a := &apart{plane: p, first: one(p.clock.Now), second: one(func() time.Time { return p.clock.Now().Add(skew) })}
			p.Service = a.first
			test(t, a)
		})
	}
}

// acts reports whether a control plane does the work of a lease.
func (a *apart) acts(s *controlplane.Service) (acts bool) {
	a.t.Helper()
	if err := s.Under(a.t.Context(), "sweeper", func(context.Context) error { acts = true; return nil }); err != nil {
		a.t.Fatal(err)
	}
	return acts
}

func (a *apart) renew(s *controlplane.Service) {
	a.t.Helper()
	if err := s.RenewOnce(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// TestClocksThatDifferTakeNothingAway: as long as a control plane renews what it
// has, it keeps it, and its builds are heard wherever they report. Once it does
// not, another one has it as soon as if their clocks were the same.
func TestClocksThatDifferTakeNothingAway(t *testing.T) {
	withClocksApart(t, func(t *testing.T, a *apart) {
		a.renew(a.first)
		d := a.deploy(a.project("repo").ID, "main")
		a.dispatch()
		builder := a.next()
		eventually(t, "its handle is kept", func() bool { return a.row(d.ID).Handle != "" })
		a.Service = a.second // the balancer's choice
		b := a.claim(builder)
		b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseClone})
		for passed := time.Duration(0); passed < 5*time.Minute; passed += 3 * time.Second {
			a.clock.Advance(3 * time.Second)
			a.renew(a.first)
			a.renew(a.second)
			a.watch(a.second)
			a.watch(a.first)
			if passed%(9*time.Second) == 0 && b.report(site.Event{Type: site.EventHeartbeat}) {
				t.Fatalf("canceled after %s", passed)
			}
			a.isNow(passed.String(), d.ID, controlplane.StatusInProgress, 1)
			if a.acts(a.second) || !a.acts(a.first) {
				t.Fatalf("after %s the lease is another's", passed)
			}
		}
		// The first one hangs.
		for passed := time.Second; passed <= 12*time.Second; passed += time.Second {
			a.clock.Advance(time.Second)
			a.watch(a.second)
			if acts := a.acts(a.second); acts != (passed >= 8*time.Second) {
				t.Errorf("after %s the second one acts: %v", passed, acts)
			}
			if passed < 12*time.Second {
				a.isNow(passed.String(), d.ID, controlplane.StatusInProgress, 1)
			}
		}
		a.isNow("not renewed", d.ID, controlplane.StatusQueued, 1)
		// And goes on: it lets go.
		a.renew(a.first)
		a.watch(a.first)
		if a.acts(a.first) {
			t.Error("two act")
		}
	})
}

// TestWhatIsGivenBackIsTakenAtOnce: a control plane that stops in an orderly way
// has nobody wait, though its clock is ahead.
func TestWhatIsGivenBackIsTakenAtOnce(t *testing.T) {
	withClocksApart(t, func(t *testing.T, a *apart) {
		a.runner.survives = true
		if err := a.second.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		a.Service = a.second
		d := a.deploy(a.project("repo").ID, "main")
		b := a.claim(a.next())
		b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild})
		eventually(t, "its handle is kept", func() bool { return a.row(d.ID).Handle != "" })
		stopped := a.row(d.ID).ClaimedBy
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := a.second.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		a.watch(a.first)
		if by := a.row(d.ID).ClaimedBy; by == stopped || by == "" {
			t.Errorf("claimed by %q, was %q", by, stopped)
		}
		if !a.acts(a.first) {
			t.Error("the lease is not free")
		}
	})
}

// TestWhatStoodStillUnseenIsNotTaken: who did not look, as its machine hung, or
// who begins to look, gives everyone their whole time.
func TestWhatStoodStillUnseenIsNotTaken(t *testing.T) {
	p, second, _ := watched(t)
	d, _ := p.build()
	p.clock.Advance(time.Hour)
	p.watch(second)
	p.isNow("seen first", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(11 * time.Second)
	second.Hang()
	p.clock.Advance(2 * time.Second)
	p.watch(second)
	p.isNow("after it hung", d.ID, controlplane.StatusInProgress, 1)
	p.clock.Advance(12 * time.Second)
	p.watch(second)
	p.isNow("seen to stand still", d.ID, controlplane.StatusQueued, 1)
}
