package api

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// The dashboard and the documents need nothing but what is served here.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// outermost gives each request an id, and each answer the headers that bind
// browsers; a handler that panics answers 500 and is logged.
func (a *API) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:16]
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &request{id: id, call: r.Method + " " + r.URL.Path}))
		h := w.Header()
		h.Set("X-Request-ID", id)
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // no-referrer would make the Origin of forms null
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store") // what may be kept says so itself
		if a.isLeaving() {
			h.Set("Connection", "close") // the next request goes to another control plane
		}
		if a.PublicURL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		defer func() {
			if v := recover(); v != nil {
				a.recovered(rec, r, v)
			}
			took := time.Since(start)
			a.Metrics.answered(rec, took)
			a.Log.DebugContext(r.Context(), "request", slog.String("request", id), slog.String("call", requestOf(r.Context()).call),
				slog.Int("status", rec.status), slog.Duration("duration", took))
		}()
		next.ServeHTTP(rec, r)
	})
}

// request is what the log says of a request: never its query, which may hold
// secrets.
type request struct{ id, call string }

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	if r == nil {
		return &request{}
	}
	return r
}

// recovered answers for a handler that panicked.
func (a *API) recovered(rec *recorder, r *http.Request, v any) {
	if v == http.ErrAbortHandler { //nolint:errorlint // panics with exactly this value
		panic(v)
	}
	if r.Context().Err() != nil {
		return // huma panics when the client is gone
	}
	asked := requestOf(r.Context())
	a.Log.ErrorContext(r.Context(), "request panicked", slog.String("request", asked.id), slog.String("call", asked.call),
		slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
	if rec.status != 0 {
		panic(http.ErrAbortHandler) // too late to say so: cut the answer off
	}
	problem(http.StatusInternalServerError, internalDetail).write(rec)
}

// failure turns an error into its answer. What is not meant for the caller is
// logged with the request's id, and answered without its text.
func (a *API) failure(ctx context.Context, err error) *Problem {
	r := requestOf(ctx)
	if p := problemOf(err); p != nil {
		if p.Status == http.StatusServiceUnavailable && err.Error() != p.Detail { // there is more to it
			a.Log.WarnContext(ctx, "request can't be served now", slog.String("request", r.id), slog.String("call", r.call), slog.Any("error", err))
		}
		return p
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return problem(http.StatusServiceUnavailable, "The request was given up.")
	}
	a.Log.ErrorContext(ctx, "request failed", slog.String("request", r.id), slog.String("call", r.call), slog.Any("error", err))
	return problem(http.StatusInternalServerError, internalDetail)
}

// recorder knows whether an answer has begun, and whose it is.
type recorder struct {
	http.ResponseWriter
	status    int
	operation string // operationId; none: no operation
	stream    bool
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// routed is the mux with problems for what it does not know.
func (a *API) routed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !readable(r.URL) {
			problem(http.StatusBadRequest, "The address has bytes in it that are no text.").write(w)
			return
		}
		handler, pattern := a.mux.Handler(r)
		if pattern != "" {
			a.mux.ServeHTTP(w, r)
			return
		}
		unknown := &discard{header: http.Header{}}
		handler.ServeHTTP(unknown, r)
		p := problem(http.StatusNotFound, "There is nothing at this address. The API is described at /docs.")
		if unknown.status == http.StatusMethodNotAllowed {
			p = problem(http.StatusMethodNotAllowed, "This address does not take that method.")
			p.header.Set("Allow", unknown.header.Get("Allow"))
		}
		p.write(w)
	})
}

// readable reports whether path and query are text. What is not would reach
// databases that refuse it.
func readable(u *url.URL) bool {
	query, err := url.QueryUnescape(u.RawQuery)
	if err != nil {
		return false
	}
	for _, s := range []string{u.Path, query} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}

// discard takes the mux's own answer, for its status and Allow.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// schemaOf puts a type into the document that no operation names.
func schemaOf[T any](a *API) *huma.Schema {
	return a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}
