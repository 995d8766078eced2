package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// gathered returns all series of an edge whose value is not 0, as a scrape writes
// them; of a histogram the count, the sum and the buckets.
func gathered(t *testing.T, e *edge.Edge) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range e.Metrics().Collectors() {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	put := func(name string, labels []*dto.LabelPair, value float64, more ...string) {
		for _, l := range labels {
			more = append(more, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		sort.Strings(more)
		if len(more) > 0 {
			name += "{" + strings.Join(more, ",") + "}"
		}
		if value != 0 {
			all[strings.TrimPrefix(name, "mini_vercel_edge_")] = value
		}
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil {
				put(f.GetName()+"_count", m.GetLabel(), float64(h.GetSampleCount()))
				put(f.GetName()+"_sum", m.GetLabel(), h.GetSampleSum())
				for _, b := range h.GetBucket() {
					put(f.GetName()+"_bucket", m.GetLabel(), float64(b.GetCumulativeCount()), fmt.Sprintf("le=%q", fmt.Sprint(b.GetUpperBound())))
				}
				continue
			}
			put(f.GetName(), m.GetLabel(), m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	return all
}

func TestRequestsAreCounted(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home", "/b.bin": strings.Repeat("b", 2000)}))
	e := newEdge(t, b)
	ask := func(q edge.Request) {
		a := e.Answer(t.Context(), &q)
		if err := a.Write(t.Context(), &sink{header: http.Header{}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, major := range []int{1, 1, 2, 3} { // the first from the bucket
		ask(edge.Request{Method: "GET", Host: hostName, Path: "/", ProtoMajor: major})
	}
	ask(edge.Request{Method: "HEAD", Host: hostName, Path: "/", ProtoMajor: 1})
	ask(edge.Request{Method: "GET", Host: hostName, Path: "/index.html", ProtoMajor: 2})                // redirected
	ask(edge.Request{Method: "GET", Host: "nobody.example.test", Path: "/", ProtoMajor: 1})             // a page of ours
	ask(edge.Request{Method: "GET", Host: hostName, Path: "/b.bin", Range: "bytes=0-9", ProtoMajor: 3}) // a part
	got := gathered(t, e)
	for series, want := range map[string]float64{
		`requests_total{class="2xx",protocol="h1",result="origin"}`:   1,
		`requests_total{class="2xx",protocol="h1",result="memory"}`:   2,
		`requests_total{class="2xx",protocol="h2",result="memory"}`:   1,
		`requests_total{class="2xx",protocol="h3",result="memory"}`:   1,
		`requests_total{class="2xx",protocol="h3",result="origin"}`:   1,
		`requests_total{class="3xx",protocol="h2",result="memory"}`:   1,
		`requests_total{class="4xx",protocol="h1",result="negative"}`: 1,
		`time_to_first_byte_seconds_count{result="memory"}`:           5,
		`request_duration_seconds_count{result="memory"}`:             5,
		`request_duration_seconds_bucket{le="60",result="memory"}`:    5,
		`response_size_bytes_count{result="memory"}`:                  5,
		`response_size_bytes_sum{result="memory"}`:                    3 * 4, // HEAD and the redirect have no body
		`response_size_bytes_sum{result="origin"}`:                    4 + 10,
		`response_size_bytes_bucket{le="1024",result="origin"}`:       2,
		`route_lookups_total{result="origin"}`:                        1,
		`route_lookups_total{result="negative"}`:                      1,
		`route_lookups_total{result="memory"}`:                        6,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
	notice := got[`response_size_bytes_sum{result="negative"}`]
	if sent := got["body_bytes_total"]; notice == 0 || sent != 12+14+notice {
		t.Errorf("%v bytes were sent, %v of them in a page of the edge's own", sent, notice)
	}
	if got[`time_to_first_byte_seconds_sum{result="memory"}`] > got[`request_duration_seconds_sum{result="memory"}`] {
		t.Error("the first bytes took longer than all")
	}
}

func TestRefusedAndFailedLookUpsAreCounted(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	now := time.Now()
	e := newEdge(t, b, func(c *edge.Config) { c.Pace.UnknownPerSecond = 1; c.Now = func() time.Time { return now } })
	c := newClient(t, e)
	for n := range 4 { // two are within the budget of two seconds
		c.do("GET", fmt.Sprintf("nobody%d.example.test", n), "/")
	}
	got := gathered(t, e)
	if got[`route_lookups_total{result="negative"}`] != 2 || got[`route_lookups_total{result="refused"}`] != 2 {
		t.Errorf("%v negative, %v refused", got[`route_lookups_total{result="negative"}`], got[`route_lookups_total{result="refused"}`])
	}
}

// projectRoute makes a host of a project that has nothing deployed.
func (b *bucket) projectRoute(host, project string) {
	b.t.Helper()
	b.putJSON(site.ProjectKey(project), site.Project{ID: project, State: site.ProjectActive, Generation: 1})
	b.putJSON(site.RouteKey(host), site.Route{Host: host, Project: project, Environment: site.Production, Generation: 1})
}

func TestProjectsAreCountedUpToALimit(t *testing.T) {
	for _, tt := range []struct {
		name     string
		limit    int
		projects int
		own      int
		other    float64
	}{
		{"off", 0, 3, 0, 0},
		{"below the limit", 3, 2, 2, 0},
		{"at the limit", 3, 3, 3, 0},
		{"above the limit", 3, 5, 3, 2 * 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBucket(t)
			b.deploy("d1", site.Meta{}, page("home"))
			e := newEdge(t, b, func(c *edge.Config) { c.Sizes.ProjectSeries = tt.limit })
			c := newClient(t, e)
			for n := range tt.projects {
				name, id := fmt.Sprintf("p%d.example.test", n), fmt.Sprintf("p%d", n)
				b.projectRoute(name, id)
				for range 2 {
					c.do("GET", name, "/")
				}
			}
			own, other := 0, 0.0
			for series, value := range gathered(t, e) {
				if !strings.HasPrefix(series, "project_requests_total{") {
					continue
				}
				if strings.Contains(series, `project="_other"`) {
					other += value
				} else if own++; value != 2 {
					t.Errorf("%s is %v", series, value)
				}
			}
			if own != tt.own || other != tt.other {
				t.Errorf("%d projects have series of their own, and %v requests are of others; want %d and %v", own, other, tt.own, tt.other)
			}
		})
	}
}

func TestTheLimitOfCountedProjectsMayChange(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, page("home"))
	b.projectRoute("other.example.test", "p2")
	e := newEdge(t, b, func(c *edge.Config) { c.Sizes.ProjectSeries = 1 })
	c := newClient(t, e)
	both := func() {
		c.get("/")
		c.do("GET", "other.example.test", "/")
	}
	both()
	e.Adjust(edge.Sizes{ProjectSeries: 2}, edge.Pace{})
	both()
	e.Adjust(edge.Sizes{}, edge.Pace{})
	both()
	got := gathered(t, e)
	for series, want := range map[string]float64{
		`project_requests_total{class="2xx",project="` + projectID + `"}`: 2,
		`project_body_bytes_total{project="` + projectID + `"}`:           8,
		`project_requests_total{class="4xx",project="_other"}`:            1,
		`project_requests_total{class="4xx",project="p2"}`:                1,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v in %v", series, got[series], want, got)
		}
	}
}

func TestCountingByProjectDoesNotAllocate(t *testing.T) {
	e := hotSite(t)
	e.Adjust(edge.Sizes{ProjectSeries: 1}, edge.Pace{})
	w := &sink{header: http.Header{}}
	q := edge.Request{Method: "GET", Host: hostName, Path: "/"}
	if n := testing.AllocsPerRun(200, func() {
		a := e.Answer(context.Background(), &q)
		_ = a.Write(context.Background(), w)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
