package edge_test

import (
	"errors"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestAHostIsInspectedAndDropped(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	dir := t.TempDir()
	e := newEdge(t, b, func(c *edge.Config) { c.StateDir = dir })
	c := newClient(t, e)
	if _, err := e.HostState(hostName); !errors.Is(err, edge.ErrNotHeld) {
		t.Fatalf("before it was asked for: %v", err)
	}
	if err := e.Drop(hostName); !errors.Is(err, edge.ErrNotHeld) {
		t.Fatalf("drop what is not held: %v", err)
	}
	c.get("/")
	s, err := e.HostState("SITE.example.test:443")
	if err != nil {
		t.Fatal(err)
	}
	if s.Held != "memory" || s.Project != projectID || s.Deployment != "d1" || s.Generation == 0 || s.Manifest != "memory" || s.Pages != 1 || s.Chunks != 1 || s.ChunkBytes < 4 || s.Stale || s.ProjectState != "active" {
		t.Fatalf("%+v", s)
	}
	c.do("GET", "nobody.example.test", "/")
	if s, err := e.HostState("nobody.example.test"); err != nil || s.Held != "absent" {
		t.Errorf("a host without a route: %+v, %v", s, err)
	}
	if err := e.Drop("nobody.example.test"); err != nil {
		t.Errorf("drop that there is none: %v", err)
	}
	if _, err := e.HostState("no host"); err == nil || errors.Is(err, edge.ErrNotHeld) {
		t.Errorf("a name that is none: %v", err)
	}

	key := site.RouteKey(hostName)
	manifest := site.ManifestKey(projectID, "d1")
	reads, manifests := b.reads(key), b.reads(manifest)
	if err := e.Drop(hostName); err != nil {
		t.Fatal(err)
	}
	if _, err := e.HostState(hostName); !errors.Is(err, edge.ErrNotHeld) {
		t.Fatalf("after it was dropped: %v", err)
	}
	if a := c.get("/"); a.StatusCode != 200 || a.body != "home" {
		t.Fatalf("after it was dropped: %d %q", a.StatusCode, a.body)
	}
	c.get("/other")
	if b.reads(key) <= reads || b.reads(manifest) <= manifests {
		t.Errorf("the route was read %d times, then %d; the manifest %d, then %d", reads, b.reads(key), manifests, b.reads(manifest))
	}
	if n := e.State().Caches["routes"]; n.Entries != 1 || n.Hits == 0 {
		t.Errorf("%+v", n)
	}

	b.breaks(away)
	eventually(t, "the outage is noticed", func() bool { return e.State().BucketAway })
	if err := e.Drop(hostName); !errors.Is(err, edge.ErrBucketAway) {
		t.Errorf("drop while the bucket is away: %v", err)
	}
	if s, err := e.HostState(hostName); err != nil || !s.Stale {
		t.Errorf("while the bucket is away: %+v, %v", s, err)
	}
}
