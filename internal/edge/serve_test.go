package edge_test

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// etag is the ETag of bytes.
func etag(text string) string { return `"` + site.HashOf([]byte(text)).String() + `"` }

// conformance serves a site that the tests of one request each look at.
func conformance(t *testing.T) *client {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, files{
		"/index.html":         {body: "home"},
		"/about.html":         {body: "about"},
		"/docs/index.html":    {body: "docs"},
		"/a b.html":           {body: "space"},
		"/404.html":           {body: "not here"},
		"/docs/404.html":      {body: "no such doc", variants: map[site.Encoding]string{site.Gzip: "gz404"}},
		"/text.txt":           {body: "0123456789"},
		"/empty.txt":          {body: ""},
		"/assets/x-1a2B3c.js": {body: "js", immutable: true},
		"/all.css":            {body: "identity!", variants: map[site.Encoding]string{site.Brotli: "brotli", site.Zstd: "zstd", site.Gzip: "gzip"}},
		"/gz.css":             {body: "identity!!", variants: map[site.Encoding]string{site.Gzip: "gzip2"}},
	})
	return newClient(t, newEdge(t, b))
}

func TestAnswers(t *testing.T) {
	c := conformance(t)
	long := "/" + strings.Repeat("a", site.MaxTargetLength)
	for _, tt := range []struct {
		name, method, path string
		headers            []string
		status             int
		body               string            // "*": any
		want               map[string]string // headers; "": absent
	}{
		{"a page", "GET", "/", nil, 200, "home", map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Etag": etag("home"), "X-Content-Type-Options": "nosniff", "Accept-Ranges": "bytes",
			"Cache-Control": "public, max-age=0, must-revalidate", "Content-Length": "4", "Vary": "", "X-Robots-Tag": "", "Content-Encoding": ""}},
		{"a page by its home", "GET", "/about?x=1", nil, 200, "about", nil},
		{"an immutable asset", "GET", "/assets/x-1a2B3c.js", nil, 200, "js", map[string]string{"Cache-Control": "public, max-age=31536000, immutable", "Content-Type": "text/javascript; charset=utf-8"}},
		{"HEAD has the headers of GET", "HEAD", "/about", nil, 200, "", map[string]string{"Content-Length": "5", "Etag": etag("about")}},
		{"HEAD ignores Range", "HEAD", "/text.txt", []string{"Range: bytes=0-1"}, 200, "", map[string]string{"Content-Length": "10", "Content-Range": ""}},
		{"redirect to the home", "GET", "/about.html?a=b&c", nil, 307, "", map[string]string{"Location": "/about?a=b&c"}},
		{"redirect to the canonical form", "GET", "/a%20b.html", nil, 307, "", map[string]string{"Location": "/a%20b"}},
		{"one redirect for everything at once", "GET", "//a%20b%2Findex?q", nil, 307, "", map[string]string{"Location": "/a%20b?q"}},
		{"slashes fold", "GET", "//about", nil, 307, "", map[string]string{"Location": "/about"}},
		{"no redirect to another host", "GET", "//evil.example/%2e%2e", nil, 404, "*", map[string]string{"Location": ""}},
		{"lower-case hex is not canonical", "GET", "/%61bout", nil, 307, "", map[string]string{"Location": "/about"}},
		{"the nearest 404 page", "GET", "/docs/nope", nil, 404, "no such doc", map[string]string{"Cache-Control": "no-store", "Etag": "", "Vary": "Accept-Encoding", "Content-Type": "text/html; charset=utf-8"}},
		{"a 404 page is negotiated", "GET", "/docs/nope", []string{"Accept-Encoding: gzip"}, 404, "gz404", map[string]string{"Content-Encoding": "gzip", "Content-Length": "5"}},
		{"a 404 page is never 406", "GET", "/nope", []string{"Accept-Encoding: identity;q=0"}, 404, "not here", nil},
		{"a 404 page ignores conditions and ranges", "GET", "/nope", []string{"If-None-Match: *", "Range: bytes=0-0"}, 404, "not here", nil},
		{"HEAD of a 404", "HEAD", "/nope", nil, 404, "", map[string]string{"Content-Length": "8"}},
		{"a 404 page at its own address", "GET", "/404", nil, 200, "not here", nil},
		{"dots are names", "GET", "/docs/../about", nil, 404, "*", nil},
		{"too long", "GET", long, nil, 400, "*", map[string]string{"Cache-Control": "no-store"}},
		{"the longest", "GET", long[:site.MaxTargetLength], nil, 404, "*", nil},
		{"a NUL", "GET", "/a%00b", nil, 400, "*", nil},
		{"a control character", "GET", "/a%0Ab", nil, 400, "*", nil},
		{"POST to a file", "POST", "/about", nil, 405, "*", map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"DELETE of a redirect", "DELETE", "/about.html", nil, 405, "*", map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"POST to nothing", "POST", "/nope", nil, 404, "*", nil},
		{"OPTIONS of a file", "OPTIONS", "/about", nil, 204, "", map[string]string{"Allow": "GET, HEAD, OPTIONS"}},
		{"OPTIONS of nothing", "OPTIONS", "/nope", nil, 404, "*", nil},

		{"no Accept-Encoding", "GET", "/all.css", nil, 200, "identity!", map[string]string{"Vary": "Accept-Encoding", "Content-Encoding": "", "Etag": etag("identity!")}},
		{"a browser's Accept-Encoding", "GET", "/all.css", []string{"Accept-Encoding: gzip, deflate, br, zstd"}, 200, "brotli", map[string]string{"Content-Encoding": "br", "Etag": etag("brotli"), "Content-Length": "6"}},
		{"qualities decide", "GET", "/all.css", []string{"Accept-Encoding: br;q=0.5, gzip;q=0.9, zstd;q=0.8"}, 200, "gzip", nil},
		{"ties in order", "GET", "/all.css", []string{"Accept-Encoding: gzip;q=0.5, zstd;q=0.5"}, 200, "zstd", nil},
		{"a star stands for the others", "GET", "/all.css", []string{"Accept-Encoding: br;q=0, *"}, 200, "zstd", nil},
		{"identity is preferred where it weighs more", "GET", "/all.css", []string{"Accept-Encoding: identity, br;q=0.5"}, 200, "identity!", nil},
		{"identity after all that was asked for", "GET", "/all.css", []string{"Accept-Encoding: gzip;q=0.001"}, 200, "gzip", nil},
		{"an encoding that isn't there", "GET", "/gz.css", []string{"Accept-Encoding: br"}, 200, "identity!!", map[string]string{"Vary": "Accept-Encoding"}},
		{"identity refused, a variant taken", "GET", "/gz.css", []string{"Accept-Encoding: gzip;q=0.1, identity;q=0"}, 200, "gzip2", nil},
		{"a star refuses identity", "GET", "/gz.css", []string{"Accept-Encoding: br, *;q=0"}, 406, "*", map[string]string{"Vary": "Accept-Encoding", "Cache-Control": "no-store"}},
		{"nothing acceptable", "GET", "/about", []string{"Accept-Encoding: identity;q=0"}, 406, "*", nil},
		{"several lines are one", "GET", "/all.css", []string{"Accept-Encoding: br;q=0.1", "Accept-Encoding: gzip"}, 200, "gzip", nil},

		{"If-None-Match", "GET", "/text.txt", []string{"If-None-Match: " + etag("0123456789")}, 304, "", map[string]string{"Etag": etag("0123456789"), "Cache-Control": "public, max-age=0, must-revalidate", "Content-Type": "", "Content-Length": ""}},
		{"If-None-Match of a variant", "GET", "/all.css", []string{"Accept-Encoding: br", "If-None-Match: " + etag("brotli")}, 304, "", map[string]string{"Vary": "Accept-Encoding", "Etag": etag("brotli")}},
		{"If-None-Match of another variant", "GET", "/all.css", []string{"Accept-Encoding: br", "If-None-Match: " + etag("gzip")}, 200, "brotli", nil},
		{"a weak one in a list", "GET", "/text.txt", []string{`If-None-Match: "x", W/` + etag("0123456789") + `, "y"`}, 304, "", nil},
		{"If-None-Match *", "HEAD", "/text.txt", []string{"If-None-Match: *"}, 304, "", nil},
		{"another ETag", "GET", "/text.txt", []string{`If-None-Match: "x"`}, 200, "0123456789", nil},
		{"If-Match", "GET", "/text.txt", []string{"If-Match: " + etag("0123456789")}, 200, "0123456789", nil},
		{"If-Match fails", "GET", "/text.txt", []string{`If-Match: "x"`}, 412, "*", nil},
		{"If-Match is strong", "GET", "/text.txt", []string{"If-Match: W/" + etag("0123456789")}, 412, "*", nil},
		{"If-Match *", "GET", "/text.txt", []string{"If-Match: *"}, 200, "0123456789", nil},
		{"If-Match comes first", "GET", "/text.txt", []string{`If-Match: "x"`, "If-None-Match: *"}, 412, "*", nil},
		{"If-None-Match before Range", "GET", "/text.txt", []string{"If-None-Match: *", "Range: bytes=0-0"}, 304, "", nil},
		{"dates are ignored", "GET", "/text.txt", []string{"If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT", "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT"}, 200, "0123456789", nil},

		{"a range", "GET", "/text.txt", []string{"Range: bytes=2-4"}, 206, "234", map[string]string{"Content-Range": "bytes 2-4/10", "Content-Length": "3", "Etag": etag("0123456789")}},
		{"an open range", "GET", "/text.txt", []string{"Range: bytes=8-"}, 206, "89", map[string]string{"Content-Range": "bytes 8-9/10"}},
		{"a suffix", "GET", "/text.txt", []string{"Range: bytes=-3"}, 206, "789", map[string]string{"Content-Range": "bytes 7-9/10"}},
		{"a suffix longer than the file", "GET", "/text.txt", []string{"Range: bytes=-99"}, 206, "0123456789", map[string]string{"Content-Range": "bytes 0-9/10"}},
		{"an end beyond the file", "GET", "/text.txt", []string{"Range: bytes=5-99999999999999999999"}, 206, "56789", nil},
		{"units in any case", "GET", "/text.txt", []string{"Range: Bytes=0-0"}, 206, "0", nil},
		{"unsatisfiable", "GET", "/text.txt", []string{"Range: bytes=10-"}, 416, "*", map[string]string{"Content-Range": "bytes */10", "Cache-Control": "no-store"}},
		{"a suffix of nothing", "GET", "/text.txt", []string{"Range: bytes=-0"}, 416, "*", map[string]string{"Content-Range": "bytes */10"}},
		{"of an empty file", "GET", "/empty.txt", []string{"Range: bytes=0-"}, 416, "*", map[string]string{"Content-Range": "bytes */0"}},
		{"the end of an empty file", "GET", "/empty.txt", []string{"Range: bytes=-5"}, 200, "", nil},
		{"an empty file", "GET", "/empty.txt", nil, 200, "", map[string]string{"Content-Length": "0", "Etag": etag("")}},
		{"another unit", "GET", "/text.txt", []string{"Range: lines=1-2"}, 200, "0123456789", map[string]string{"Content-Range": ""}},
		{"malformed", "GET", "/text.txt", []string{"Range: bytes=4-2"}, 200, "0123456789", nil},
		{"malformed in a list", "GET", "/text.txt", []string{"Range: bytes=0-1,x"}, 200, "0123456789", nil},
		{"overlapping", "GET", "/text.txt", []string{"Range: bytes=0-5,3-7"}, 200, "0123456789", nil},
		{"too many", "GET", "/text.txt", []string{"Range: bytes=" + strings.Repeat("0-0,", 16) + "1-1"}, 200, "0123456789", nil},
		{"of several, one satisfiable", "GET", "/text.txt", []string{"Range: bytes=1-2,50-60"}, 206, "12", map[string]string{"Content-Range": "bytes 1-2/10"}},
		{"If-Range matches", "GET", "/text.txt", []string{"Range: bytes=0-0", "If-Range: " + etag("0123456789")}, 206, "0", nil},
		{"If-Range does not match", "GET", "/text.txt", []string{"Range: bytes=0-0", `If-Range: "x"`}, 200, "0123456789", nil},
		{"If-Range is strong", "GET", "/text.txt", []string{"Range: bytes=0-0", "If-Range: W/" + etag("0123456789")}, 200, "0123456789", nil},
		{"If-Range by date", "GET", "/text.txt", []string{"Range: bytes=0-0", "If-Range: Mon, 01 Jan 2035 00:00:00 GMT"}, 200, "0123456789", nil},
		{"a range is of identity", "GET", "/all.css", []string{"Range: bytes=0-3", "Accept-Encoding: br, gzip"}, 206, "iden", map[string]string{"Content-Encoding": "", "Etag": etag("identity!"), "Vary": "Accept-Encoding"}},
		{"a range takes the ETag of identity only", "GET", "/all.css", []string{"Range: bytes=0-3", "Accept-Encoding: br", "If-Range: " + etag("brotli")}, 200, "identity!", nil},
		{"a range where identity is refused", "GET", "/all.css", []string{"Range: bytes=0-3", "Accept-Encoding: gzip, identity;q=0"}, 200, "gzip", nil},
		{"an ignored range is no range", "GET", "/all.css", []string{"Range: bytes=5-2", "Accept-Encoding: br"}, 200, "brotli", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 { // the second time from the prepared page
				got := c.do(tt.method, hostName, tt.path, tt.headers...)
				if got.err != nil {
					t.Fatal(got.err)
				}
				if got.StatusCode != tt.status || tt.body != "*" && got.body != tt.body {
					t.Fatalf("got %d %q, want %d %q", got.StatusCode, got.body, tt.status, tt.body)
				}
				for name, want := range tt.want {
					if have := strings.Join(got.Header.Values(name), "|"); have != want {
						t.Errorf("%s: got %q, want %q", name, have, want)
					}
				}
				if got.StatusCode >= 400 && got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("a %d may be kept: Cache-Control %q", got.StatusCode, got.Header.Get("Cache-Control"))
				}
			}
		})
	}
}

func TestSeveralRanges(t *testing.T) {
	c := conformance(t)
	got := c.get("/text.txt", "Range: bytes=7-,0-1,-1, 4-4")
	if got.StatusCode != 200 {
		t.Fatalf("overlapping ranges: %d", got.StatusCode)
	}
	got = c.get("/text.txt", "Range: bytes=7-8,0-1,,-1, 4-4, 70-80")
	if got.StatusCode != http.StatusPartialContent || got.err != nil || got.Header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
		t.Fatalf("got %d, %v, length %s of %d", got.StatusCode, got.err, got.Header.Get("Content-Length"), len(got.body))
	}
	media, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || media != "multipart/byteranges" {
		t.Fatalf("Content-Type %q", got.Header.Get("Content-Type"))
	}
	reader := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
	for _, want := range [][2]string{{"bytes 7-8/10", "78"}, {"bytes 0-1/10", "01"}, {"bytes 9-9/10", "9"}, {"bytes 4-4/10", "4"}} {
		part, err := reader.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil || part.Header.Get("Content-Range") != want[0] || string(body) != want[1] || part.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Fatalf("got %v %q, %v; want %v", part.Header, body, err, want)
		}
	}
	if _, err := reader.NextRawPart(); err != io.EOF {
		t.Fatalf("a part too many: %v", err)
	}
}

func TestLargeFiles(t *testing.T) {
	var text strings.Builder
	for text.Len() < 3*site.ChunkSize+12345 {
		text.WriteString(strconv.Itoa(text.Len()))
		text.WriteByte(' ')
	}
	body := text.String()
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/big.bin": body}))
	c := newClient(t, newEdge(t, b))
	if got := c.get("/big.bin"); got.err != nil || got.body != body || got.Header.Get("Etag") != etag(body) {
		t.Fatalf("the whole: %v, %d of %d bytes", got.err, len(got.body), len(body))
	}
	for _, r := range [][2]int{{0, 0}, {site.ChunkSize - 1, site.ChunkSize}, {5, 2*site.ChunkSize + 7}, {3 * site.ChunkSize, len(body) - 1}, {len(body) - 1, len(body) - 1}} {
		got := c.get("/big.bin", "Range: bytes="+strconv.Itoa(r[0])+"-"+strconv.Itoa(r[1]))
		if got.StatusCode != 206 || got.err != nil || got.body != body[r[0]:r[1]+1] {
			t.Errorf("%v: %d, %v, %d bytes", r, got.StatusCode, got.err, len(got.body))
		}
	}
	got := c.get("/big.bin", "Range: bytes=2097150-2097153,10-19")
	if got.err != nil || !strings.Contains(got.body, "\r\n\r\n"+body[2097150:2097154]+"\r\n--") || !strings.Contains(got.body, "\r\n\r\n"+body[10:20]+"\r\n--") {
		t.Errorf("several: %v", got.err)
	}
}
