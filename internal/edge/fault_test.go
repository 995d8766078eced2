package edge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// faultSite is a deployment with what faults can hit: pages, and a file of
// several chunks.
func faultSite(deployment string) files {
	all := files{"/index.html": {body: "home of " + deployment}, "/big.bin": {body: bigFile(deployment)}}
	for n := range 20 {
		all[fmt.Sprintf("/cold-%d.html", n)] = file{body: fmt.Sprintf("cold %d of %s", n, deployment)}
	}
	return all
}

func bigFile(deployment string) string {
	return strings.Repeat("big file of "+deployment+"\n", 2*site.ChunkSize/20)
}

// TestWhateverS3DoesNothingWrongIsServed harms what comes from a real S3 service
// while clients ask and a new deployment is published. Known content is served
// throughout; whatever else is answered is a whole file of one of the two
// deployments, or an honest refusal; and afterwards all is as it should be,
// after a restart too.
func TestWhateverS3DoesNothingWrongIsServed(t *testing.T) {
	service := blobtest.StartS3(t)
	for _, tt := range []struct {
		name  string
		share float64
		harm  harm
	}{
		{"latency", 1, late},
		{"some resets", .4, resets},
		{"resets only", 1, resets},
		{"some 5xx", .4, unavailable},
		{"5xx only", 1, unavailable},
		{"some 403", .4, denied},
		{"403 only", 1, denied},
		{"404 of a proxy", 1, unnamed404},
		{"some bodies cut short", .5, cutsShort},
		{"all bodies cut short", 1, cutsShort},
		{"shorter bodies", .5, shorter},
		{"some corruption", .5, corrupts},
		{"corruption everywhere", 1, corrupts},
		{"drip", .3, drips},
		{"drip only", 1, drips},
		{"outage", 1, outage},
		{"hang", 1, hangs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			options := service.NewBucket(t)
			b := newBucketOn(t, openS3(t, options))
			proxy := newFaultProxy(t, service.Endpoint)
			options.Endpoint, options.MaxAttempts = proxy.server.URL, 1
			faultyStore := openS3(t, options)
			underFaults(t, b, faultyStore, func(on bool) {
				if !on {
					proxy.harms(0, nil)
					return
				}
				proxy.harms(tt.share, tt.harm)
			})
		})
	}
}

func openS3(t testing.TB, o blob.S3Options) blob.Store {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// underFaults asks an edge on a bucket that fails, publishes to it meanwhile by
// another way, restarts the edge, and mends the bucket.
func underFaults(t *testing.T, b *bucket, faulty blob.Store, faults func(on bool)) {
	const first, second = "d1", "d2"
	b.upload(second, site.Meta{}, faultSite(second))
	b.deploy(first, site.Meta{}, faultSite(first))
	b.route(site.Route{Host: "cold.example.test", Deployment: first})
	dir := t.TempDir()
	start := func() *edge.Edge {
		return newEdge(t, faulty, func(c *edge.Config) {
			c.StateDir = dir
			c.Pace = edge.Pace{Poll: 20 * time.Millisecond, ReadTimeout: time.Second}
		})
	}
	e := start()
	c := newClient(t, e)
	if got := c.get("/"); got.body != "home of "+first {
		t.Fatalf("before: %d %.100q", got.StatusCode, got.body)
	}
	faults(true)
	var published atomic.Bool
	var asking sync.WaitGroup
	for client := range 4 {
		asking.Go(func() {
			for n := range 6 {
				if n == 2 && client == 0 {
					b.route(site.Route{Deployment: second})
					published.Store(true)
				}
				// A new deployment's page may be one that can't be had.
				known := !published.Load()
				if got := c.get("/"); known && !published.Load() && got.body != "home of "+first {
					t.Errorf("known content: %d %.100q", got.StatusCode, got.body)
				} else {
					honest(t, "/", got, "home of "+first, "home of "+second)
				}
				path := fmt.Sprintf("/cold-%d", client*5+n%5)
				honest(t, path, c.get(path), "cold "+path[6:]+" of "+first, "cold "+path[6:]+" of "+second)
				if client == 1 && n == 3 {
					honest(t, "/big.bin", c.get("/big.bin"), bigFile(first), bigFile(second))
				}
				if got := c.do("GET", "cold.example.test", "/"); got.StatusCode != 503 {
					honest(t, "a host that is there", got, "home of "+first)
				}
				if got := c.do("GET", fmt.Sprintf("no-%d-%d.example.test", client, n), "/"); got.StatusCode != 404 && got.StatusCode != 503 || got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("a host that is not there: %d", got.StatusCode)
				}
			}
		})
	}
	asking.Wait()
	c.server.Close()
	e.Close()

	// A restart in the middle of it.
	e = start()
	c = newClient(t, e)
	honest(t, "after the restart", c.get("/"), "home of "+first, "home of "+second)
	faults(false)
	healed := func(c *client) {
		eventually(t, "all is well", func() bool {
			got := c.get("/")
			return got.body == "home of "+second && !isStale(got) && c.do("GET", "cold.example.test", "/").body == "home of "+first &&
				c.get("/big.bin").body == bigFile(second) && c.do("GET", "no-1-1.example.test", "/").StatusCode == 404
		})
		for n := range 20 {
			if got := c.get(fmt.Sprintf("/cold-%d", n)); got.body != fmt.Sprintf("cold %d of %s", n, second) {
				t.Errorf("mended: %d %.100q", got.StatusCode, got.body)
			}
		}
	}
	healed(c)
	c.server.Close()
	e.Close()
	healed(newClient(t, start())) // from what was kept
}

// honest checks that an answer is one of the bodies, or says that it is none: a
// 502 or 503 that nobody keeps, or a connection that is cut before the end.
func honest(t *testing.T, what string, got answer, bodies ...string) {
	t.Helper()
	switch got.StatusCode {
	case 200:
		for _, body := range bodies {
			if got.body == body || got.err != nil && strings.HasPrefix(body, got.body) {
				return
			}
		}
		t.Errorf("%s: %d bytes, %v: %.100q", what, len(got.body), got.err, got.body)
	case 502, 503:
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, %v", what, got.StatusCode, got.Header)
		}
	default:
		t.Errorf("%s: %d %.100q", what, got.StatusCode, got.body)
	}
}

// faultyDir harms what comes from a directory.
type faultyDir struct {
	blob.Store
	on atomic.Bool
	do func(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error)
}

func (f *faultyDir) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if f.on.Load() {
		if object, err := f.do(ctx, key, opts); object != nil || err != nil {
			return object, err
		}
	}
	return f.Store.Get(ctx, key, opts)
}

// TestWhateverADirectoryDoesNothingWrongIsServed is the same with a directory:
// one that is away, one that hangs, and one whose objects are other ones.
func TestWhateverADirectoryDoesNothingWrongIsServed(t *testing.T) {
	for name, do := range map[string]func(dir blob.Store) func(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error){
		"away": func(blob.Store) func(context.Context, string, blob.GetOptions) (*blob.Object, error) {
			return func(context.Context, string, blob.GetOptions) (*blob.Object, error) { return nil, errAway }
		},
		"hanging": func(blob.Store) func(context.Context, string, blob.GetOptions) (*blob.Object, error) {
			return func(ctx context.Context, _ string, _ blob.GetOptions) (*blob.Object, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		},
		"another object": func(dir blob.Store) func(context.Context, string, blob.GetOptions) (*blob.Object, error) {
			return func(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
				if strings.HasPrefix(key, site.RoutesPrefix) {
					return dir.Get(ctx, site.ProjectKey(projectID), opts)
				}
				return dir.Get(ctx, site.RouteKey(hostName), opts)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket(t)
			faulty := &faultyDir{Store: b.Dir, do: do(b.Dir)}
			underFaults(t, b, faulty, faulty.on.Store)
		})
	}
}
