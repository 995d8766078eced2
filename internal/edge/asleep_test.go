package edge_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestAnEdgeThatSleptForADay lets everything change, far more often than the
// change log can name, while the edge's machine sleeps: no time passes for it,
// and then its clock is a day ahead. What it holds is read again, what is in
// use first, at the rate that is allowed; what the log still names, at once.
func TestAnEdgeThatSleptForADay(t *testing.T) {
	const hosts, perSecond = 100, 20
	var ahead atomic.Int64
	inTime(t, func(t *testing.T, b *bucket, e *edge.Edge) {
		ctx := t.Context()
		name := func(i int) string { return fmt.Sprintf("h%d.example.test", i) }
		shows := func(i int) string { return lookFor(ctx, t, e, name(i), "/").body }
		for i := range hosts {
			b.route(site.Route{Host: name(i), Deployment: "d1"})
			if got := shows(i); got != "one" {
				t.Fatalf("%s: %q", name(i), got)
			}
		}
		time.Sleep(2 * time.Minute)
		inUse := []int{5, 40, 77}
		for _, i := range inUse {
			shows(i)
		}
		if got := lookFor(ctx, t, e, "absent.example.test", "/"); got.status != 404 {
			t.Fatalf("got %d", got.status)
		}
		time.Sleep(time.Second)

		before := 0
		reads := func() (n int) {
			for i := range hosts {
				n += b.reads(site.RouteKey(name(i)))
			}
			return n - before
		}
		before = reads()

		// It sleeps.
		b.upload("d2", site.Meta{}, page("two"))
		quiet := func(r site.Route) { // without a write of the log for each
			b.generation++
			r.Project, r.Environment, r.Generation = projectID, site.Production, b.generation
			b.putJSON(site.RouteKey(r.Host), r)
			b.head.Append(site.Change{Host: r.Host, Generation: r.Generation})
		}
		for i := range hosts {
			quiet(site.Route{Host: name(i), Deployment: "d2"})
		}
		quiet(site.Route{Host: "absent.example.test", Deployment: "d2"})
		for range 2 * site.MaxChanges {
			b.head.Append(site.Change{Host: "other.example.test", Generation: b.generation})
		}
		quiet(site.Route{Host: hostName, Gone: true}) // the last change, which the log names
		b.putJSON(site.HeadKey, b.head)
		ahead.Store(int64(24 * time.Hour))

		// It wakes up.
		// It looks every 100 ms, and what it did not get at one look it gets by the
		// next.
		woke := time.Now()
		for lookFor(ctx, t, e, hostName, "/").status != 410 {
			if time.Since(woke) > 250*time.Millisecond {
				t.Fatal("what the log names is not shown after two looks")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := lookFor(ctx, t, e, "absent.example.test", "/"); got.body != "two" {
			t.Errorf("a host that had no route: %d %q", got.status, got.body)
		}
		time.Sleep(400 * time.Millisecond) // and a switch takes up to 300
		for _, i := range inUse {
			if shows(i) != "two" {
				t.Errorf("%s, in use, is not among the first", name(i))
			}
		}
		most := int(perSecond*(1+time.Since(woke).Seconds())) + 1
		if n := reads(); n > most {
			t.Errorf("%d reads within %v, more than %d", n, time.Since(woke), most)
		}
		time.Sleep(2 * time.Second)
		if n := reads(); n < 2*perSecond || n > 4*perSecond {
			t.Errorf("%d reads within 2.5 s", n)
		}
		time.Sleep(hosts / perSecond * time.Second)
		for i := range hosts {
			if shows(i) != "two" {
				t.Fatalf("%s still shows %q", name(i), shows(i))
			}
		}
	}, func(c *edge.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		c.Pace.RevalidatePerSecond, c.Pace.Poll = perSecond, 100*time.Millisecond
	})
}
