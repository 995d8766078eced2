package site_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestDecodePath(t *testing.T) {
	for raw, want := range map[string]string{
		"/":               "/",
		"/a/b":            "/a/b",
		"/a%2Fb":          "/a/b",
		"/a%2f%2Fb//c":    "/a/b/c",
		"//":              "/",
		"//evil.example":  "/evil.example",
		"/%2F%2Fevil":     "/evil",
		"/a%20b":          "/a b",
		"/a+b":            "/a+b",
		"/%252F":          "/%2F",
		"/./..":           "/./..",
		"/%2e%2e/x":       "/../x",
		"/caf%C3%A9":      "/café",
		"/%ff":            "/\xff",
		"/\\evil":         "/\\evil",
		"/a/?not a query": "/a/?not a query",
	} {
		if got, err := site.DecodePath(raw); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "a", "*", "/%", "/%4", "/%zz", "/%00", "/%1F", "/%7f", "/a\nb", "/\x7f", "/" + strings.Repeat("a", site.MaxTargetLength)} {
		if got, err := site.DecodePath(raw); !errors.Is(err, site.ErrPath) {
			t.Errorf("%q: got %q, %v; want an error", raw, got, err)
		}
	}
	if _, err := site.DecodePath("/" + strings.Repeat("a", site.MaxTargetLength-1)); err != nil {
		t.Errorf("the longest path: %v", err)
	}
}

func TestCanonicalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/":             "/",
		"/a/b.html":     "/a/b.html",
		"/a b":          "/a%20b",
		"/café":         "/caf%C3%A9",
		"/@user/[id]":   "/%40user/%5Bid%5D",
		"/-_.!~*'()":    "/-_.!~*'()",
		"/a+b&c=d;e,f$": "/a%2Bb%26c%3Dd%3Be%2Cf%24",
		"/\\x":          "/%5Cx",
		"/100%":         "/100%25",
	} {
		if got := site.CanonicalPath(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func FuzzDecodePath(f *testing.F) {
	for _, seed := range []string{"/", "/a%2Fb", "//", "/%00", "/%", "/caf%C3%A9", "/a//%2f/b", "/\\", "/%5c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		path, err := site.DecodePath(raw)
		if err != nil {
			return
		}
		if path == "" || path[0] != '/' || strings.Contains(path, "//") || len(path) > len(raw) {
			t.Fatalf("%q decodes to %q", raw, path)
		}
		for i := range len(path) {
			if path[i] < 0x20 || path[i] == 0x7f {
				t.Fatalf("%q decodes to %q, with a control character", raw, path)
			}
		}
		if want, err := url.PathUnescape(raw); err != nil || foldSlashes(want) != path {
			t.Fatalf("%q: got %q, net/url says %q, %v", raw, path, want, err)
		}
		canonical := site.CanonicalPath(path)
		if strings.HasPrefix(canonical, "//") || strings.HasPrefix(canonical, "/\\") {
			t.Fatalf("%q: the canonical form %q leaves the site", raw, canonical)
		}
		if len(canonical) > site.MaxTargetLength {
			return
		}
		again, err := site.DecodePath(canonical)
		if err != nil || again != path || site.CanonicalPath(again) != canonical {
			t.Fatalf("%q: canonical form %q decodes to %q, %v", raw, canonical, again, err)
		}
	})
}

func foldSlashes(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	return s
}
