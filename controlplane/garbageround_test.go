package controlplane_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// reportsAlone is a store in which nothing but reports can be written: whatever
// else is called in an update panics.
type reportsAlone struct{ controlplane.Store }

type reportsTx struct {
	controlplane.Tx // nil
	controlplane.ReportRows
}

func (tx reportsTx) Report(name string) (time.Time, string, error) { return tx.ReportRows.Report(name) }

func (tx reportsTx) PutReport(name string, at time.Time, body string) error {
	return tx.ReportRows.PutReport(name, at, body)
}

func (s reportsAlone) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	return s.Store.Update(ctx, func(tx controlplane.Tx) error { return f(reportsTx{ReportRows: tx}) })
}

// readOnlyBucket fails where something is written or deleted.
type readOnlyBucket struct {
	blob.Store
	t *testing.T
}

func (b readOnlyBucket) Put(_ context.Context, key string, _ io.Reader, _ int64, _ blob.PutOptions) (blob.Info, error) {
	b.t.Errorf("%s is written", key)
	return blob.Info{}, nil
}

func (b readOnlyBucket) Delete(_ context.Context, keys ...string) error {
	b.t.Errorf("%v are deleted", keys)
	return nil
}

// TestALookForGarbageWritesNothing looks at a host that names two earlier
// deployments, one of which it names no longer by the time.
func TestALookForGarbageWritesNothing(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.KeepDeployments = -1 })
	p.age(0)
	p.start()
	project := p.project("repo")
	over := p.deployFiles(project.ID, site.Production, version(1))
	still := p.deployFiles(project.ID, site.Production, version(2))
	p.deployFiles(project.ID, site.Production, version(3))
	eventually(t, "published", p.nothingDirty)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.age(31 * 24 * time.Hour)
	var before *controlplane.HostRow
	err := p.store.Update(t.Context(), func(tx controlplane.Tx) (err error) {
		if before, err = tx.Host(productionHost); err != nil {
			return err
		}
		before.Previous = []site.Previous{{Deployment: still.ID, Until: p.clock.Now().Add(time.Hour)}, {Deployment: over.ID, Until: p.clock.Now().Add(-time.Minute)}}
		if err := tx.SaveHost(before); err != nil {
			return err
		}
		before, err = tx.Host(productionHost)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Service = controlplane.New(p.config, reportsAlone{p.store}, p.logs, stream.NewDirect(p.logs), readOnlyBucket{p.raw, t}, p.runner, slog.New(slog.DiscardHandler))
	begun, err := p.BeginGarbage(t.Context(), p.admin(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.GarbageOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := p.done(begun).Garbage
	if len(g.Projects) != 1 || len(g.Projects[0].Deployments) != 1 || g.Projects[0].Deployments[0].ID != over.ID {
		t.Errorf("%+v", g.Projects)
	}
	var after *controlplane.HostRow
	if err := p.store.View(t.Context(), func(tx controlplane.Tx) (err error) { after, err = tx.Host(productionHost); return err }); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, before %+v, %v", after, before, err)
	}
}

// stuckBucket hangs when a project's blobs are listed, until it is let go, and
// counts the listings of each.
type stuckBucket struct {
	blob.Store
	at    string
	stuck chan struct{} // closed when it hangs

	mu     sync.Mutex
	listed map[string]int
	once   sync.Once
}

func (b *stuckBucket) List(ctx context.Context, prefix string, o blob.ListOptions) iter.Seq2[blob.Info, error] {
	if project, ok := strings.CutSuffix(strings.TrimPrefix(prefix, "projects/"), "/blobs/"); ok {
		b.mu.Lock()
		b.listed[project]++
		b.mu.Unlock()
		if project == b.at {
			b.once.Do(func() {
				close(b.stuck)
				<-ctx.Done()
			})
		}
	}
	return b.Store.List(ctx, prefix, o)
}

// TestARoundOutlivesItsControlPlane kills the one that removes in the middle: the
// next carries on, and the report is of all of it.
func TestARoundOutlivesItsControlPlane(t *testing.T) {
	t.Cleanup(controlplane.NoteRoundsAtOnce())
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false })
	p.age(0)
	var ids []string
	for n := range 3 {
		id := p.project(fmt.Sprint("repo-", n)).ID
		p.write(site.BlobKey(id, site.HashOf([]byte("old"))), "old")
		ids = append(ids, id)
	}
	p.age(49 * time.Hour)
	bucket := &stuckBucket{Store: p.raw, at: ids[1], stuck: make(chan struct{}), listed: map[string]int{}}
	p.Service = controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), bucket, p.runner, slog.New(slog.DiscardHandler))
	begun, err := p.BeginGarbage(t.Context(), p.admin(), false)
	if err != nil || begun.State != controlplane.GarbageWaiting || begun.Garbage.DryRun {
		t.Fatalf("%+v %v", begun, err)
	}
	dying, kill := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.GarbageOnce(dying) }()
	<-bucket.stuck
	round, err := p.GarbageRound(t.Context(), p.admin())
	if err != nil || round.State != controlplane.GarbageRunning || round.Looked != 1 || round.Projects != 3 || round.Garbage.Objects != 1 {
		t.Errorf("%+v %v", round, err)
	}
	if again, err := p.BeginGarbage(t.Context(), p.admin(), false); err != nil || again.ID != begun.ID {
		t.Errorf("another one begins beside it: %+v %v", again, err)
	}
	_, err = p.BeginGarbage(t.Context(), p.admin(), true)
	wantCode(t, err, controlplane.CodeConflict)
	kill()
	if err := <-ended; err == nil {
		t.Fatal("it was not interrupted")
	}

	p.Service = controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), bucket, p.runner, slog.New(slog.DiscardHandler))
	if err := p.GarbageOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	round = p.done(begun)
	if round.Looked != 3 || round.Garbage.Objects != 3 || round.Garbage.Bytes != 9 || len(round.Garbage.Projects) != 3 || round.Garbage.EndedAt.IsZero() {
		t.Errorf("%+v %+v", round, round.Garbage)
	}
	if n := bucket.listed[ids[0]]; n != 1 {
		t.Errorf("the first project was looked at %d times", n)
	}
	for _, id := range ids {
		if p.has(id, "old") {
			t.Errorf("%s was left out", id)
		}
	}
	if last, err := p.LastGarbage(t.Context(), p.admin()); err != nil || last.Objects != 3 {
		t.Errorf("%+v %v", last, err)
	}
	if next, err := p.BeginGarbage(t.Context(), p.admin(), true); err != nil || next.ID == begun.ID {
		t.Errorf("%+v %v", next, err)
	}
}
