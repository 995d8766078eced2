package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/mini-vercel/mini-vercel/internal/edge"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin lets operators look into an edge through Caddy's admin API. Nothing needs
// it.
//
//	GET    /mini-vercel/cache          what every cache holds and did
//	GET    /mini-vercel/hosts/<host>   what this edge holds of a host; reads nothing
//	DELETE /mini-vercel/hosts/<host>   forgets it: the next request reads it anew
//
// Errors are problems, RFC 9457.
type Admin struct{}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mini_vercel", New: func() caddy.Module { return new(Admin) }}
}

const (
	adminCache = "/mini-vercel/cache"
	adminHosts = "/mini-vercel/hosts/"
)

// Routes returns what the admin API answers.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/mini-vercel/", Handler: caddy.AdminHandlerFunc(serveAdmin)}}
}

func serveAdmin(w http.ResponseWriter, r *http.Request) error {
	var allowed string
	host, isHost := strings.CutPrefix(r.URL.Path, adminHosts)
	switch {
	case r.URL.Path == adminCache:
		allowed = "GET"
	case isHost && host != "" && !strings.Contains(host, "/"):
		allowed = "GET, DELETE"
	default:
		return problem(w, http.StatusNotFound, "there are "+adminCache+" and "+adminHosts+"<host>")
	}
	if r.Method != http.MethodGet && (r.Method != http.MethodDelete || !isHost) {
		w.Header().Set("Allow", allowed)
		return problem(w, http.StatusMethodNotAllowed, "use "+allowed)
	}
	// Modules of the admin API are made before apps are, and stay: which edge runs
	// is known when somebody asks.
	app, err := caddy.ActiveContext().AppIfConfigured(appID)
	if err != nil {
		return problem(w, http.StatusServiceUnavailable, "no configuration with the app "+appID+" runs")
	}
	shared := app.(*App).shared
	e, err := shared.begin()
	if err != nil {
		return problem(w, http.StatusServiceUnavailable, err.Error())
	}
	defer shared.done()
	switch {
	case !isHost:
		return answer(w, http.StatusOK, "application/json", e.State())
	case r.Method == http.MethodDelete:
		if err := e.Drop(host); err != nil {
			return hostProblem(w, host, err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	state, err := e.HostState(host)
	if err != nil {
		return hostProblem(w, host, err)
	}
	return answer(w, http.StatusOK, "application/json", state)
}

func hostProblem(w http.ResponseWriter, host string, err error) error {
	switch {
	case errors.Is(err, edge.ErrNotHeld):
		return problem(w, http.StatusNotFound, host+": "+err.Error()+"; it is looked up when a visitor asks for it")
	case errors.Is(err, edge.ErrBucketAway):
		return problem(w, http.StatusConflict, host+": "+err.Error()+"; try again when mini_vercel_edge_origin_down is 0")
	}
	return problem(w, http.StatusBadRequest, host+": "+err.Error())
}

// problem answers with problem details.
func problem(w http.ResponseWriter, status int, detail string) error {
	return answer(w, status, "application/problem+json", map[string]any{
		"status": status, "title": http.StatusText(status), "detail": detail,
	})
}

func answer(w http.ResponseWriter, status int, contentType string, body any) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(body)
}

// Interface guards.
var _ caddy.AdminRouter = (*Admin)(nil)
