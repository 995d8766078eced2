package edge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestUnderChangeNothingIsWrong deploys, protects, resizes and breaks the bucket
// while many clients ask. Whatever they get is a whole deployment's file or an
// honest refusal, and nobody sees an older deployment after a newer one.
func TestUnderChangeNothingIsWrong(t *testing.T) {
	const clients, deployments = 8, 12
	b := newBucket(t)
	b.deploy("d0", site.Meta{}, numbered(0))
	e := newEdge(t, b, func(c *edge.Config) { c.Sizes.PageBytes = 8 << 10; c.StateDir = t.TempDir() })
	var done atomic.Bool
	var newest atomic.Int64 // published
	var waiting sync.WaitGroup
	for n := range clients {
		waiting.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			last := -1
			for !done.Load() {
				q := edge.Request{Method: http.MethodGet, Host: hostName, Path: fmt.Sprintf("/page-%d", random.IntN(pages))}
				a := e.Answer(context.Background(), &q)
				w := &keeper{header: http.Header{}}
				if err := a.Write(context.Background(), w); err != nil {
					t.Errorf("write: %v", err)
				}
				if w.status == http.StatusBadGateway {
					continue
				}
				var deployment int
				if _, err := fmt.Sscanf(w.body.String(), "deployment %d of "+q.Path[1:], &deployment); err != nil || w.status != http.StatusOK {
					t.Errorf("%s: %d %.80q", q.Path, w.status, w.body.String())
					return
				}
				if deployment < last || int64(deployment) > newest.Load()+1 {
					t.Errorf("deployment %d after %d", deployment, last)
				}
				if w.header.Get("Etag") != etag(w.body.String()) {
					t.Errorf("the ETag is not that of the bytes")
				}
				last = deployment
			}
		})
	}
	for n := 1; n <= deployments; n++ {
		switch n % 4 {
		case 1:
			b.breaks(func(_ context.Context, key string) error {
				if strings.Contains(key, "/blobs/") && rand.IntN(3) == 0 {
					return errAway
				}
				return nil
			})
		case 2:
			e.Adjust(edge.Sizes{ChunkBytes: 1 << 10, PageBytes: 4 << 10, Routes: 1}, edge.Pace{Poll: 1_000_000})
		case 3:
			b.breaks(nil)
			e.Adjust(edge.Sizes{}, edge.Pace{Poll: 1_000_000})
		}
		newest.Store(int64(n))
		b.deploy(fmt.Sprintf("d%d", n), site.Meta{}, numbered(n))
	}
	b.breaks(nil)
	eventually(t, "the last deployment", func() bool {
		a := e.Answer(context.Background(), &edge.Request{Method: http.MethodGet, Host: hostName, Path: "/page-1"})
		w := &keeper{header: http.Header{}}
		return a.Write(context.Background(), w) == nil && strings.HasPrefix(w.body.String(), fmt.Sprintf("deployment %d ", deployments))
	})
	done.Store(true)
	waiting.Wait()
}

// pages is how many files a numbered deployment has.
const pages = 6

func numbered(deployment int) files {
	all := files{}
	for n := range pages {
		all[fmt.Sprintf("/page-%d.html", n)] = file{body: fmt.Sprintf("deployment %d of page-%d", deployment, n)}
	}
	return all
}

func TestMetricsCountResults(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	e := newEdge(t, b)
	registry := prometheus.NewPedanticRegistry()
	for _, c := range e.Metrics().Collectors() {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	c := newClient(t, e)
	c.get("/")
	c.get("/")
	c.get("/")
	c.do("GET", "nobody.example.test", "/")
	b.breaks(away)
	eventually(t, "stale", func() bool { return isStale(c.get("/")) })
	c.do("GET", "other.example.test", "/")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		switch f.GetName() {
		case "mini_vercel_edge_requests_total":
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "result" {
						counts[l.GetValue()] += m.GetCounter().GetValue()
					}
				}
			}
		case "mini_vercel_edge_origin_down":
			counts["down"] = f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	if counts["origin"] != 1 || counts["memory"] < 2 || counts["negative"] != 1 || counts["stale"] < 1 || counts["error"] != 1 || counts["down"] != 1 {
		t.Errorf("requests: %v", counts)
	}
}
