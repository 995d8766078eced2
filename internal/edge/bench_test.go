package edge_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// sink is a ResponseWriter that is used again, as a server that pools its
// header maps would.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// hotSite is an edge that has answered everything once.
func hotSite(b testing.TB) *edge.Edge {
	bucket := newBucket(b)
	all := files{
		"/index.html":     {body: strings.Repeat("<p>hello</p>\n", 800)[:10240], variants: map[site.Encoding]string{site.Brotli: "br", site.Gzip: "gz"}},
		"/assets/app.css": {body: "css", immutable: true},
	}
	for i := range 2000 {
		all[fmt.Sprintf("/docs/section-%d/page-%d.html", i%40, i)] = file{body: "doc"}
	}
	bucket.deploy("d1", site.Meta{}, all)
	return newEdge(b, bucket)
}

func BenchmarkAnswer(b *testing.B) {
	e := hotSite(b)
	for _, tt := range []struct {
		name   string
		q      edge.Request
		status int
	}{
		{"page", edge.Request{Path: "/"}, 200},
		{"page in brotli", edge.Request{Path: "/", AcceptEncoding: "gzip, deflate, br, zstd"}, 200},
		{"not modified", edge.Request{Path: "/", IfNoneMatch: etag(strings.Repeat("<p>hello</p>\n", 800)[:10240])}, 304},
		{"range", edge.Request{Path: "/", Range: "bytes=0-99"}, 206},
		{"redirect", edge.Request{Path: "/docs/section-1/page-1.html"}, 307},
		{"shell", edge.Request{Path: "/some/page"}, 200},
		{"unknown host", edge.Request{Path: "/", Host: "nobody.example.test"}, 404},
	} {
		b.Run(tt.name, func(b *testing.B) {
			q := tt.q
			q.Method = http.MethodGet
			if q.Host == "" {
				q.Host = hostName + ":8001"
			}
			w := &sink{header: http.Header{}}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				a := e.Answer(ctx, &q)
				if err := a.Write(ctx, w); err != nil || w.status != tt.status {
					b.Fatalf("got %d, %v", w.status, err)
				}
			}
		})
	}
}

// BenchmarkRequest includes what it takes to read a net/http request.
func BenchmarkRequest(b *testing.B) {
	e := hotSite(b)
	r, err := http.NewRequest(http.MethodGet, "http://"+hostName+"/", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.RequestURI = "/"
	r.Header = http.Header{"Accept": {"text/html"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "User-Agent": {"x"}, "Accept-Language": {"en"}}
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		var q edge.Request
		q.From(r)
		a := e.Answer(r.Context(), &q)
		if err := a.Write(r.Context(), w); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswerParallel(b *testing.B) {
	e := hotSite(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		q := edge.Request{Method: http.MethodGet, Host: hostName, Path: "/"}
		w := &sink{header: http.Header{}}
		ctx := context.Background()
		for pb.Next() {
			a := e.Answer(ctx, &q)
			if err := a.Write(ctx, w); err != nil {
				b.Error(err)
			}
		}
	})
}

func TestAHotPageDoesNotAllocate(t *testing.T) {
	e := hotSite(t)
	ctx := context.Background()
	w := &sink{header: http.Header{}}
	for _, q := range []edge.Request{
		{Path: "/"}, {Path: "/", AcceptEncoding: "gzip, deflate, br, zstd"}, {Path: "/", IfNoneMatch: `W/"x"`}, {Path: "/assets/app.css"},
	} {
		q.Method, q.Host = http.MethodGet, hostName+":443"
		serve := func() {
			a := e.Answer(ctx, &q)
			if err := a.Write(ctx, w); err != nil || w.status != 200 {
				t.Fatalf("got %d, %v", w.status, err)
			}
		}
		if n := testing.AllocsPerRun(200, serve); n != 0 {
			t.Errorf("%+v: %v allocations", q, n)
		}
	}
}
