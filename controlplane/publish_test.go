package controlplane_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// faultyBucket fails the n-th call, before or after it acts, as if the process
// had been killed there.
type faultyBucket struct {
	blob.Store
	mu    sync.Mutex
	after int // calls until the fault; below 0: none
	late  bool
	calls []string
	hit   func()
}

var errFault = errors.New("fault on purpose")

// step reports whether this call fails, and whether it acts before.
func (f *faultyBucket) step(name string) (fail, act bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	f.after--
	if f.after != -1 {
		return false, true
	}
	if f.hit != nil {
		f.hit()
	}
	return true, f.late
}

func (f *faultyBucket) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if fail, _ := f.step("get " + key); fail {
		return nil, errFault
	}
	return f.Store.Get(ctx, key, opts)
}

func (f *faultyBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (info blob.Info, err error) {
	fail, act := f.step("put " + key)
	if act {
		info, err = f.Store.Put(ctx, key, body, size, opts)
	}
	if fail {
		return blob.Info{}, errFault
	}
	return info, err
}

func (f *faultyBucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	if fail, _ := f.step("stat " + key); fail {
		return blob.Info{}, errFault
	}
	return f.Store.Stat(ctx, key)
}

func (f *faultyBucket) List(ctx context.Context, prefix string, opts blob.ListOptions) iter.Seq2[blob.Info, error] {
	if fail, _ := f.step("list " + prefix); fail {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, errFault) }
	}
	return f.Store.List(ctx, prefix, opts)
}

func (f *faultyBucket) Sync(ctx context.Context) error {
	if fail, _ := f.step("sync"); fail {
		return errFault
	}
	return f.Store.Sync(ctx)
}

// TestPublishingSurvivesAKillAtEveryStep lets the process end at each call that
// publishing makes to the bucket, before the call acts and after it, and starts
// another one on what is left: the site must be live, with one route for each
// host, whatever step it was.
func TestPublishingSurvivesAKillAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		for step := 0; ; step++ {
			name := fmt.Sprintf("step %d", step)
			if late {
				name += " after it acted"
			}
			done := false
			t.Run(name, func(t *testing.T) { done = publishWithKill(t, step, late) })
			if done || t.Failed() {
				break
			}
		}
	}
}

// publishWithKill reports whether publishing ended before that step.
func publishWithKill(t *testing.T, step int, late bool) bool {
	faults := &faultyBucket{after: -1, late: late}
	p := newPlane(t, func(p *plane) { faults.Store = p.raw; p.bucket = faults })
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	project := p.project("repo")
	first := p.deployFiles(project.ID, site.Production, version(1))
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles, Environment: site.Production})
	if err != nil {
		t.Fatal(err)
	}
	p.upload(actor(p.me), d.ID, version(2))
	killed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	faults.mu.Lock()
	faults.after, faults.calls = step, nil
	faults.hit = sync.OnceFunc(func() { close(killed); cancel() })
	faults.mu.Unlock()
	_, err = p.Publish(ctx, actor(p.me), d.ID)
	hit := false
	select {
	case <-killed:
		hit = true
	default:
	}
	p.kill()
	faults.mu.Lock()
	faults.after = -1
	faults.mu.Unlock()
	p.open()
	p.start()
	got, err2 := p.Deployment(t.Context(), p.me, d.ID)
	if err2 != nil {
		t.Fatal(err2)
	}
	if got.Status != controlplane.StatusReady {
		// It never was READY: the client tries again.
		if !hit {
			t.Fatalf("publish: %v", err)
		}
		if _, err := p.Publish(t.Context(), actor(p.me), d.ID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "live after the restart", func() bool {
		got, err := p.Deployment(t.Context(), p.me, d.ID)
		return err == nil && got.LiveAt != nil
	})
	production := p.route(productionHost)
	if production.Deployment != d.ID || len(production.Previous) != 1 || production.Previous[0].Deployment != first.ID {
		t.Errorf("production: %+v", production)
	}
	if r := p.route(d.HostID + "--" + productionHost); r.Deployment != d.ID {
		t.Errorf("its own host: %+v", r)
	}
	var head site.Head
	p.read(site.HeadKey, &head)
	floor := int64(0)
	for _, c := range head.Changes {
		if c.Host == productionHost {
			floor = max(floor, c.Generation)
		}
	}
	if floor != production.Generation {
		t.Errorf("the change log's floor is %d, the route's generation %d", floor, production.Generation)
	}
	return !hit
}

func TestPublishRefusesWhatIsMissing(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Publish(t.Context(), actor(p.me), d.ID)
	wantCode(t, err, controlplane.CodeConflict)
	encoded, err := manifestOf(t, page).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PutManifest(t.Context(), actor(p.me), d.ID, encoded); err != nil {
		t.Fatal(err)
	}
	_, err = p.Publish(t.Context(), actor(p.me), d.ID)
	wantCode(t, err, controlplane.CodeConflict)
	p.upload(actor(p.me), d.ID, page)
	for range 2 { // it is idempotent
		if got, err := p.Publish(t.Context(), actor(p.me), d.ID); err != nil || got.Status != controlplane.StatusReady {
			t.Fatalf("%+v %v", got, err)
		}
	}
	_, err = p.Cancel(t.Context(), p.me, d.ID)
	wantCode(t, err, controlplane.CodeConflict)
	_, err = p.PutManifest(t.Context(), actor(p.me), d.ID, encoded)
	wantCode(t, err, controlplane.CodeConflict)
}

func TestManifestsAreChecked(t *testing.T) {
	p := newPlane(t, func(p *plane) {
		p.config.Limits = site.DefaultLimits()
		p.config.Limits.Files, p.config.Limits.FileBytes, p.config.Limits.DeploymentBytes = 3, 100, 150
	}).start()
	project := p.project("repo")
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	file := func(path string, size int64, contentType string) site.FileEntry {
		return site.FileEntry{Path: path, ContentType: contentType, Body: site.BlobEntry{SHA256: site.HashOf([]byte(path)), Size: size}}
	}
	const html = "text/html"
	for _, row := range []struct {
		name   string
		config string
		files  []site.FileEntry
		ok     bool
	}{
		{"at every limit", "", []site.FileEntry{file("/a", 100, html), file("/b", 50, html), file("/c", 0, html)}, true},
		{"no files", "", nil, false},
		{"a file too many", "", []site.FileEntry{file("/a", 1, html), file("/b", 1, html), file("/c", 1, html), file("/d", 1, html)}, false},
		{"a file too large", "", []site.FileEntry{file("/a", 101, html)}, false},
		{"too large in all", "", []site.FileEntry{file("/a", 76, html), file("/b", 75, html)}, false},
		{"no type", "", []site.FileEntry{file("/a", 1, "")}, false},
		{"a known key", `{"notFound":"404-page"}`, []site.FileEntry{file("/a", 1, html)}, true},
		{"an unknown key", `{"notFond":"404-page"}`, []site.FileEntry{file("/a", 1, html)}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			m, err := site.NewManifest(site.Meta{Rules: site.RuleSources{Config: row.config}}, row.files)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.PutManifest(t.Context(), actor(p.me), d.ID, encoded)
			if row.ok && err != nil {
				t.Fatal(err)
			}
			if !row.ok {
				wantCode(t, err, controlplane.CodeInvalid)
			}
		})
	}
	_, err = p.PutManifest(t.Context(), actor(p.me), d.ID, []byte("not a manifest"))
	wantCode(t, err, controlplane.CodeInvalid)
}

// TestManifestsHaveASize: what edges hold of one is bounded, however its bytes are
// spread.
func TestManifestsHaveASize(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.Limits = site.DefaultLimits(); p.config.Limits.Files = 3 }).start()
	project := p.project("repo")
	d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
	if err != nil {
		t.Fatal(err)
	}
	// A comment that does not compress, or its size would not be believed.
	noise := make([]byte, 2*site.MaxRuleFile)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	comment := func(n int) string { return "#" + base64.StdEncoding.EncodeToString(noise)[:n-1] }
	encode := func(rules site.RuleSources) []byte {
		m, err := site.NewManifest(site.Meta{Rules: rules}, []site.FileEntry{{Path: "/a", ContentType: "text/html", Body: site.BlobEntry{Size: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	both := func(n int) site.RuleSources {
		return site.RuleSources{Redirects: comment(site.MaxRuleFile), Headers: comment(n)}
	}
	largest := site.MaxRuleFile - 10_000
	m, err := site.DecodeManifest(encode(both(largest)))
	if err != nil {
		t.Fatal(err)
	}
	largest += int(16<<20+3*512-m.MemorySize()) / 2 // a byte of meta data counts twice
	for _, row := range []struct {
		name  string
		rules site.RuleSources
		ok    bool
	}{
		{"redirects below the limit", site.RuleSources{Redirects: comment(site.MaxRuleFile - 1)}, true},
		{"redirects at the limit", site.RuleSources{Redirects: comment(site.MaxRuleFile)}, true},
		{"redirects above the limit", site.RuleSources{Redirects: comment(site.MaxRuleFile + 1)}, false},
		{"headers above the limit", site.RuleSources{Headers: comment(site.MaxRuleFile + 1)}, false},
		{"configuration above the limit", site.RuleSources{Config: "{}" + strings.Repeat(" ", site.MaxRuleFile)}, false},
		{"memory below the limit", both(largest - 1), true},
		{"memory at the limit", both(largest), true},
		{"memory above the limit", both(largest + 1), false},
	} {
		_, err := p.PutManifest(t.Context(), actor(p.me), d.ID, encode(row.rules))
		if row.ok && err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if !row.ok && controlplane.CodeOf(err) != controlplane.CodeInvalid {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestImmutableIsClearedWhereBytesChanged(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	deploy := func(files map[string]string) *site.Manifest {
		t.Helper()
		d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
		if err != nil {
			t.Fatal(err)
		}
		var entries []site.FileEntry
		for path, text := range files {
			entries = append(entries, site.FileEntry{Path: path, ContentType: "text/css", Immutable: true, Body: site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))}})
		}
		m, err := site.NewManifest(site.Meta{}, entries)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.PutManifest(t.Context(), actor(p.me), d.ID, encoded); err != nil {
			t.Fatal(err)
		}
		for {
			next, err := p.Uploads(t.Context(), actor(p.me), d.ID)
			if err != nil {
				t.Fatal(err)
			}
			if len(next.Uploads) == 0 {
				break
			}
			for _, u := range next.Uploads {
				for _, text := range files {
					if site.HashOf([]byte(text)) == u.SHA256 {
						p.put(u.URL, text)
					}
				}
			}
		}
		if _, err := p.Publish(t.Context(), actor(p.me), d.ID); err != nil {
			t.Fatal(err)
		}
		o, err := p.raw.Get(t.Context(), site.ManifestKey(project.ID, d.ID), blob.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Body.Close()
		encoded, err = io.ReadAll(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		if m, err = site.DecodeManifest(encoded); err != nil {
			t.Fatal(err)
		}
		return m
	}
	deploy(map[string]string{"/a.css": "a", "/b.css": "b"})
	m := deploy(map[string]string{"/a.css": "a", "/b.css": "changed", "/c.css": "c"})
	for path, want := range map[string]bool{"/a.css": true, "/b.css": false, "/c.css": true} {
		if f, ok := m.Lookup(path); !ok || f.Immutable() != want {
			t.Errorf("%s: immutable %v", path, f.Immutable())
		}
	}
}

func TestRestoredDatabaseIsPublishedAnew(t *testing.T) { onEveryBucket(t, restoredDatabase) }

func restoredDatabase(t *testing.T, options ...option) {
	p := newPlane(t, options...)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	project := p.project("repo")
	p.deployFiles(project.ID, site.Production, version(1))
	ahead := p.route(productionHost)
	ahead.Generation += 1000
	ahead.Deployment = "from-the-future"
	p.overwrite(site.RouteKey(productionHost), ahead)
	var head site.Head
	p.read(site.HeadKey, &head)
	head.Append(site.Change{Host: productionHost, Generation: ahead.Generation})
	p.overwrite(site.HeadKey, head)
	p.kill()
	p.open()
	p.start()
	eventually(t, "what the database says is published", func() bool {
		r := p.route(productionHost)
		return r.Deployment != ahead.Deployment && r.Generation > ahead.Generation
	})
}

// TestHeadIsWrittenNoOftenerThanItMay publishes often and reads the times of the
// writes from the clock that paces them.
func TestHeadIsWrittenNoOftenerThanItMay(t *testing.T) {
	var mu sync.Mutex
	var writes []time.Time
	p := newPlane(t, func(p *plane) {
		p.config.HeadInterval, p.config.Now = 100*time.Millisecond, time.Now
		p.bucket = &watchedBucket{p.raw, func(key string) {
			if key == site.HeadKey {
				mu.Lock()
				defer mu.Unlock()
				writes = append(writes, time.Now())
			}
		}}
	}).start()
	project := p.project("repo")
	for n := range 8 {
		p.deployFiles(project.ID, site.Production, version(n))
	}
	eventually(t, "three writes of head", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(writes) >= 3
	})
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(writes); i++ {
		// The interval begins when a write has ended, which this sees begin.
		if apart := writes[i].Sub(writes[i-1]); apart < p.config.HeadInterval {
			t.Errorf("two writes %s apart", apart)
		}
	}
}

// watchedBucket tells of every write before it is made.
type watchedBucket struct {
	blob.Store
	write func(key string)
}

func (b *watchedBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	b.write(key)
	return b.Store.Put(ctx, key, body, size, opts)
}

func TestAnotherPublisherIsNotOverwritten(t *testing.T) { onEveryBucket(t, anotherPublisher) }

func anotherPublisher(t *testing.T, options ...option) {
	p := newPlane(t, options...).start()
	project := p.project("repo")
	p.deployFiles(project.ID, site.Production, version(1))
	newer := p.route(productionHost)
	newer.Generation += 50
	p.overwrite(site.RouteKey(productionHost), newer)
	d := p.deployFiles(project.ID, site.Production, version(2))
	eventually(t, "the newer state is published with a higher generation", func() bool {
		r := p.route(productionHost)
		return r.Deployment == d.ID && r.Generation > newer.Generation
	})
}

// TestNoRouteGoesBeforeItsProjectsRecord has more to publish than one round takes:
// the record says who may see the routes.
func TestNoRouteGoesBeforeItsProjectsRecord(t *testing.T) {
	var mu sync.Mutex
	records, early, routes := map[string]bool{}, 0, 0
	owners := map[string]string{}
	p := newPlane(t, func(p *plane) {
		p.bucket = &watchedBucket{p.raw, func(key string) {
			mu.Lock()
			defer mu.Unlock()
			if host, ok := strings.CutPrefix(key, site.RoutesPrefix); ok {
				if routes++; !records[owners[host]] {
					early++
				}
			} else if id, ok := strings.CutSuffix(strings.TrimPrefix(key, "projects/"), "/project"); ok {
				records[id] = true
			}
		}}
	})
	const projects = 510 // a round takes 500
	for n := range projects {
		name := fmt.Sprintf("repo-%d", n)
		owners[name+".example.test"] = p.project(name).ID
	}
	// In an order of its own for hosts and for projects.
	if err := p.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.MarkAllDirty(0, p.clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	p.start()
	eventually(t, "every route is published", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return routes >= projects
	})
	mu.Lock()
	defer mu.Unlock()
	if early > 0 {
		t.Errorf("%d routes went before the record of their project", early)
	}
}

// brokenFirst is a store whose updates fail at their first look at a deployment,
// and are run again, as PostgreSQL's may.
type brokenFirst struct{ controlplane.Store }

type brokenTx struct{ controlplane.Tx }

var errBroken = errors.New("could not serialize access")

func (brokenTx) Deployment(string) (*controlplane.DeploymentRow, error) { return nil, errBroken }

func (s brokenFirst) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	err := s.Store.Update(ctx, func(tx controlplane.Tx) error {
		_ = f(brokenTx{tx})
		return errBroken
	})
	if !errors.Is(err, errBroken) {
		return err
	}
	return s.Store.Update(ctx, f)
}

func TestPublishingGoesOnWhereAnUpdateIsRunAgain(t *testing.T) {
	p := newPlane(t)
	p.Service = controlplane.New(p.config, brokenFirst{p.store}, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.DiscardHandler))
	p.start()
	project := p.project("repo")
	if d := p.deployFiles(project.ID, site.Production, page); d.Status != controlplane.StatusReady {
		t.Errorf("%+v", d)
	}
	d := p.deploy(project.ID, "main")
	b := p.claim(p.next())
	b.report(lines("building"))
	if got := b.finish(version(1)); got.Status != controlplane.StatusReady || p.production() != d.ID {
		t.Errorf("%+v", got)
	}
}
