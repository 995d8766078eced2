package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// isStale reports whether an answer says that it may be old.
func isStale(a answer) bool { return a.Header.Get("Server-Timing") == "edge;desc=stale" }

func TestServerTiming(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	c := newClient(t, newEdge(t, b))
	for _, want := range []string{"edge;desc=origin", "edge;desc=memory", "edge;desc=memory"} {
		if got := c.get("/").Header.Get("Server-Timing"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhileTheBucketIsAway(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home", "/cold.html": "cold", "/404.html": "not here"}))
	b.route(site.Route{Host: "cold.example.test", Deployment: "d1"})
	c := newClient(t, newEdge(t, b))
	if got := c.get("/"); got.body != "home" {
		t.Fatalf("got %d %q", got.StatusCode, got.body)
	}
	c.get("/nope")
	c.do("GET", "nobody.example.test", "/")
	b.breaks(away)
	eventually(t, "known content is served stale", func() bool {
		got := c.get("/")
		if got.StatusCode != 200 || got.body != "home" {
			t.Fatalf("known content: %d %q", got.StatusCode, got.body)
		}
		return isStale(got)
	})
	if got := c.get("/", "If-None-Match: "+etag("home")); got.StatusCode != 304 || !isStale(got) {
		t.Errorf("revalidation: %d %s", got.StatusCode, got.Header.Get("Server-Timing"))
	}
	if got := c.get("/nope"); got.StatusCode != 404 || got.body != "not here" || !isStale(got) {
		t.Errorf("a path that the known manifest lacks: %d %q", got.StatusCode, got.body)
	}
	for _, tt := range []struct {
		name, host, path string
		status           int
	}{
		{"content that is not held", hostName, "/cold", 502},
		{"a host that was never seen", "new.example.test", "/", 503},
		{"a host that is there but was never seen", "cold.example.test", "/", 503},
		{"a host that had no route", "nobody.example.test", "/", 503},
		{"an unknown host elsewhere", "elsewhere.test", "/", 503},
	} {
		got := c.do("GET", tt.host, tt.path)
		if got.StatusCode != tt.status || got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Cache-Control %q, Retry-After %q", tt.name, got.StatusCode, got.Header.Get("Cache-Control"), got.Header.Get("Retry-After"))
		}
		if got.Header.Get("Etag") != "" || got.Header.Get("Server-Timing") != "" {
			t.Errorf("%s: the head of the file is on the error: %v", tt.name, got.Header)
		}
	}
	b.breaks(nil)
	eventually(t, "the bucket is back", func() bool {
		return !isStale(c.get("/")) && c.get("/cold").body == "cold" && c.do("GET", "cold.example.test", "/").body == "home" &&
			c.do("GET", "nobody.example.test", "/").StatusCode == 404
	})
}

func TestChangesDuringAnOutageAreSeenAfterIt(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "one"}))
	c := newClient(t, newEdge(t, b))
	c.get("/")
	b.breaks(away)
	b.deploy("d2", site.Meta{}, texts(map[string]string{"/index.html": "two"}))
	eventually(t, "stale", func() bool { return isStale(c.get("/")) })
	if got := c.get("/"); got.body != "one" {
		t.Fatalf("got %q", got.body)
	}
	b.breaks(nil)
	eventually(t, "the second deployment", func() bool { got := c.get("/"); return got.body == "two" && !isStale(got) })
}

func TestARouteThatCannotBeReadKeepsServingStale(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "one"}))
	c := newClient(t, newEdge(t, b))
	c.get("/")
	b.breaks(func(_ context.Context, key string) error { // the change log can be read, the route can't
		if strings.HasPrefix(key, site.RoutesPrefix) {
			return errAway
		}
		return nil
	})
	b.deploy("d2", site.Meta{}, texts(map[string]string{"/index.html": "two"}))
	eventually(t, "the old one serves, stale", func() bool { got := c.get("/"); return got.body == "one" && isStale(got) })
	b.breaks(nil)
	eventually(t, "the second deployment", func() bool { got := c.get("/"); return got.body == "two" && !isStale(got) })
}

func TestARestartDuringAnOutageServesWhatWasKnown(t *testing.T) {
	b, dir := newBucket(t), t.TempDir()
	withState := func(c *edge.Config) { c.StateDir = dir; c.Pace.ReadTimeout = 2 * time.Second }
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	b.route(site.Route{Host: "gone.example.test", Gone: true})
	first := newEdge(t, b, withState)
	c := newClient(t, first)
	c.get("/")
	c.do("GET", "gone.example.test", "/")
	first.Close()

	b.breaks(away)
	c = newClient(t, newEdge(t, b, withState))
	for range 2 {
		if got := c.get("/"); got.StatusCode != 200 || got.body != "home" {
			t.Fatalf("a known host: %d %.100q", got.StatusCode, got.body)
		}
		if got := c.do("GET", "gone.example.test", "/"); got.StatusCode != 410 {
			t.Errorf("a known tombstone: %d", got.StatusCode)
		}
	}
	if got := c.get("/"); !isStale(got) {
		t.Errorf("Server-Timing %q", got.Header.Get("Server-Timing"))
	}
	if got := c.do("GET", "other.example.test", "/"); got.StatusCode != 503 {
		t.Errorf("an unknown host: %d", got.StatusCode)
	}
	b.deploy("d2", site.Meta{}, texts(map[string]string{"/index.html": "after"}))
	b.breaks(nil)
	eventually(t, "what is current", func() bool { got := c.get("/"); return got.body == "after" && !isStale(got) })
}

func TestAHangingBucketDelaysNobodyForLong(t *testing.T) {
	b, dir := newBucket(t), t.TempDir()
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	patient := func(c *edge.Config) { c.StateDir = dir; c.Pace.ReadTimeout = 100 * time.Millisecond }
	c := newClient(t, newEdge(t, b, patient))
	c.get("/")
	b.breaks(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
	eventually(t, "stale", func() bool { return isStale(c.get("/")) })
	start := time.Now()
	if got := c.do("GET", "new.example.test", "/"); got.StatusCode != 503 {
		t.Errorf("an unknown host: %d", got.StatusCode)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("503 took %v", took)
	}
}

func TestConcurrentMissesReadTheBucketOnce(t *testing.T) {
	const clients = 1000
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": strings.Repeat("x", 100_000)}))
	e := newEdge(t, b)
	blobKey := site.BlobKey(projectID, site.HashOf([]byte(strings.Repeat("x", 100_000))))
	release, reached := make(chan struct{}), make(chan struct{}, 16)
	b.breaks(func(_ context.Context, key string) error {
		if key == blobKey {
			reached <- struct{}{}
			<-release
		}
		return nil
	})
	ask := func(ctx context.Context) edge.Answer {
		return e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: hostName, Path: "/"})
	}
	// The first client starts the read, and leaves.
	first, leave := context.WithCancel(context.Background())
	left := make(chan edge.Answer)
	go func() { left <- ask(first) }()
	<-reached
	leave()
	if a := <-left; a.Status != http.StatusBadGateway {
		t.Errorf("the client that left: %d", a.Status)
	}
	var waiting sync.WaitGroup
	var served atomic.Int64
	for range clients {
		waiting.Go(func() {
			if a := ask(context.Background()); a.Status == http.StatusOK {
				served.Add(1)
			}
		})
	}
	close(release)
	waiting.Wait()
	if served.Load() != clients {
		t.Errorf("%d of %d were served", served.Load(), clients)
	}
	for _, key := range []string{blobKey, site.ManifestKey(projectID, "d1"), site.RouteKey(hostName), site.ProjectKey(projectID)} {
		if n := b.reads(key); n != 1 {
			t.Errorf("%s was read %d times", key, n)
		}
	}
}

func TestCorruptChunks(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", site.ChunkSize/16) + strings.Repeat("tail", 1000)
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/a.txt": "good", "/b.txt": "short", "/big.bin": big}))
	c := newClient(t, newEdge(t, b))
	key := func(text string) string { return site.BlobKey(projectID, site.HashOf([]byte(text))) }

	b.lies(func(k string, body []byte) []byte {
		if k == key("good") && b.reads(k) == 1 {
			return []byte("evil")
		}
		return body
	})
	if got := c.get("/a.txt"); got.StatusCode != 200 || got.body != "good" || b.reads(key("good")) != 2 {
		t.Errorf("wrong once: %d %q after %d reads", got.StatusCode, got.body, b.reads(key("good")))
	}
	b.lies(func(k string, body []byte) []byte {
		switch k {
		case key("short"):
			return []byte("wrong")
		case key(big):
			// The last chunk, whether it comes behind the first or alone.
			return append(bytes.Clone(body[:len(body)/site.ChunkSize*site.ChunkSize]), strings.Repeat("liar", 1000)...)
		}
		return body
	})
	for range 2 {
		if got := c.get("/b.txt"); got.StatusCode != 502 || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("wrong for ever: %d", got.StatusCode)
		}
	}
	if n := b.reads(key("short")); n != 4 {
		t.Errorf("read %d times for two requests, want two each", n)
	}
	if got := c.get("/big.bin"); got.StatusCode != 200 || got.err == nil || len(got.body) != site.ChunkSize || strings.Contains(got.body, "liar") {
		t.Errorf("a later chunk is wrong: %d, %v, %d bytes", got.StatusCode, got.err, len(got.body))
	}
	b.lies(func(_ string, body []byte) []byte { return body[:len(body)/2] })
	if got := c.get("/b.txt"); got.StatusCode != 502 {
		t.Errorf("cut short: %d", got.StatusCode)
	}
	b.lies(nil)
	if got := c.get("/b.txt"); got.body != "short" {
		t.Errorf("mended: %d %q", got.StatusCode, got.body)
	}
}

func TestAFloodOfUnknownHostsHitsThemOnly(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	now := time.Now()
	e := newEdge(t, b, func(c *edge.Config) {
		c.Now = func() time.Time { return now } // the budget never fills up again
		c.Pace.UnknownPerSecond = 10
	})
	c := newClient(t, e)
	c.get("/")
	statuses := map[int]int{}
	for i := range 300 {
		statuses[c.do("GET", fmt.Sprintf("flood-%d.example.test", i), "/").StatusCode]++
	}
	if statuses[404] != 20 || statuses[503] != 280 { // the site itself is in the change log
		t.Errorf("got %v", statuses)
	}
	reads := 0
	for i := range 300 {
		reads += b.reads(site.RouteKey(fmt.Sprintf("flood-%d.example.test", i)))
	}
	if reads != 20 {
		t.Errorf("%d reads of the bucket, the budget is 20", reads)
	}
	if got := c.do("GET", "flood-0.example.test", "/"); got.StatusCode != 404 {
		t.Errorf("a host that is known to have no site: %d", got.StatusCode)
	}
	if got := c.get("/"); got.body != "home" {
		t.Errorf("a known host: %d", got.StatusCode)
	}
	b.route(site.Route{Host: "brand-new.example.test", Deployment: "d1"})
	eventually(t, "a new site in the middle of it", func() bool { return c.do("GET", "brand-new.example.test", "/").body == "home" })
}

// TestAFloodFromAFailingBucketCostsNoMore: what fails is not tried again for a
// host that nobody knows, and known hosts do not notice.
func TestAFloodFromAFailingBucketCostsNoMore(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	now := time.Now()
	c := newClient(t, newEdge(t, b, func(c *edge.Config) {
		c.Now = func() time.Time { return now }
		c.Pace.UnknownPerSecond = 10
	}))
	c.get("/")
	b.breaks(func(_ context.Context, key string) error {
		if strings.HasPrefix(key, site.RoutesPrefix+"flood") {
			return errAway
		}
		return nil
	})
	for i := range 300 {
		if got := c.do("GET", fmt.Sprintf("flood-%d.example.test", i), "/"); got.StatusCode != 503 {
			t.Errorf("got %d", got.StatusCode)
		}
		if got := c.get("/"); got.body != "home" {
			t.Errorf("a known host: %d", got.StatusCode)
		}
	}
	reads := 0
	for i := range 300 {
		reads += b.reads(site.RouteKey(fmt.Sprintf("flood-%d.example.test", i)))
	}
	if reads == 0 || reads > 20 {
		t.Errorf("%d reads of the bucket, the budget is 20", reads)
	}
}

// TestABucketThatKeepsFailingIsNotWaitedFor: once it is known that the bucket
// hangs, whoever needs it is told at once, and what is known goes on.
func TestABucketThatKeepsFailingIsNotWaitedFor(t *testing.T) {
	inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
		ctx := t.Context()
		b.deploy("d2", site.Meta{}, texts(map[string]string{"/index.html": "two", "/cold.html": "cold"}))
		b.route(site.Route{Host: "other.example.test", Deployment: "d2"})
		time.Sleep(time.Second)
		if got := look(t, e, "/"); got.body != "two" {
			t.Fatalf("got %d %q", got.status, got.body)
		}
		b.breaks(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		time.Sleep(5 * time.Second) // the change log could not be read
		slowest := func(host, path string, status int) {
			t.Helper()
			start := time.Now()
			a := e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: host, Path: path})
			if took := time.Since(start); a.Status != status || took > 4*time.Second {
				t.Errorf("%s%s: %d after %v", host, path, a.Status, took)
			}
		}
		slowest(hostName, "/cold", 502)
		slowest("other.example.test", "/", 503) // the first that finds out
		for n := range 100 {
			start := time.Now()
			for _, tt := range []struct {
				host, path string
				status     int
			}{{hostName, "/cold", 502}, {"other.example.test", "/", 503}, {fmt.Sprintf("new-%d.example.test", n), "/", 503}, {hostName, "/", 200}} {
				if a := e.Answer(ctx, &edge.Request{Method: http.MethodGet, Host: tt.host, Path: tt.path}); a.Status != tt.status {
					t.Errorf("%s%s: %d", tt.host, tt.path, a.Status)
				}
			}
			if took := time.Since(start); took > 0 {
				t.Errorf("it took %v", took)
			}
			time.Sleep(time.Millisecond)
		}
		b.breaks(nil)
		time.Sleep(5 * time.Second) // of the poll that hangs, and the next one
		if got := lookFor(ctx, t, e, "other.example.test", "/"); got.body != "two" {
			t.Errorf("it is back: %d %q", got.status, got.body)
		}
	}, func(c *edge.Config) { c.Pace.ReadTimeout = 10 * time.Second })
}
