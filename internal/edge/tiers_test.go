package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestContentsOutliveARestartDuringAnOutage starts an edge while the bucket is
// away. What was on disk is served, verified; what is wrong there is not.
func TestContentsOutliveARestartDuringAnOutage(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 3*site.ChunkSize/16) + "the end" // two chunks that differ
	b, dir := newBucket(t), t.TempDir()
	withState := func(c *edge.Config) { c.StateDir = dir }
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home", "/torn.html": "torn", "/big.bin": big, "/cold.html": "cold"}))
	e := newEdge(t, b, withState)
	c := newClient(t, e)
	for _, path := range []string{"/", "/torn", "/big.bin"} {
		if got := c.get(path); got.StatusCode != 200 {
			t.Fatalf("%s: %d", path, got.StatusCode)
		}
	}
	e.Close() // writes what waits
	if err := os.WriteFile(chunkFile(t, dir, site.HashOf([]byte("torn"))), []byte("t0rn"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.breaks(away)
	e = newEdge(t, b, withState)
	c = newClient(t, e)
	if got := c.do("HEAD", hostName, "/"); got.StatusCode != 200 || !isStale(got) {
		t.Errorf("HEAD: %d %s", got.StatusCode, got.Header.Get("Server-Timing"))
	}
	for range 2 {
		if got := c.get("/"); got.StatusCode != 200 || got.body != "home" || !isStale(got) {
			t.Errorf("a page: %d %.100q, %s", got.StatusCode, got.body, got.Header.Get("Server-Timing"))
		}
		if got := c.get("/big.bin"); got.err != nil || got.body != big {
			t.Errorf("a large file: %d, %v, %d bytes", got.StatusCode, got.err, len(got.body))
		}
		for _, path := range []string{"/torn", "/cold"} {
			if got := c.get(path); got.StatusCode != 502 || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d", path, got.StatusCode)
			}
		}
	}
	b.breaks(nil)
	eventually(t, "what was wrong on disk comes from the bucket", func() bool { return c.get("/torn").body == "torn" })
	if hits := counterOf(t, e, "mini_vercel_edge_cache_hits_total", "disk"); hits < 3 {
		t.Errorf("%v hits on disk", hits)
	}
	if n := counterOf(t, e, "mini_vercel_edge_disk_corrupt_total", ""); n != 1 {
		t.Errorf("%v corrupt files", n)
	}
}

// TestServerTimingNamesTheTier asks by GET and by HEAD where contents come from.
func TestServerTimingNamesTheTier(t *testing.T) {
	b, dir := newBucket(t), t.TempDir()
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home", "/404.html": "not here", "/empty.txt": ""}))
	withState := func(c *edge.Config) { c.StateDir = dir }
	e := newEdge(t, b, withState)
	c := newClient(t, e)
	blob := site.BlobKey(projectID, site.HashOf([]byte("home")))
	timing := func(method, path, want string) {
		t.Helper()
		if got := c.do(method, hostName, path).Header.Get("Server-Timing"); got != "edge;desc="+want {
			t.Errorf("%s %s: %q, want %s", method, path, got, want)
		}
	}
	timing("GET", "/empty.txt", "origin") // the manifest
	timing("GET", "/empty.txt", "memory")
	timing("HEAD", "/", "origin")
	timing("HEAD", "/", "origin")
	if n := b.reads(blob); n != 0 {
		t.Errorf("HEAD read the contents %d times", n)
	}
	timing("GET", "/", "origin")
	timing("GET", "/", "memory")
	timing("HEAD", "/", "memory")
	timing("HEAD", "/nope", "origin")
	timing("GET", "/nope", "origin")
	timing("HEAD", "/nope", "memory")
	// Memory loses it, the disk does not.
	eventually(t, "it is on disk", func() bool { return counterOf(t, e, "mini_vercel_edge_cache_entries", "disk") == 2 })
	e.Adjust(edge.Sizes{ChunkBytes: 1}, edge.Pace{})
	e.Adjust(edge.Sizes{}, edge.Pace{})
	timing("HEAD", "/", "disk")
	timing("GET", "/", "disk")
	timing("GET", "/", "memory")
	if n := b.reads(blob); n != 1 {
		t.Errorf("the bucket was read %d times", n)
	}
	// Turned off, it is not asked.
	e.Adjust(edge.Sizes{ChunkBytes: 1, DiskBytes: -1}, edge.Pace{})
	timing("HEAD", "/", "origin")
	timing("GET", "/", "origin")
}

// TestLargeFilesDoNotPushOutPages reads films through an edge whose memory is
// full of pages.
func TestLargeFilesDoNotPushOutPages(t *testing.T) {
	const size = 60 << 20
	r := newReel(t, size)
	all := files{}
	for n := range 100 {
		all[fmt.Sprintf("/page-%d.html", n)] = file{body: fmt.Sprint(n) + strings.Repeat(".", 200_000)}
	}
	r.upload("d2", site.Meta{}, all)
	r.route(site.Route{Host: "pages.example.test", Deployment: "d2"})
	e := newEdge(t, r, func(c *edge.Config) { c.Sizes.ChunkBytes = 32 << 20 })
	get := func(n int) string {
		a := e.Answer(context.Background(), &edge.Request{Method: http.MethodGet, Host: "pages.example.test", Path: fmt.Sprintf("/page-%d", n)})
		return a.Result.String()
	}
	for n := range 100 {
		get(n)
	}
	if v := (&viewer{size: size}); watch(e, v, "") != nil || v.wrong || v.at != size {
		t.Fatal("the film")
	}
	for n := range 100 {
		if from := get(n); from != "memory" {
			t.Errorf("page %d: %s", n, from)
		}
	}
	if n := counterOf(t, e, "mini_vercel_edge_cache_bytes", "large"); n > 4<<20 {
		t.Errorf("%v bytes of the film are in memory", n)
	}
}

// TestCacheMetrics counts what the tiers of contents did.
func TestCacheMetrics(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	e := newEdge(t, b, func(c *edge.Config) { c.StateDir = t.TempDir() })
	c := newClient(t, e)
	for range 4 {
		c.get("/")
	}
	for _, tt := range []struct {
		name, cache string
		want        float64
	}{
		{"cache_hits_total", "chunks", 3}, {"cache_misses_total", "chunks", 1}, {"cache_entries", "chunks", 1}, {"cache_evictions_total", "chunks", 0},
		{"cache_hits_total", "disk", 0}, {"cache_misses_total", "disk", 1},
		{"cache_hits_total", "pages", 3}, {"cache_hits_total", "routes", 3},
		{"coalesced_total", "", 0}, {"disk_dropped_total", "", 0}, {"disk_errors_total", "", 0}, {"disk_failing", "", 0},
	} {
		if got := counterOf(t, e, "mini_vercel_edge_"+tt.name, tt.cache); got != tt.want {
			t.Errorf("%s of %q: %v, want %v", tt.name, tt.cache, got, tt.want)
		}
	}
	if got := counterOf(t, e, "mini_vercel_edge_cache_bytes", "chunks"); got < 4 {
		t.Errorf("%v bytes in memory", got)
	}
	eventually(t, "it is on disk", func() bool {
		return counterOf(t, e, "mini_vercel_edge_cache_entries", "disk") == 1 && counterOf(t, e, "mini_vercel_edge_cache_bytes", "disk") == 4096
	})
	e.Adjust(edge.Sizes{ChunkBytes: 1}, edge.Pace{})
	if got := counterOf(t, e, "mini_vercel_edge_cache_entries", "chunks"); got != 0 {
		t.Errorf("%v entries in a memory of nothing", got)
	}
}
