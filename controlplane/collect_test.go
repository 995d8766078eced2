package controlplane_test

import (
	"context"
	"database/sql"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// deafStore hears nothing of other control planes, as while its connection is
// broken and it does not know it yet.
type deafStore struct{ controlplane.Store }

func (deafStore) Listen(ctx context.Context, _ func(string), gap func()) { gap(); <-ctx.Done() }

// TestCollectingTrustsTheBucketAlone hands a second manifest in at another
// control plane, which the collecting one has not heard of.
func TestCollectingTrustsTheBucketAlone(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false })
	p.age(0)
	deaf := controlplane.New(p.config, deafStore{p.store}, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.DiscardHandler))
	hearing := p.Service
	project := p.project("repo")
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []*controlplane.Service{deaf, hearing} {
		p.write(site.BlobKey(project.ID, site.HashOf([]byte(version(i)["/index.html"]))), version(i)["/index.html"])
		encoded, err := manifestOf(t, version(i)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.PutManifest(t.Context(), actor(p.me), d.ID, encoded); err != nil {
			t.Fatal(err)
		}
	}
	p.Service = deaf
	p.collectNow(project.ID, 49*time.Hour)
	if p.has(project.ID, version(0)["/index.html"]) || !p.has(project.ID, version(1)["/index.html"]) {
		t.Errorf("the bucket has %v", p.keys(site.BlobsPrefix(project.ID)))
	}
}

// TestFilesAreKeptUntilTheirTombstonesStand removes a deployment whose hosts
// can't be published for long.
func TestFilesAreKeptUntilTheirTombstonesStand(t *testing.T) {
	p := newPlane(t)
	p.age(0)
	p.start()
	project := p.project("repo")
	first := p.deployFiles(project.ID, site.Production, version(1))
	p.deployFiles(project.ID, site.Production, version(2))
	eventually(t, "published", p.nothingDirty)
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.DeleteDeployment(t.Context(), p.me, first.ID); err != nil {
		t.Fatal(err)
	}
	p.collectNow(project.ID, 50*time.Hour)
	if !p.has(project.ID, version(1)["/index.html"]) {
		t.Fatal("files are gone that a route in the bucket leads to")
	}
	p.open()
	p.start()
	eventually(t, "its tombstone stands", p.nothingDirty)
	p.collectNow(project.ID, 51*time.Hour)
	if p.has(project.ID, version(1)["/index.html"]) {
		t.Error("files are kept for ever")
	}
}

// listingBucket calls a function when blobs are listed.
type listingBucket struct {
	blob.Store
	listed func()
}

func (b listingBucket) List(ctx context.Context, prefix string, o blob.ListOptions) iter.Seq2[blob.Info, error] {
	if strings.HasSuffix(prefix, "/blobs/") {
		b.listed()
	}
	return b.Store.List(ctx, prefix, o)
}

// TestWhoHasLostTheLockFreesNothing has another control plane take the project's
// lock while blobs are looked through, as where the server has given up on a
// machine that hung.
func TestWhoHasLostTheLockFreesNothing(t *testing.T) {
	lost := false
	p := newPlane(t, func(p *plane) { p.database = pgtest.Database(t) })
	p.age(0)
	project := p.project("repo")
	p.write(site.BlobKey(project.ID, site.HashOf([]byte("old"))), "old")
	db, err := sql.Open("pgx", p.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	bucket := listingBucket{p.raw, func() {
		if !lost {
			return
		}
		if _, err := db.ExecContext(t.Context(), "UPDATE project_locks SET token = 'another'"); err != nil {
			t.Error(err)
		}
	}}
	p.Service = controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), bucket, p.runner, slog.New(slog.DiscardHandler))
	p.age(49 * time.Hour)
	lost = true
	wantCode(t, p.Collect(t.Context(), project.ID), controlplane.CodeUnavailable)
	if !p.has(project.ID, "old") {
		t.Fatal("it was freed without the lock")
	}
	lost = false
	if err := p.Collect(t.Context(), project.ID); err != nil {
		t.Fatal(err)
	}
	if p.has(project.ID, "old") {
		t.Error("it was not freed with the lock")
	}
}
