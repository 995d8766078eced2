package caddymodule_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"testing"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestEarlyHintsGoBeforeAPage asks through Caddy by every version of HTTP.
func TestEarlyHintsGoBeforeAPage(t *testing.T) {
	hints := []string{"</a.js>; rel=modulepreload", `</b.css>; rel=preload; as="style"`}
	b := newBucket(t)
	b.deploy("a.localhost", "plain", map[string]string{"/index.html": "home"})
	body := func(text string) site.BlobEntry {
		hash := site.HashOf([]byte(text))
		b.put(site.BlobKey("p1", hash), []byte(text))
		return site.BlobEntry{SHA256: hash, Size: int64(len(text))}
	}
	m, err := site.NewManifest(site.Meta{Rules: site.RuleSources{Headers: "/linked\n  Link: </own>; rel=next\n", Config: `{"earlyHints":true,"notFound":"404-page"}`}}, []site.FileEntry{
		{Path: "/index.html", ContentType: "text/html; charset=utf-8", Body: body("home"), Hints: hints},
		{Path: "/linked.html", ContentType: "text/html; charset=utf-8", Body: body("linked"), Hints: hints[:1]},
		{Path: "/404.html", ContentType: "text/html; charset=utf-8", Body: body("lost"), Hints: hints},
		{Path: "/a.js", ContentType: "text/javascript; charset=utf-8", Body: body("1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := m.Compile(site.Serving{}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(site.ManifestKey("p1", "hinted"), encoded)
	b.putJSON(site.RouteKey("h.localhost"), site.Route{Host: "h.localhost", Project: "p1", Deployment: "hinted", Environment: site.Production, Generation: 1})
	r, config := secure(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}})

	etag := `"` + site.HashOf([]byte("home")).String() + `"`
	for _, tt := range []struct {
		name, method, url string
		headers           []string // name, value
		status            int
		body              string
		link              string   // of the final response
		hints             []string // over HTTP/2 and HTTP/3
	}{
		{"a page", "GET", "https://h.localhost/", nil, 200, "home", "", hints},
		{"once more, from memory", "GET", "https://h.localhost/", nil, 200, "home", "", hints},
		{"a page with a Link of its own", "GET", "https://h.localhost/linked", nil, 200, "linked", "</own>; rel=next", hints[:1]},
		{"no navigation", "GET", "https://h.localhost/", []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}, 200, "home", "", nil},
		{"a frame", "GET", "https://h.localhost/", []string{"Sec-Fetch-Dest", "iframe"}, 200, "home", "", nil},
		{"HEAD", "HEAD", "https://h.localhost/", nil, 200, "", "", nil},
		{"not modified", "GET", "https://h.localhost/", []string{"If-None-Match", etag}, 304, "", "", nil},
		{"a part", "GET", "https://h.localhost/", []string{"Range", "bytes=0-1"}, 206, "ho", "", nil},
		{"not found", "GET", "https://h.localhost/nope", nil, 404, "lost", "", nil},
		{"a redirect", "GET", "https://h.localhost/index.html", nil, 307, "", "", nil},
		{"a script", "GET", "https://h.localhost/a.js", nil, 200, "1", "", nil},
		{"a site that did not ask for it", "GET", "https://a.localhost/", nil, 200, "home", "", nil},
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			t.Run(tt.name+" by "+version, func(t *testing.T) {
				var early [][]string
				trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					if code != http.StatusEarlyHints {
						t.Errorf("an early %d", code)
					}
					if len(h["Content-Type"])+len(h["Content-Length"])+len(h["Etag"]) > 0 {
						t.Errorf("the 103 has headers of the page: %v", h)
					}
					early = append(early, h["Link"])
					return nil
				}}
				req, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), tt.method, tt.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Sec-Fetch-Mode", "navigate")
				req.Header.Set("Sec-Fetch-Dest", "document")
				for i := 0; i < len(tt.headers); i += 2 {
					req.Header.Set(tt.headers[i], tt.headers[i+1])
				}
				resp, err := browser(t, version, r.HTTPSAddr().String(), config).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.Proto != version || resp.StatusCode != tt.status || string(text) != tt.body || resp.Header.Get("Link") != tt.link {
					t.Fatalf("%s %d %q, Link %q, %v", resp.Proto, resp.StatusCode, text, resp.Header["Link"], err)
				}
				if tt.status == 200 && resp.Header.Get("Etag") == "" {
					t.Errorf("the page's own headers: %v", resp.Header)
				}
				want := tt.hints
				if version == "HTTP/1.1" {
					want = nil
				}
				if (len(early) > 0) != (want != nil) || len(early) > 1 || want != nil && !slices.Equal(early[0], want) {
					t.Errorf("early hints %q, want %q", early, want)
				}
			})
		}
	}
}
