package edge_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// FuzzAnswer asks for anything: there is always one of the known answers, its
// length is what it says, and a redirect stays on the site.
func FuzzAnswer(f *testing.F) {
	b := newBucket(f)
	rules := site.RuleSources{Redirects: "/old/* /:splat 301\n/to/:name https://:name.example.com/ 308\n/r/* /:splat 200\n/app/* /app/index.html 200", Headers: "/*\n  X-Path: :splat\nhttps://:sub.example.test/r/*\n  X-Sub: :sub"}
	b.deploy("d1", site.Meta{Rules: rules}, files{
		"/app/index.html": {body: "app"},

		"/index.html": {body: "home"}, "/a b.html": {body: "space"}, "/404.html": {body: "no"}, "/docs/index.html": {body: "docs"},
		"/x.css": {body: "0123456789", immutable: true, variants: map[site.Encoding]string{site.Brotli: "br", site.Gzip: "gzip"}},
	})
	e := newEdge(f, b)
	f.Add("GET", hostName, "/x.css", "br, gzip", "bytes=0-1,3-4", `"x"`, "")
	f.Add("HEAD", hostName, "//a%20b/index", "", "", "*", "text/html")
	f.Add("GET", hostName, "/old//evil.example/", "", "", "", "")
	f.Add("GET", hostName, "/r/a%20b.html", "gzip", "bytes=1-", "", "")
	f.Add("GET", hostName, "/app/x", "", "", "", "text/html")
	f.Add("OPTIONS", "NOBODY.example.test:80", "/%", "*;q=0", "bytes=-1", "", "*/*;q=0")
	known := []int{200, 204, 206, 301, 304, 307, 308, 400, 404, 405, 406, 412, 416, 421}
	f.Fuzz(func(t *testing.T, method, host, path, accept, ranges, tags, media string) {
		q := edge.Request{Method: method, Host: host, Path: path, AcceptEncoding: accept, Range: ranges, IfNoneMatch: tags, IfMatch: tags, IfRange: tags, Accept: media}
		if len(tags)%2 == 0 {
			q.IfMatch = ""
		}
		a := e.Answer(context.Background(), &q)
		w := &keeper{header: http.Header{}}
		if err := a.Write(context.Background(), w); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(known, w.status) {
			t.Fatalf("%+v: %d", q, w.status)
		}
		if length := w.header.Get("Content-Length"); method != http.MethodHead && length != "" && length != strconv.Itoa(w.body.Len()) {
			t.Fatalf("%+v: Content-Length %s, %d bytes", q, length, w.body.Len())
		}
		if location := w.header.Get("Location"); strings.HasPrefix(location, "//") || strings.HasPrefix(location, "/\\") || (w.status == 301 || w.status == 307 || w.status == 308) != (location != "") {
			t.Fatalf("%+v: %d Location %q", q, w.status, location)
		}
		for name, values := range w.header {
			if len(values) != 1 || http.CanonicalHeaderKey(name) != name || strings.ContainsAny(values[0], "\r\n\x00") {
				t.Fatalf("%+v: field %q: %q", q, name, values)
			}
		}
	})
}
