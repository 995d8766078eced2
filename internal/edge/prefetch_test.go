package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// shown is what an edge answers, without a connection.
type shown struct {
	status int
	body   string
	result edge.Result
}

// look asks an edge and gives it no time.
func look(t testing.TB, e *edge.Edge, path string, accept ...string) shown {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	return lookFor(ctx, t, e, hostName, path, accept...)
}

func lookFor(ctx context.Context, t testing.TB, e *edge.Edge, host, path string, accept ...string) shown {
	t.Helper()
	a := e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: host, Path: path, AcceptEncoding: strings.Join(accept, ",")})
	w := &keeper{header: http.Header{}}
	if err := a.Write(ctx, w); err != nil {
		t.Errorf("%s%s: %v", host, path, err)
	}
	return shown{w.status, w.body.String(), a.Result}
}

// application is a deployment whose pages and script change with every build.
func application(build int) files {
	text := func(name string) string { return fmt.Sprintf("%s of build %d", name, build) }
	return files{
		"/index.html":      {body: text("home"), variants: map[site.Encoding]string{site.Brotli: text("home in brotli")}},
		"/docs/intro.html": {body: text("intro")},
		"/404.html":        {body: text("not found")},
		"/assets/logo.svg": {body: "the same in all"},
		fmt.Sprintf("/assets/index-Dx%06d.js", build): {body: text("script"), immutable: true},
		fmt.Sprintf("/assets/Ab%06d.css", build):      {body: text("style"), immutable: true},
		"/cold.html":                                  {body: text("cold")},
	}
}

func TestNobodyIsTheFirstVisitorAfterADeployment(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, application(1))
	e := newEdge(t, b)
	ctx := context.Background()
	for _, path := range []string{"/", "/docs/intro", "/nope", "/assets/logo.svg", "/assets/index-Dx000001.js", "/assets/Ab000001.css"} {
		lookFor(ctx, t, e, hostName, path)
	}
	lookFor(ctx, t, e, hostName, "/", "br")
	for build := 2; build < 5; build++ {
		b.deploy(fmt.Sprintf("d%d", build), site.Meta{}, application(build))
		for _, tt := range []struct {
			path, accept string
			status       int
			body         string
		}{
			{"/", "", 200, "home of build %d"},
			{"/", "br", 200, "home in brotli of build %d"},
			{"/docs/intro", "", 200, "intro of build %d"},
			{"/nope", "", 404, "not found of build %d"},
			{fmt.Sprintf("/assets/index-Dx%06d.js", build), "", 200, "script of build %d"},
			{fmt.Sprintf("/assets/Ab%06d.css", build), "", 200, "style of build %d"},
		} {
			var got shown
			want := fmt.Sprintf(tt.body, build)
			eventually(t, want, func() bool { got = lookFor(ctx, t, e, hostName, tt.path, tt.accept); return got.body == want })
			if got.status != tt.status || got.result != edge.ResultMemory {
				t.Errorf("build %d: %s: %d from %v", build, tt.path, got.status, got.result)
			}
		}
		if n := b.reads(site.BlobKey(projectID, site.HashOf(fmt.Appendf(nil, "cold of build %d", build)))); n != 0 {
			t.Errorf("build %d: what nobody asked for was fetched %d times", build, n)
		}
	}
}

// hangsFor makes reads of contents and of one deployment's manifest hang.
func (b *bucket) hangsFor(deployment string) {
	b.breaks(func(ctx context.Context, key string) error {
		if key == site.ManifestKey(projectID, deployment) {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
}

// inTime runs a test of an edge in a bubble, in which time passes only while
// everybody waits.
func inTime(t *testing.T, test func(t *testing.T, b *bucket, e *edge.Edge), options ...func(*edge.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t)
		b.deploy("d1", site.Meta{}, page("one"))
		e := newEdge(t, b, options...)
		time.Sleep(time.Second)
		if got := lookFor(context.Background(), t, e, hostName, "/"); got.body != "one" {
			t.Fatalf("got %d %q", got.status, got.body)
		}
		test(t, b, e)
	})
}

func TestABucketThatHangsDelaysTheSwitchByABound(t *testing.T) {
	inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
		b.hangsFor("d2")
		b.deploy("d2", site.Meta{}, page("two"))
		published := time.Now()
		for look(t, e, "/").body == "one" {
			if time.Sleep(time.Millisecond); time.Since(published) > time.Minute {
				t.Fatal("it never switches")
			}
		}
		if took := time.Since(published); took < 290*time.Millisecond || took > 320*time.Millisecond {
			t.Errorf("it switched after %v", took)
		}
		b.breaks(nil)
		time.Sleep(5 * time.Second)
		if got := look(t, e, "/"); got.body != "two" {
			t.Errorf("got %d %q", got.status, got.body)
		}
	})
}

// TestTakedownsWaitForNothing publishes one that needs a look at the bucket to
// be prefetched, and then what must be seen at once.
func TestTakedownsWaitForNothing(t *testing.T) {
	for _, tt := range []struct {
		name    string
		publish func(b *bucket)
		status  int
	}{
		{"a tombstone", func(b *bucket) { b.route(site.Route{Gone: true}) }, 410},
		{"a suspended project", func(b *bucket) { b.project(site.Project{State: site.ProjectSuspended}) }, 403},
		{"a deleted project", func(b *bucket) { b.project(site.Project{State: site.ProjectDeleted}) }, 410},
		{"a host without a deployment", func(b *bucket) { b.route(site.Route{}) }, 404},
		{"a redirect", func(b *bucket) { b.route(site.Route{RedirectTo: "other.example.test"}) }, 308},
		{"another environment", func(b *bucket) { b.route(site.Route{Deployment: "d2", Environment: site.Preview}) }, 502},
		{"another environment, protected", func(b *bucket) {
			b.project(site.Project{Access: &site.Access{Scope: site.AccessPreviews}})
			b.route(site.Route{Deployment: "d2", Environment: site.Preview})
		}, 0},
	} {
		for _, pending := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, switch pending %t", tt.name, pending), func(t *testing.T) {
				inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
					b.upload("d2", site.Meta{}, page("two"))
					b.hangsFor("d2")
					if pending {
						b.route(site.Route{Deployment: "d2"})
						time.Sleep(10 * time.Millisecond)
						if got := look(t, e, "/"); got.body != "one" {
							t.Fatalf("got %d %q", got.status, got.body)
						}
					}
					tt.publish(b)
					time.Sleep(10 * time.Millisecond)
					for range 2 { // and still after the first switch would have come
						if got := look(t, e, "/"); got.status != tt.status && tt.status != 0 || got.status == 200 {
							t.Errorf("got %d %q", got.status, got.body)
						}
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
}

func TestANewerDeploymentIsNotUndoneByAnOlderOne(t *testing.T) {
	inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
		b.hangsFor("d2")
		b.deploy("d2", site.Meta{}, page("two"))
		time.Sleep(100 * time.Millisecond)
		b.deploy("d3", site.Meta{}, page("three"))
		time.Sleep(10 * time.Millisecond)
		for range 1000 {
			if got := look(t, e, "/"); got.body != "three" {
				t.Fatalf("got %d %q", got.status, got.body)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

func TestHostsThatNobodyAsksForAreNotPrefetched(t *testing.T) {
	for minutes, prefetched := range map[int]bool{5: true, 12: false} {
		inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
			time.Sleep(time.Duration(minutes) * time.Minute)
			b.deploy("d2", site.Meta{}, page("two"))
			time.Sleep(time.Second)
			if n := b.reads(site.ManifestKey(projectID, "d2")); (n > 0) != prefetched {
				t.Errorf("after %d minutes: the manifest was read %d times", minutes, n)
			}
		}, func(c *edge.Config) { c.Pace.Poll = 100 * time.Millisecond })
	}
}

// TestManyHostsAtOnce deploys to more hosts than are prefetched at once, from a
// bucket that hangs: the others wait for nothing.
func TestManyHostsAtOnce(t *testing.T) {
	inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
		const hosts = 40
		name := func(i int) string { return fmt.Sprintf("h%d.example.test", i) }
		for i := range hosts {
			b.route(site.Route{Host: name(i), Deployment: "d1"})
			lookFor(context.Background(), t, e, name(i), "/")
		}
		b.upload("d2", site.Meta{}, page("two"))
		b.hangsFor("d2")
		for i := range hosts {
			b.route(site.Route{Host: name(i), Deployment: "d2"})
		}
		old := func() (n int) {
			for i := range hosts {
				ctx, cancel := context.WithTimeout(context.Background(), time.Microsecond)
				if lookFor(ctx, t, e, name(i), "/").body == "one" {
					n++
				}
				cancel()
			}
			return n
		}
		time.Sleep(20 * time.Millisecond)
		if n := old(); n != 16 {
			t.Errorf("%d hosts wait", n)
		}
		time.Sleep(400 * time.Millisecond)
		if n := old(); n != 0 {
			t.Errorf("%d hosts still wait", n)
		}
	})
}

// TestPublishToApplied: however wrong an edge's clock is, it sees what is
// published; how long that took is known only where the clock is right.
func TestPublishToApplied(t *testing.T) {
	for _, tt := range []struct {
		name           string
		wrong          time.Duration
		known, unknown uint64
	}{
		{"right", 0, 3, 0},
		{"a little slow", -900 * time.Millisecond, 3, 0},
		{"10 minutes slow", -10 * time.Minute, 0, 3},
		{"10 minutes fast", 10 * time.Minute, 0, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var published atomic.Int64
			inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
				for n := range 3 {
					published.Store(time.Now().UnixNano())
					b.upload(fmt.Sprint("n", n), site.Meta{}, page(fmt.Sprint("new ", n)))
					b.route(site.Route{Deployment: fmt.Sprint("n", n), PublishedAt: time.Now()})
					time.Sleep(20 * time.Millisecond)
					if got := look(t, e, "/"); got.body != fmt.Sprint("new ", n) {
						t.Errorf("got %d %q", got.status, got.body)
					}
				}
				registry := prometheus.NewRegistry()
				registry.MustRegister(e.Metrics().Collectors()...)
				families, err := registry.Gather()
				if err != nil {
					t.Fatal(err)
				}
				var known, unknown uint64
				for _, f := range families {
					switch f.GetName() {
					case "mini_vercel_edge_publish_applied_seconds":
						h := f.GetMetric()[0].GetHistogram()
						known = h.GetSampleCount()
						if h.GetSampleSum() > .1 {
							t.Errorf("%v seconds", h.GetSampleSum())
						}
					case "mini_vercel_edge_publish_applied_unknown_total":
						unknown = uint64(f.GetMetric()[0].GetCounter().GetValue())
					}
				}
				if known != tt.known || unknown != tt.unknown {
					t.Errorf("%d are known, %d unknown", known, unknown)
				}
			}, func(c *edge.Config) { c.Now = func() time.Time { return time.Now().Add(tt.wrong) } })
		})
	}
}
