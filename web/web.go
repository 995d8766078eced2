// Package web holds the dashboard as `npm run build` made it, and serves it.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// Prefix is the path below which the dashboard lives, final slash included. It
// is built into its files.
const Prefix = "/dashboard/"

// The placeholder in dist lets the package compile before the first build.
//
//go:embed all:dist
var dist embed.FS

// contentSecurityPolicy lets the dashboard load its own files and talk to its
// own origin and to those others, and nothing else: text of a build that ever
// became markup would still run nothing.
func contentSecurityPolicy(origins []string) string {
	connect := "connect-src 'self'"
	for _, origin := range origins {
		if origin != "" {
			connect += " " + origin
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; " +
		"img-src 'self' data:; font-src 'self'; " + connect + "; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// Handler serves the dashboard, which talks to those origins besides its own, as
// to where it uploads; empty ones are none. Mount it at [Prefix], and at the path
// without its final slash.
func Handler(origins ...string) http.Handler {
	root, err := fs.Sub(dist, "dist")
	if err != nil { // only for a name that is no path
		root = dist
	}
	return newHandler(root, origins...)
}

type handler struct {
	files  map[string]*file
	policy string
}

// file is one file of the build with its precompressed variants.
type file struct {
	contentType  string
	etag         string
	cacheControl string
	body         []byte
	encoded      map[string][]byte // by content coding
}

// encodings are tried in this order; each is a file beside the original.
var encodings = []struct{ coding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

func newHandler(root fs.FS, origins ...string) http.Handler {
	h := &handler{files: map[string]*file{}, policy: contentSecurityPolicy(origins)}
	_ = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") || isVariant(name) {
			return nil
		}
		if f := load(root, name); f != nil {
			h.files[name] = f
		}
		return nil
	})
	return h
}

func isVariant(name string) bool {
	return strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz")
}

func load(root fs.FS, name string) *file {
	body, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(body)
	f := &file{
		contentType:  contentType(name),
		etag:         hex.EncodeToString(sum[:12]),
		cacheControl: "no-cache",
		body:         body,
		encoded:      map[string][]byte{},
	}
	// Vite puts a hash of the contents into the name of everything in assets.
	if strings.HasPrefix(name, "assets/") {
		f.cacheControl = "public, max-age=31536000, immutable"
	}
	for _, e := range encodings {
		if b, err := fs.ReadFile(root, name+e.suffix); err == nil {
			f.encoded[e.coding] = b
		}
	}
	return f
}

// contentType does not ask the machine's tables, which differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == strings.TrimSuffix(Prefix, "/") {
		http.Redirect(w, r, Prefix, http.StatusPermanentRedirect)
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, Prefix)
	if !below {
		http.NotFound(w, r)
		return
	}
	h.setSecurityHeaders(w.Header())
	f := h.files[name]
	if f == nil {
		// Every other path is a place within the dashboard; but a file of an
		// older build is gone, and no page stands in for it.
		if strings.HasPrefix(name, "assets/") {
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "this file belongs to another version of the dashboard", http.StatusNotFound)
			return
		}
		f = h.files["index.html"]
	}
	if f == nil {
		notBuilt(w)
		return
	}
	f.serve(w, r)
}

func (h *handler) setSecurityHeaders(header http.Header) {
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.contentType)
	header.Set("Cache-Control", f.cacheControl)
	body, etag := f.body, f.etag
	if len(f.encoded) > 0 {
		header.Set("Vary", "Accept-Encoding")
	}
	for _, e := range encodings {
		if b := f.encoded[e.coding]; b != nil && accepts(r.Header.Get("Accept-Encoding"), e.coding) {
			header.Set("Content-Encoding", e.coding)
			body, etag = b, etag+"-"+e.coding
			break
		}
	}
	header.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// accepts reports whether an Accept-Encoding header names the coding without
// refusing it, RFC 9110 section 12.5.3.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.TrimSpace(strings.ToLower(parameters))
			return strings.Trim(strings.TrimPrefix(q, "q="), "0.") != "" || q == ""
		}
	}
	return false
}

// notBuilt answers where the binary was built before the dashboard was.
func notBuilt(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte("This binary was built without the dashboard. Run: make build\n"))
}
