package controlplane_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// slowBucket stops one call of a publisher, before it acts or after it, until it
// is let go.
type slowBucket struct {
	blob.Store
	mu      sync.Mutex
	after   int // calls until the one that stops; below 0: none
	late    bool
	stopped chan struct{} // closed when a call stops
	release chan struct{}
}

func (b *slowBucket) arm(after int, late bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.after, b.late, b.stopped, b.release = after, late, make(chan struct{}), make(chan struct{})
}

// step stops where it is time to, and reports whether the call was to act first.
func (b *slowBucket) step(key string, act func()) {
	if !isRecord(key) {
		act()
		return
	}
	b.mu.Lock()
	b.after--
	stop, late, stopped, release := b.after == -1, b.late, b.stopped, b.release
	b.mu.Unlock()
	if stop && !late {
		close(stopped)
		<-release
	}
	act()
	if stop && late {
		close(stopped)
		<-release
	}
}

// isRecord reports whether a key is one that a publisher writes.
func isRecord(key string) bool {
	return key == site.HeadKey || strings.HasPrefix(key, site.RoutesPrefix) || strings.HasSuffix(key, "/project")
}

func (b *slowBucket) Get(ctx context.Context, key string, opts blob.GetOptions) (o *blob.Object, err error) {
	b.step(key, func() { o, err = b.Store.Get(ctx, key, opts) })
	return o, err
}

func (b *slowBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (info blob.Info, err error) {
	b.step(key, func() { info, err = b.Store.Put(ctx, key, body, size, opts) })
	return info, err
}

// orderedBucket checks that no record is ever replaced by an older one, and that
// the change log only grows.
type orderedBucket struct {
	blob.Store
	t       testing.TB
	mu      sync.Mutex
	highest map[string]int64
}

func (b *orderedBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	if !isRecord(key) {
		return b.Store.Put(ctx, key, body, size, opts)
	}
	b.mu.Lock() // so that the order is the one in the bucket
	defer b.mu.Unlock()
	text, err := io.ReadAll(body)
	if err != nil {
		return blob.Info{}, err
	}
	info, err := b.Store.Put(ctx, key, strings.NewReader(string(text)), size, opts)
	if err != nil {
		return info, err
	}
	var record struct{ Generation, Seq int64 }
	if err := json.Unmarshal(text, &record); err != nil {
		b.t.Error(err)
	}
	if n := record.Generation + record.Seq; n < b.highest[key] {
		b.t.Errorf("%s went back from %d to %d", key, b.highest[key], n)
	} else {
		b.highest[key] = n
	}
	return info, nil
}

// another starts a second control plane on the same stores.
func (p *plane) another(bucket blob.Store, now func() time.Time) *controlplane.Service {
	p.t.Helper()
	config := p.config
	config.Exclusive, config.Now = false, now
	s := controlplane.New(config, p.store, p.logs, stream.NewDirect(p.logs), bucket, newFakeRunner(), slog.New(slog.DiscardHandler))
	if err := s.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// publishedBy takes a deployment of files to READY on one control plane.
func (p *plane) publishedBy(s *controlplane.Service, project string, files map[string]string) *controlplane.Deployment {
	p.t.Helper()
	own := p.Service
	p.Service = s
	defer func() { p.Service = own }()
	return p.deployFiles(project, site.Production, files)
}

// converged waits until the bucket says what the last deployments want, and the
// change log names it.
func (p *plane) converged(last *controlplane.Deployment, all ...*controlplane.Deployment) {
	p.t.Helper()
	eventually(p.t, "the bucket holds what was published last", func() bool {
		production := p.route(productionHost)
		var head site.Head
		p.read(site.HeadKey, &head)
		floor := int64(0)
		for _, c := range head.Changes {
			if c.Host == productionHost {
				floor = max(floor, c.Generation)
			}
		}
		for _, d := range all {
			if p.route(d.HostID+"--"+productionHost).Deployment != d.ID {
				return false
			}
		}
		return production.Deployment == last.ID && floor == production.Generation && p.nothingDirty()
	})
}

func (p *plane) nothingDirty() bool {
	p.t.Helper()
	n := 0
	err := p.store.View(p.t.Context(), func(tx controlplane.Tx) error {
		hosts, err := tx.DirtyHosts(100)
		if err != nil {
			return err
		}
		projects, err := tx.DirtyProjects(100)
		n = len(hosts) + len(projects)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return n == 0
}

// TestTwoPublishersAtOnce holds one publisher at each of its calls for longer
// than its lease lasts. Meanwhile another one takes over and publishes something
// newer; then the first goes on where it was.
func TestTwoPublishersAtOnce(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		for call, done := 0, false; !done; call++ {
			name := fmt.Sprintf("call %d", call)
			if late {
				name += " after it acted"
			}
			t.Run(name, func(t *testing.T) { done = publishTwice(t, call, late) })
			done = done || t.Failed()
		}
	}
}

// publishTwice reports whether publishing ended before that call.
func publishTwice(t *testing.T, call int, late bool) bool {
	watched := &orderedBucket{t: t, highest: map[string]int64{}}
	slow := &slowBucket{Store: watched, after: -1}
	p := newPlane(t, func(p *plane) { watched.Store = p.raw; p.bucket = slow; p.config.Exclusive = false })
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := p.Service
	t.Cleanup(first.Abandon)
	project := p.project("repo")
	one := p.deployFiles(project.ID, site.Production, version(1))
	p.converged(one, one)

	slow.arm(call, late)
	two, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles, Environment: site.Production})
	if err != nil {
		t.Fatal(err)
	}
	p.upload(actor(p.me), two.ID, version(2))
	waiting, leave := context.WithCancel(t.Context())
	publishing := make(chan error, 1)
	go func() { // it waits a while for the publisher
		_, err := first.Publish(waiting, actor(p.me), two.ID)
		publishing <- err
	}()
	defer func() {
		leave()
		if err := <-publishing; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	live := make(chan struct{})
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		for watching.Err() == nil {
			if d, err := first.Deployment(watching, p.me, two.ID); err == nil && d.LiveAt != nil {
				close(live)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	select {
	case <-live:
		return true
	case <-slow.stopped:
	case <-time.After(10 * time.Second):
		t.Fatal("neither published nor stopped")
	}
	second := p.another(watched, p.clock.Now)
	t.Cleanup(second.Abandon)
	three := p.publishedBy(second, project.ID, version(3))
	eventually(t, "the second publisher publishes", func() bool {
		p.clock.Advance(time.Second)
		second.WakeAll()
		return p.route(productionHost).Deployment == three.ID
	})
	close(slow.release)
	p.converged(three, one, two, three)
	return false
}

// TestPublishersWithWrongClocks lets two control planes whose clocks differ by
// ten minutes publish in turn: both think that the lease is theirs.
func TestPublishersWithWrongClocks(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(wrong.String(), func(t *testing.T) {
			watched := &orderedBucket{t: t, highest: map[string]int64{}}
			p := newPlane(t, func(p *plane) { watched.Store = p.raw; p.bucket = watched; p.config.Exclusive = false })
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			first := p.Service
			second := p.another(watched, func() time.Time { return p.clock.Now().Add(wrong) })
			t.Cleanup(first.Abandon)
			t.Cleanup(second.Abandon)
			project := p.project("repo")
			var all []*controlplane.Deployment
			for n := range 6 {
				d := p.publishedBy([]*controlplane.Service{first, second}[n%2], project.ID, version(n))
				all = append(all, d)
				if n%2 == 0 {
					p.clock.Advance(10 * time.Second) // the lease is renewed
				}
			}
			eventually(t, "all of it is live", func() bool {
				for _, d := range all {
					if p.route(d.HostID+"--"+productionHost).Deployment != d.ID {
						return false
					}
				}
				return p.nothingDirty()
			})
		})
	}
}

// TestALeaseOfAFastClockKeepsNobodyOut kills a publisher whose clock was ten
// minutes fast: another one does not wait for ten minutes.
func TestALeaseOfAFastClockKeepsNobodyOut(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false })
	right := p.clock.Now
	p.config.Now = func() time.Time { return right().Add(10 * time.Minute) }
	fast := controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.DiscardHandler))
	if err := fast.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Service = fast
	project := p.project("repo")
	one := p.deployFiles(project.ID, site.Production, version(1))
	p.converged(one, one)
	fast.Abandon()
	other := p.another(p.bucket, right)
	t.Cleanup(other.Abandon)
	two := p.publishedBy(other, project.ID, version(2))
	eventually(t, "the other one publishes", func() bool {
		p.clock.Advance(time.Second)
		other.WakeAll()
		return p.route(two.HostID+"--"+productionHost).Deployment == two.ID
	})
}

// TestAGenerationThatWasDrawnTwice is of a database that has lost its last
// commits, as after a failover, and draws their numbers again.
func TestAGenerationThatWasDrawnTwice(t *testing.T) {
	p := newPlane(t)
	project := p.project("repo")
	var lost int64
	err := p.store.View(t.Context(), func(tx controlplane.Tx) error {
		h, err := tx.Host(productionHost)
		if err == nil {
			lost = h.Generation
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.overwrite(site.RouteKey(productionHost), &site.Route{Host: productionHost, Project: project.ID, Deployment: "of a commit that was lost", Generation: lost})
	p.start()
	eventually(t, "the route is written over", func() bool {
		r := p.route(productionHost)
		return r.Deployment == "" && r.Generation > lost && p.nothingDirty()
	})
}
