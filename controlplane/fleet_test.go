package controlplane_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// fleet is several control planes on one database, one log store and one bucket.
type fleet struct {
	*plane
	members []*member
}

// member is one of them. It can be killed as a process is: from then on it
// reads and writes nothing.
type member struct {
	*controlplane.Service
	fleet  *fleet
	runner *fakeRunner
	life   *life
	close  func()
	gone   bool
}

// onEveryStore runs a test on a fleet for each engine.
func onEveryStore(t *testing.T, count int, test func(t *testing.T, f *fleet), options ...option) {
	for _, engine := range []string{"SQLite", "PostgreSQL"} {
		t.Run(engine, func(t *testing.T) {
			f := &fleet{}
			f.plane = newPlane(t, append(options, func(p *plane) {
				p.config.Exclusive = false
				if engine == "PostgreSQL" {
					p.database = pgtest.Database(t)
				}
			})...)
			for range count {
				f.start()
			}
			test(t, f)
		})
	}
}

// start adds a control plane.
func (f *fleet) start(edit ...func(*member, *controlplane.Config)) *member {
	f.t.Helper()
	m := &member{fleet: f, runner: newFakeRunner(), life: &life{dies: make(chan struct{}), at: -1}}
	m.runner.survives = f.runner.survives
	s := f.store
	m.close = func() {}
	if f.database != "" { // each has connections of its own
		var err error
		if s, err = store.OpenPostgres(f.t.Context(), store.PostgresOptions{URL: f.database, Connections: store.MinConnections}); err != nil {
			f.t.Fatal(err)
		}
		m.close = func() { s.Close() }
	}
	config := f.config
	bucket := f.bucket
	for _, e := range edit {
		e(m, &config)
	}
	m.Service = controlplane.New(config, mortalStore{storetest.Twice{Store: s}, m.life}, f.logs, stream.NewDirect(mortalLogs{f.logs, m.life}), mortalBucket{bucket, m.life}, m.runner, slog.New(slog.NewTextHandler(testWriter{f.t}, nil)))
	if err := m.Start(f.t.Context()); err != nil && m.life.err() == nil {
		f.t.Fatal(err)
	}
	f.members = append(f.members, m)
	f.t.Cleanup(m.kill)
	return m
}

// kill ends a control plane and its builders.
func (m *member) kill() {
	if m.gone {
		return
	}
	m.gone = true
	m.life.end()
	m.Abandon()
	m.close()
}

// on lets the plane's helpers talk to one of the control planes.
func (f *fleet) on(m *member) *plane {
	f.Service, f.plane.runner = m.Service, m.runner
	return f.plane
}

// life ends with the process, at a call that is chosen, before it acts or after.
type life struct {
	mu    sync.Mutex
	dead  bool
	dies  chan struct{}
	calls int
	at    int // which call it ends at; below 0: none
	late  bool
}

var errKilled = errors.New("the control plane was killed")

func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked()
}

func (l *life) endLocked() {
	if !l.dead {
		l.dead = true
		close(l.dies)
	}
}

func (l *life) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errKilled
	}
	return nil
}

// act does what changes something outside of the process.
func (l *life) act(f func() error) error {
	l.mu.Lock()
	last := l.calls == l.at
	l.calls++
	if last && !l.late {
		l.endLocked()
	}
	dead := l.dead
	l.mu.Unlock()
	if dead {
		return errKilled
	}
	err := f()
	if last {
		l.end()
	}
	if l.err() != nil {
		return errKilled // nobody heard the answer
	}
	return err
}

type mortalStore struct {
	controlplane.Store
	life *life
}

func (s mortalStore) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	return s.life.act(func() error { return s.Store.Update(ctx, f) })
}

func (s mortalStore) View(ctx context.Context, f func(controlplane.Tx) error) error {
	if err := s.life.err(); err != nil {
		return err
	}
	return s.Store.View(ctx, f)
}

type mortalLogs struct {
	controlplane.LogStore
	life *life
}

func (l mortalLogs) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	return l.life.act(func() error { return l.LogStore.Append(ctx, batches...) })
}

type mortalBucket struct {
	blob.Store
	life *life
}

func (b mortalBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (info blob.Info, err error) {
	err = b.life.act(func() (err error) { info, err = b.Store.Put(ctx, key, body, size, opts); return err })
	return info, err
}

func (b mortalBucket) Delete(ctx context.Context, keys ...string) error {
	return b.life.act(func() error { return b.Store.Delete(ctx, keys...) })
}

// builds takes every builder that a control plane starts to READY.
func (m *member) builds(own *plane, busy *busy) {
	f := m.fleet
	for {
		select {
		case b := <-m.runner.news:
			leave := busy.enter(m, b.Attempt)
			builder := own.claim(b)
			builder.report(lines("building"))
			own.upload(builder.actor, builder.job.Deployment, page)
			leave() // what comes next may start the next one
			if _, err := own.Publish(f.t.Context(), builder.actor, builder.job.Deployment); err != nil && f.t.Context().Err() == nil {
				f.t.Error(err)
			}
			m.runner.exit(builder.job.AttemptID, 0, "")
		case <-f.t.Context().Done():
			return
		case <-m.life.dies:
			return
		}
	}
}

// busy counts the builders that run at the same time.
type busy struct {
	t        testing.TB
	mu       sync.Mutex
	of       map[*member]int
	all      int
	most     int // of all
	attempts map[string]int
}

func (b *busy) enter(m *member, attempt string) (leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[m]++
	b.all++
	b.most = max(b.most, b.all)
	if b.attempts[attempt]++; b.attempts[attempt] > 1 {
		b.t.Errorf("attempt %s has two builders", attempt)
	}
	if b.of[m] > m.fleet.config.MaxBuilds {
		b.t.Errorf("a control plane has %d builders at once", b.of[m])
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.of[m]--
		b.all--
	}
}

// TestManyControlPlanesShareTheQueue deploys through all of them at once: each
// deployment is built once, and no limit is passed.
func TestManyControlPlanesShareTheQueue(t *testing.T) {
	t.Parallel()
	onEveryStore(t, 3, func(t *testing.T, f *fleet) {
		busy := &busy{t: t, of: map[*member]int{}, attempts: map[string]int{}}
		var builders sync.WaitGroup
		for _, m := range f.members {
			own := *f.on(m)
			builders.Go(func() { m.builds(&own, busy) })
		}
		t.Cleanup(builders.Wait)
		var ids []string
		for n := range 6 {
			p := f.on(f.members[n%3])
			project := p.project(string(rune('a'+n)) + "site")
			for _, branch := range []string{"main", "one", "two"} {
				ids = append(ids, p.deploy(project.ID, branch).ID)
			}
		}
		for _, id := range ids {
			d := f.is(id, controlplane.StatusReady)
			if d.Attempt != 1 {
				t.Errorf("deployment %s needed %d attempts", id, d.Attempt)
			}
		}
		if len(busy.attempts) != len(ids) {
			t.Errorf("%d builders for %d deployments", len(busy.attempts), len(ids))
		}
	})
}

// TestAClustersLimitIsOfAllControlPlanes: where builders are a cluster's, the
// limit holds for the fleet, else for each machine.
func TestAClustersLimitIsOfAllControlPlanes(t *testing.T) {
	for name, row := range map[string]struct {
		cluster bool
		want    int
	}{"cluster": {true, 2}, "machines": {false, 4}} {
		t.Run(name, func(t *testing.T) {
			onEveryStore(t, 2, func(t *testing.T, f *fleet) {
				p := f.on(f.members[0])
				for n := range 6 {
					p.deploy(p.project(string(rune('a'+n))+"site").ID, "main")
				}
				running := func() int { return f.members[0].runner.running() + f.members[1].runner.running() }
				eventually(t, "builders run", func() bool { return running() >= row.want })
				// Every control plane asks once more.
				for _, m := range f.members {
					if err := m.DispatchOnce(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if n := running(); n != row.want {
					t.Errorf("%d builders run, want %d", n, row.want)
				}
			}, func(p *plane) { p.runner.survives = row.cluster })
		})
	}
}

// TestChangesCrossControlPlanes: pages, publishers, detections and builders hear
// at once of what another control plane did.
func TestChangesCrossControlPlanes(t *testing.T) {
	onEveryStore(t, 2, func(t *testing.T, f *fleet) {
		one, two := f.members[0], f.members[1]
		changes, err := two.Changes(t.Context(), f.me)
		if err != nil {
			t.Fatal(err)
		}
		p := f.on(one)
		project := p.project("repo")
		select {
		case c, open := <-changes:
			if !open || c.Type != "project" || c.Project != project.ID {
				t.Errorf("change: %+v %v", c, open)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no change was told")
		}
		// One of the two publishes, and the other one's callers learn of it.
		for _, m := range f.members {
			if d := f.on(m).deployFiles(project.ID, "", page); d.LiveAt == nil {
				t.Error("a deployment is not known to be live")
			}
		}
		// A builder goes as soon as another control plane has canceled.
		p = f.on(one)
		for two.runner.running()+one.runner.running() == 0 {
			p.deploy(project.ID, "main")
			eventually(t, "a builder runs", func() bool { return two.runner.running()+one.runner.running() > 0 })
		}
		holder, other := one, two
		if two.runner.running() > 0 {
			holder, other = two, one
		}
		b := f.on(holder).next()
		builder := f.claim(b)
		if _, err := other.Cancel(t.Context(), f.me, builder.job.Deployment); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the builder is stopped", func() bool { return holder.runner.running() == 0 })
	})
}

// TestManifestThatAnotherControlPlaneTook: what is asked for and published is
// what was handed in last, wherever.
func TestManifestThatAnotherControlPlaneTook(t *testing.T) {
	onEveryStore(t, 2, func(t *testing.T, f *fleet) {
		one, two := f.members[0], f.members[1]
		p := f.on(one)
		project := p.project("repo")
		d, _, err := p.CreateDeployment(t.Context(), p.me, controlplane.UploadInput{ProjectID: project.ID, Kind: controlplane.KindFiles})
		if err != nil {
			t.Fatal(err)
		}
		p.upload(actor(p.me), d.ID, version(1))
		encoded, err := manifestOf(t, version(2)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.PutManifest(t.Context(), actor(f.me), d.ID, encoded); err != nil {
			t.Fatal(err)
		}
		f.on(one)
		_, err = f.Publish(t.Context(), actor(f.me), d.ID)
		wantCode(t, err, controlplane.CodeConflict) // its file is not there
		next, err := f.Uploads(t.Context(), actor(f.me), d.ID)
		if err != nil || len(next.Uploads) != 1 {
			t.Fatalf("missing: %+v %v", next, err)
		}
		f.put(next.Uploads[0].URL, version(2)["/index.html"])
		ready, err := f.Publish(t.Context(), actor(f.me), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		files, _, err := two.Files(t.Context(), f.me, ready.ID, controlplane.FilePage{})
		if err != nil {
			t.Fatal(err)
		}
		want := manifestOf(t, version(2))
		if len(files) != want.Len() || files[0].SHA256 != want.File(0).Blob(site.Identity).SHA256() {
			t.Errorf("files: %+v", files)
		}
	})
}

// TestKilledAtAnyCall kills a control plane at each of its calls in the life of
// a deployment, before the call acts and after. Another one carries on.
func TestKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	onEveryStore(t, 0, func(t *testing.T, f *fleet) {
		step := 1
		switch { // the calls are the same, and each takes longer
		case f.database != "":
			step = 5
		case underRace:
			step = 2 // one half before they act, the other half after
		}
		for i, late := range []bool{false, true} {
			for call, done := i*step/2, false; !done && !t.Failed(); call += step {
				done = killAt(t, f, call, late)
			}
		}
	})
}

// killAt reports whether the deployment was live before that call.
func killAt(t *testing.T, f *fleet, call int, late bool) (survived bool) {
	first := f.start()
	p := f.on(first)
	name := "site-" + time.Duration(call).String()
	if late {
		name += "-late"
	}
	project := p.project(name)
	eventually(t, "its record is published", func() bool { // the one before was killed
		f.clock.Advance(time.Second)
		first.WakeAll()
		return p.nothingDirty()
	})
	first.life.mu.Lock()
	first.life.at, first.life.late = first.life.calls+call, late
	first.life.mu.Unlock()
	input := controlplane.DeployInput{ProjectID: project.ID, Branch: "main", IdempotencyKey: name}
	d, err := p.Deploy(t.Context(), p.me, input)
	if err == nil {
		err = buildAt(p, first)
	}
	survived = first.life.err() == nil
	if err != nil && survived {
		t.Fatalf("call %d: %v", call, err)
	}
	first.kill()
	second := f.start()
	defer second.kill()
	p = f.on(second)
	if d == nil { // its client tries again
		if d, err = p.Deploy(t.Context(), p.me, input); err != nil {
			t.Fatal(err)
		}
	}
	ended := false
	eventually(t, "the deployment is live", func() bool {
		f.clock.Advance(time.Second)
		second.WakeAll()
		select {
		case b := <-second.runner.news:
			if ended {
				t.Errorf("call %d late %v: built again though it was ready", call, late)
			}
			p.claim(b).finish(page)
		default:
		}
		got, err := p.Deployment(t.Context(), p.me, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		ended = got.Status.Ended()
		if ended && got.Status != controlplane.StatusReady {
			t.Fatalf("call %d late %v: %s %s", call, late, got.Status, got.Reason)
		}
		return got.LiveAt != nil && p.nothingDirty()
	})
	if route := p.route(name + ".example.test"); route.Deployment != d.ID {
		t.Errorf("call %d late %v: production is %+v", call, late, route)
	}
	return survived
}

// buildAt is a builder that leaves with its control plane.
func buildAt(p *plane, m *member) error {
	var b controlplane.Builder
	select {
	case b = <-m.runner.news:
	case <-m.life.dies:
		return errKilled
	}
	ctx := p.t.Context()
	job, err := p.Claim(ctx, b.Claim)
	if err != nil {
		return err
	}
	a, err := p.AuthenticateAttempt(ctx, job.Token)
	if err != nil {
		return err
	}
	builder := &fakeBuilder{p: p, job: job, actor: a}
	if _, err := p.HandleEvents(ctx, a, job.AttemptID, []site.Event{builder.event(lines("one", "two"))}); err != nil {
		return err
	}
	encoded, err := manifestOf(p.t, page).Encode()
	if err != nil {
		return err
	}
	if _, err := p.PutManifest(ctx, a, job.Deployment, encoded); err != nil {
		return err
	}
	for {
		next, err := p.Uploads(ctx, a, job.Deployment)
		if err != nil {
			return err
		}
		if len(next.Uploads) == 0 {
			break
		}
		for _, u := range next.Uploads {
			p.put(u.URL, page["/index.html"])
		}
	}
	_, err = p.Publish(ctx, a, job.Deployment)
	return err
}

// TestDrainLetsBuildsEnd: a control plane that leaves starts nothing any more,
// and its builds end by themselves, or on another one.
func TestDrainLetsBuildsEnd(t *testing.T) {
	t.Parallel()
	onEveryStore(t, 1, func(t *testing.T, f *fleet) {
		leaving := f.members[0]
		p := f.on(leaving)
		p.deploy(p.project("first").ID, "main")
		slow := p.deploy(p.project("second").ID, "main")
		one, two := p.next(), p.next()
		first := p.claim(one)
		p.claim(two)
		drained := make(chan error, 1)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		go func() { drained <- leaving.Drain(ctx) }()
		eventually(t, "it leaves", leaving.Leaving)
		other := f.start()
		third := p.deploy(p.project("third").ID, "main")
		f.on(other)
		if b := f.claim(f.next()); b.job.Deployment != third.ID {
			t.Errorf("the other one builds %s", b.job.Deployment)
		}
		// Its own builder is still heard, and ends.
		f.on(leaving)
		if d := first.finish(page); d.Status != controlplane.StatusReady || d.Attempt != 1 {
			t.Errorf("%+v", d)
		}
		select {
		case err := <-drained:
			t.Fatal("it did not wait for its second builder", err)
		default:
		}
		end()
		if err := <-drained; err != nil {
			t.Fatal(err)
		}
		if n := leaving.runner.running(); n != 0 {
			t.Errorf("%d builders are left", n)
		}
		f.on(other)
		if b := f.claim(f.next()); b.job.Deployment != slow.ID || b.job.Attempt != 2 {
			t.Errorf("job: %+v", b.job)
		}
	})
}

// TestALostLeaseEndsItsWork takes a lease away from its holder.
func TestALostLeaseEndsItsWork(t *testing.T) {
	t.Parallel()
	onEveryStore(t, 1, func(t *testing.T, f *fleet) {
		began := make(chan struct{})
		var ended atomic.Bool
		working := make(chan error, 1)
		go func() {
			working <- f.members[0].Under(t.Context(), "sweeper", func(ctx context.Context) error {
				close(began)
				<-ctx.Done()
				ended.Store(true)
				return ctx.Err()
			})
		}()
		<-began
		var err error
		eventually(t, "the work ends", func() bool {
			select {
			case err = <-working:
				return true
			default:
			}
			e := f.store.Update(t.Context(), func(tx controlplane.Tx) error {
				stands, err := tx.Lease("sweeper")
				if err == nil {
					_, err = tx.TakeLease("sweeper", controlplane.LeaseRow{Holder: "another", Until: f.clock.Now()}, stands)
				}
				return err
			})
			if e != nil {
				t.Fatal(e)
			}
			return false
		})
		if err != nil || !ended.Load() {
			t.Errorf("work that lost its lease: %v", err)
		}
	})
}

// TestAFailingPublisherGivesWay: where one control plane can't reach the bucket,
// another one publishes.
func TestAFailingPublisherGivesWay(t *testing.T) {
	down := &downBucket{}
	onEveryStore(t, 0, func(t *testing.T, f *fleet) {
		down.Store = f.raw
		down.down.Store(true)
		f.bucket = down
		f.start()
		f.bucket = f.raw
		project := f.on(f.members[0]).project("repo")
		f.start()
		eventually(t, "the route is published", func() bool { return f.route("repo.example.test").Project == project.ID })
	})
}
