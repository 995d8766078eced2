package api

import (
	"embed"
	"net/http"
	"sync"
)

// The page that shows the document: a few files, no library, nothing from
// another host.
//
//go:embed docs
var docs embed.FS

var docsFiles = map[string]struct{ name, contentType string }{
	"/docs":          {"docs/index.html", "text/html; charset=utf-8"},
	"/docs/docs.css": {"docs/docs.css", "text/css; charset=utf-8"},
	"/docs/docs.js":  {"docs/docs.js", "text/javascript; charset=utf-8"},
}

// registerDocs serves the document, and a page that shows it.
func (a *API) registerDocs() {
	document := sync.OnceValues(a.document)
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		body, err := document()
		if err != nil {
			a.failure(r.Context(), err).write(w)
			return
		}
		serveFile(w, "application/openapi+json", body)
	})
	for path, file := range docsFiles {
		a.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := docs.ReadFile(file.name)
			if err != nil {
				a.failure(r.Context(), err).write(w)
				return
			}
			serveFile(w, file.contentType, body)
		})
	}
	a.mux.Handle("GET /docs/{$}", http.RedirectHandler("/docs", http.StatusMovedPermanently))
}

func serveFile(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(body) // the client may be gone
}
