package site_test

import (
	"mime"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestContentType(t *testing.T) {
	for path, want := range map[string]string{
		"/index.html":    "text/html; charset=utf-8",
		"/a/B.HTML":      "text/html; charset=utf-8",
		"/app.js":        "text/javascript; charset=utf-8",
		"/app.js.map":    "application/json; charset=utf-8",
		"/logo.svg":      "image/svg+xml; charset=utf-8",
		"/feed.xml":      "application/xml; charset=utf-8",
		"/a.webmanifest": "application/manifest+json; charset=utf-8",
		"/a.wasm":        "application/wasm",
		"/.well-known/apple-app-site-association": "application/json; charset=utf-8",
		"/LICENSE":            "application/octet-stream",
		"/a.json/b":           "application/octet-stream",
		"/a.":                 "application/octet-stream",
		"/a.unknownextension": "application/octet-stream",
		"relative.css":        "text/css; charset=utf-8",
		"":                    "application/octet-stream",
	} {
		if got := site.ContentType(path); got != want {
			t.Errorf("ContentType(%q) = %q, want %q", path, got, want)
		}
		if _, _, err := mime.ParseMediaType(site.ContentType(path)); err != nil {
			t.Errorf("ContentType(%q): %v", path, err)
		}
	}
}

func TestIsAssetExtension(t *testing.T) {
	for path, want := range map[string]bool{
		"/app.js": true, "/a/b.WOFF2": true, "/x.json": true, "/deep/a.b.css": true,
		"/": false, "/users": false, "/u/john.doe": false, "/x.html": false, "/x.HTM": false,
		"/app.js/": false, "/v1.2": false, "/example.com": false, "/a.js/b": false,
	} {
		if got := site.IsAssetExtension(path); got != want {
			t.Errorf("IsAssetExtension(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestContentTypeDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { site.ContentType("/assets/Index-B3x9.WebManifest") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
