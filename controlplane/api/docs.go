package api

import (
	"net/http"
)

// registerDocs serves the document, and a page that shows it.
func (a *API) registerDocs() {
	a.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		document, err := a.document()
		if err != nil {
			a.failure(r.Context(), err).write(w)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(document)
	})
}
