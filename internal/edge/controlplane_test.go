package edge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// noRunner builds nothing: deployments are uploaded.
type noRunner struct{}

func (noRunner) Start(context.Context, controlplane.Builder) (string, error) {
	return "", errors.New("nothing is built here")
}
func (noRunner) Look(context.Context, string) (s controlplane.BuilderState, err error) { return s, nil }
func (noRunner) Stop(context.Context, string) error                                    { return nil }
func (noRunner) Exits() <-chan controlplane.BuilderExit                                { return nil }
func (noRunner) Sweep(context.Context, func(context.Context, string) (bool, error)) (int, error) {
	return 0, nil
}
func (noRunner) Survives() bool { return false }

// killingBucket ends the process that writes, as far as the bucket can tell, at
// the n-th write of a record: before it acts or after it. From then on nothing
// comes through.
type killingBucket struct {
	blob.Store
	mu     sync.Mutex
	writes int
	kill   int // at which write; below 0: never
	late   bool
	dead   bool
}

var errKilled = errors.New("killed on purpose")

func (b *killingBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	record := key == site.HeadKey || strings.HasPrefix(key, site.RoutesPrefix) || strings.HasSuffix(key, "/project")
	last := record && !b.dead && b.writes == b.kill
	if record {
		b.writes++
	}
	b.dead = b.dead || last
	if b.dead && (!last || !b.late) {
		return blob.Info{}, errKilled
	}
	info, err := b.Store.Put(ctx, key, body, size, opts)
	if last {
		err = errKilled
	}
	return info, err
}

func (b *killingBucket) arm(kill int, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes, b.kill, b.late, b.dead = 0, kill, late, false
}

func (b *killingBucket) killed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dead
}

// publishing is a control plane that can be killed and started again.
type publishing struct {
	*controlplane.Service
	t      testing.TB
	dir    string
	bucket blob.Store
	blobs  string // where signed URLs lead
	me     controlplane.Principal
	clock  atomic.Int64  // how far it is ahead
	head   time.Duration // between two writes of the change log
	end    func()
}

func (p *publishing) start() {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := store.Open(ctx, filepath.Join(p.dir, "control.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	l, err := logs.OpenSQLite(ctx, filepath.Join(p.dir, "logs.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	config := controlplane.Config{
		BaseDomain: baseName, PublicURL: "http://127.0.0.1:1", MasterKey: bytes.Repeat([]byte{7}, 32), Exclusive: true, HeadInterval: p.head,
		Now: func() time.Time { return time.Now().Add(time.Duration(p.clock.Load())) },
	}
	p.Service = controlplane.New(config, s, l, stream.NewDirect(l), p.bucket, noRunner{}, slog.New(slog.DiscardHandler))
	if err := p.Start(ctx); err != nil {
		p.t.Fatal(err)
	}
	p.end = sync.OnceFunc(func() { // what is in the database is all that is left
		cancel()
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		_ = p.Stop(ctx) // it could not publish what is left
		s.Close()
		l.Close()
	})
}

// upload hands in a deployment of one page.
func (p *publishing) upload(project, text string) string {
	p.t.Helper()
	ctx := p.t.Context()
	a := controlplane.Actor{Principal: &p.me}
	d, _, err := p.CreateDeployment(ctx, p.me, controlplane.UploadInput{ProjectID: project, Kind: controlplane.KindFiles, Environment: site.Production})
	if err != nil {
		p.t.Fatal(err)
	}
	m, err := site.NewManifest(site.Meta{}, []site.FileEntry{{
		Path: "/index.html", ContentType: "text/html; charset=utf-8", Body: site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))},
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	encoded, err := m.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.PutManifest(ctx, a, d.ID, encoded); err != nil {
		p.t.Fatal(err)
	}
	next, err := p.Uploads(ctx, a, d.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, u := range next.Uploads {
		to := u.URL.URL
		if strings.HasPrefix(to, "/") {
			to = p.blobs + to
		}
		r, err := http.NewRequestWithContext(ctx, u.URL.Method, to, strings.NewReader(text))
		if err != nil {
			p.t.Fatal(err)
		}
		for name, value := range u.URL.Headers {
			r.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			p.t.Fatalf("upload: %s", resp.Status)
		}
	}
	return d.ID
}

// TestEdgesConvergeWhereverAPublisherIsKilled kills the control plane at every
// write of a record that a deployment makes, before it acts and after it, and
// starts another one. Two edges follow, one of them with a clock that is ten
// minutes wrong: neither shows anything but whole deployments in their order,
// and both end at the last.
func TestEdgesConvergeWhereverAPublisherIsKilled(t *testing.T) {
	dir := t.TempDir()
	raw, err := blob.OpenDir(filepath.Join(dir, "bucket"), blob.DirOptions{SigningKey: bytes.Repeat([]byte{9}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	blobs := httptest.NewServer(raw.Handler(slog.New(slog.DiscardHandler)))
	t.Cleanup(blobs.Close)
	bucket := &killingBucket{Store: raw, kill: -1}
	p := &publishing{t: t, dir: dir, bucket: bucket, blobs: blobs.URL, me: controlplane.Principal{UserID: "me", Scope: controlplane.ScopeAdmin}}
	p.start()
	defer func() { p.end() }()
	project, err := p.CreateProject(t.Context(), p.me, controlplane.ProjectInput{Name: "site"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), controlplane.Actor{Principal: &p.me}, p.upload(project.ID, "version 0")); err != nil {
		t.Fatal(err)
	}
	right := newEdge(t, raw)
	wrong := newEdge(t, raw, func(c *edge.Config) { c.Now = func() time.Time { return time.Now().Add(10 * time.Minute) } })
	last := map[*edge.Edge]int{}
	shows := func(e *edge.Edge, version int) func() bool {
		return func() bool {
			got := lookFor(t.Context(), t, e, hostName, "/")
			seen := -1
			if _, err := fmt.Sscanf(got.body, "version %d", &seen); err != nil || got.status != 200 || seen < last[e] || seen > version {
				t.Errorf("after version %d: %d %.80q", last[e], got.status, got.body)
			}
			last[e] = seen
			return seen == version
		}
	}
	eventually(t, "the first version", func() bool { return lookFor(t.Context(), t, right, hostName, "/").body == "version 0" })
	version := 0
	for _, late := range []bool{false, true} {
		for write, hit := 0, true; hit && !t.Failed(); write++ {
			version++
			p.clock.Add(int64([]time.Duration{10 * time.Minute, -10 * time.Minute}[write%2]))
			id := p.upload(project.ID, fmt.Sprint("version ", version))
			bucket.arm(write, late)
			ctx, cancel := context.WithCancel(t.Context())
			published := make(chan error, 1)
			go func() {
				_, err := p.Publish(ctx, controlplane.Actor{Principal: &p.me}, id)
				published <- err
			}()
			eventually(t, "published, or killed", func() bool {
				return bucket.killed() || shows(right, version)()
			})
			hit = bucket.killed()
			cancel()
			<-published
			p.end()
			shows(right, version)()
			shows(wrong, version)()
			bucket.arm(-1, false)
			p.start()
			eventually(t, "the edge shows the new version", shows(right, version))
			eventually(t, "and so does the one with a wrong clock", shows(wrong, version))
		}
	}
	if version < 6 {
		t.Errorf("only %d writes were found", version)
	}
}
