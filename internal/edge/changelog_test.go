package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func page(text string) files { return texts(map[string]string{"/index.html": text}) }

func TestADeploymentIsSeen(t *testing.T) {
	b := newBucket(t)
	b.deploy("d0", site.Meta{}, page("0"))
	c := newClient(t, newEdge(t, b))
	for n := range 5 {
		b.deploy(fmt.Sprintf("d%d", n+1), site.Meta{}, page(fmt.Sprint(n+1)))
		eventually(t, "the next deployment", func() bool { return c.get("/").body == fmt.Sprint(n+1) })
	}
	b.route(site.Route{Deployment: "d1"}) // a rollback
	eventually(t, "the rollback", func() bool { return c.get("/").body == "1" })
}

func TestAHostThatHadNoRouteGetsOne(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	c := newClient(t, newEdge(t, b))
	if got := c.do("GET", "new.example.test", "/"); got.StatusCode != 404 {
		t.Fatalf("got %d", got.StatusCode)
	}
	b.route(site.Route{Host: "new.example.test", Deployment: "d1"})
	eventually(t, "the new host", func() bool { return c.do("GET", "new.example.test", "/").body == "home" })
}

// rawRoute publishes a route without naming it in the change log.
func (b *bucket) rawRoute(deployment string, generation int64) {
	b.putJSON(site.RouteKey(hostName), site.Route{Host: hostName, Project: projectID, Deployment: deployment, Environment: site.Production, Generation: generation})
}

func TestAReadBelowTheFloorDoesNotCount(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	b.upload("d2", site.Meta{}, page("two"))
	b.upload("d3", site.Meta{}, page("three"))
	c := newClient(t, newEdge(t, b))
	c.get("/")
	// The log says generation 9, but the route that can be read is older.
	b.publish(site.Change{Host: hostName, Generation: 9})
	b.rawRoute("d2", 8)
	before := b.reads(site.RouteKey(hostName))
	eventually(t, "the read is repeated", func() bool { return b.reads(site.RouteKey(hostName)) > before+3 })
	if got := c.get("/"); got.body != "one" || !isStale(got) {
		t.Fatalf("got %q, %s", got.body, got.Header.Get("Server-Timing"))
	}
	b.rawRoute("d3", 9)
	eventually(t, "the generation that was named", func() bool { got := c.get("/"); return got.body == "three" && !isStale(got) })
}

func TestAChangeNamedDuringTheFirstReadIsNotLost(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	b.upload("d2", site.Meta{}, page("two"))
	c := newClient(t, newEdge(t, b))
	old, err := b.Dir.Get(context.Background(), site.RouteKey(hostName), blob.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	oldRoute, err := io.ReadAll(old.Body)
	if err != nil {
		t.Fatal(err)
	}
	// The edge's first read of the route returns the old one, after the change
	// log named the new one.
	once := make(chan struct{}, 1)
	once <- struct{}{}
	b.lies(func(key string, body []byte) []byte {
		if key != site.RouteKey(hostName) {
			return body
		}
		select {
		case <-once:
			b.route(site.Route{Deployment: "d2"})
			headReads := b.reads(site.HeadKey)
			eventually(t, "the change log is read", func() bool { return b.reads(site.HeadKey) > headReads+2 })
			return oldRoute
		default:
			return body
		}
	})
	if got := c.get("/"); got.body != "two" {
		t.Fatalf("got %d %q", got.StatusCode, got.body)
	}
}

func TestAGapRevalidatesEverything(t *testing.T) {
	for _, tt := range []struct {
		name string
		move func(b *bucket)
	}{
		{"the log has moved on too far", func(b *bucket) {
			b.head.Seq += 5000
			b.head.Changes = []site.Change{{Host: "other.example.test", Generation: 1}}
		}},
		{"the log has moved back", func(b *bucket) {
			b.head = site.Head{Seq: 1, Changes: []site.Change{{Host: "other.example.test", Generation: 1}}}
		}},
		{"the log is empty", func(b *bucket) { b.head = site.Head{} }},
		{"the log has moved back and on, to the same number", func(b *bucket) {
			b.head.Changes = slices.Repeat([]site.Change{{Host: "other.example.test", Generation: 1}}, len(b.head.Changes))
		}},
		{"the log has moved back and on, beyond", func(b *bucket) {
			b.head.Changes = slices.Repeat([]site.Change{{Host: "other.example.test", Generation: 1}}, len(b.head.Changes))
			b.head.Append(site.Change{Host: "another.example.test", Generation: 2})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBucket(t)
			b.deploy("d1", site.Meta{}, page("one"))
			b.upload("d2", site.Meta{}, page("two"))
			b.route(site.Route{Deployment: "d1"})
			c := newClient(t, newEdge(t, b))
			c.get("/")
			c.do("GET", "new.example.test", "/")
			// A restored bucket: older generations than the edge has seen.
			b.rawRoute("d2", 1)
			b.putJSON(site.RouteKey("new.example.test"), site.Route{Host: "new.example.test", Project: projectID, Deployment: "d2", Generation: 1})
			b.putJSON(site.ProjectKey(projectID), site.Project{ID: projectID, State: site.ProjectActive, Generation: 1})
			tt.move(b)
			b.putJSON(site.HeadKey, b.head)
			eventually(t, "the route is read again", func() bool { return c.get("/").body == "two" })
			eventually(t, "the negative too", func() bool { return c.do("GET", "new.example.test", "/").body == "two" })
		})
	}
}

func TestTheBackstopFindsWhatTheLogDidNotName(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	b.upload("d2", site.Meta{}, page("two"))
	c := newClient(t, newEdge(t, b, func(c *edge.Config) { c.Pace.Backstop = 20 * time.Millisecond }))
	c.get("/")
	b.rawRoute("d2", 50)
	eventually(t, "the backstop", func() bool { return c.get("/").body == "two" })
}

// slowHead answers the first look at the change log only when it is let go.
type slowHead struct {
	blob.Store
	release chan struct{}
}

func (s *slowHead) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	if key == site.HeadKey {
		select {
		case <-s.release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.Get(ctx, key, opts)
}

func TestTheChangeLogIsReadBeforeTheFirstRoute(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	store := &slowHead{b, make(chan struct{})}
	c := newClient(t, newEdge(t, store))
	answered := make(chan answer, 1)
	go func() { answered <- c.get("/") }()
	select {
	case <-answered:
		t.Fatal("answered before the change log was read")
	case <-time.After(50 * time.Millisecond):
	}
	if n := b.reads(site.RouteKey(hostName)); n != 0 {
		t.Fatalf("the route was read %d times before the change log", n)
	}
	close(store.release)
	if got := <-answered; got.body != "one" {
		t.Fatalf("got %d %q", got.StatusCode, got.body)
	}
}

func TestAnUnchangedLogCostsOneConditionalRead(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	c := newClient(t, newEdge(t, b))
	c.get("/")
	head := b.reads(site.HeadKey)
	eventually(t, "the log is polled", func() bool { return b.reads(site.HeadKey) > head+20 })
	if n := b.reads(site.RouteKey(hostName)); n != 1 {
		t.Errorf("the route was read %d times", n)
	}
}

func TestRecordsThatAreNoJSONAreFailures(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	c := newClient(t, newEdge(t, b))
	c.get("/")
	b.generation++
	b.put(site.RouteKey(hostName), []byte("{"))
	b.publish(site.Change{Host: hostName, Generation: b.generation})
	eventually(t, "the old route serves, stale", func() bool { got := c.get("/"); return got.body == "one" && isStale(got) })
	b.put(site.RouteKey("bad.example.test"), bytes.Repeat([]byte("x"), 100))
	if got := c.do("GET", "bad.example.test", "/"); got.StatusCode != 503 {
		t.Errorf("a route that can't be understood: %d", got.StatusCode)
	}
	route, err := json.Marshal(site.Route{Host: "lost.example.test", Project: "nobody", Deployment: "d1", Generation: 3})
	if err != nil {
		t.Fatal(err)
	}
	b.put(site.RouteKey("lost.example.test"), route)
	if got := c.do("GET", "lost.example.test", "/"); got.StatusCode != 502 {
		t.Errorf("a route without its project's record: %d", got.StatusCode)
	}
}

func TestAnEmptiedBucketHasNoSites(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("one"))
	c := newClient(t, newEdge(t, b, func(c *edge.Config) { c.StateDir = t.TempDir() }))
	c.get("/")
	var keys []string
	for info, err := range b.List(context.Background(), "", blob.ListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != site.HeadKey {
			keys = append(keys, info.Key)
		}
	}
	if err := b.Delete(context.Background(), append(keys, site.HeadKey)...); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the host has no route", func() bool { return c.get("/").StatusCode == 404 })
	b.head = site.Head{}
	b.deploy("d2", site.Meta{}, page("two"))
	eventually(t, "a new site", func() bool { return c.get("/").body == "two" })
}
