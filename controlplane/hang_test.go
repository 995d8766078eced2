package controlplane_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
)

// hangingStore is a database before whose next Update something happens.
type hangingStore struct {
	controlplane.Store
	before func()
}

// over is a control plane on another view of the database.
func (p *plane) over(s controlplane.Store) *controlplane.Service {
	return controlplane.New(p.config, s, p.logs, stream.NewDirect(p.logs), p.bucket, newFakeRunner(), slog.New(slog.DiscardHandler))
}

func (s *hangingStore) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	return s.Store.Update(ctx, f)
}

// TestALookThatHungIsNotNoted: between a look at DNS and noting what it saw a
// control plane hangs; what was true then is not true any more.
func TestALookThatHungIsNotNoted(t *testing.T) {
	for name, another := range map[string]bool{"another one has looked": true, "nobody has": false} {
		t.Run(name, func(t *testing.T) {
			p := newDomainPlane(t, func(p *plane) { p.config.Exclusive = false })
			project := p.project("repo")
			d := p.add(project.ID, customer)
			p.publishRecords(d)
			hangs := &hangingStore{Store: p.store}
			hangs.before = func() {
				p.dropRecords(d)
				p.clock.Advance(time.Hour)
				if another {
					p.verify(project.ID, customer) // by the plane's own
				}
			}
			late := p.over(hangs)
			got, err := late.VerifyDomain(t.Context(), p.me, project.ID, customer)
			if err != nil {
				t.Fatal(err)
			}
			if got.VerifiedAt != nil || got.State != controlplane.DomainPending {
				t.Errorf("the domain is %s by a look of an hour ago", got.State)
			}
			if asked, _ := p.dns.Asked(); hangs.before != nil || asked == 0 {
				t.Error("it did not hang")
			}
		})
	}
}
