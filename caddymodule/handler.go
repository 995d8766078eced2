package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func init() { caddy.RegisterModule(Handler{}) }

// Handler answers every request from the bucket that the app mini_vercel
// follows. Nothing comes after it: a host or a path that isn't there is its
// answer too. The sockets of its server stay open when the configuration changes.
//
// Who tries a protected host's password is told apart by the client's address as
// Caddy knows it: behind proxies, set trusted_proxies and trusted_proxies_strict
// in the server's options. What these say of HTTPS (X-Forwarded-Proto) is believed
// then, too.
//
// The values of the response headers are shared between responses. A handler in
// front of it may set, add and delete headers, but must not change a value in
// place.
type Handler struct {
	// Where requests over HTTP are sent on to instead of being answered: the port
	// of the HTTPS addresses. The challenges of a CA are answered all the same.
	// Default: they are answered.
	RedirectPort int `json:"redirect_port,omitempty"`

	shared  *shared
	hsts    []string     // of answers over HTTPS; nil: none
	leaving *atomic.Bool // set when the next configuration takes over
	logs    bool         // the server has an access log
}

var valueClose = []string{"close"}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mini_vercel", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app's edge, and has the server keep its sockets.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.RedirectPort < 0 || h.RedirectPort > 65535 {
		return fmt.Errorf("the handler mini_vercel: redirect_port %d: use a port", h.RedirectPort)
	}
	app, err := ctx.App(appID)
	if err != nil {
		return fmt.Errorf("the handler mini_vercel needs the app mini_vercel: %w", err)
	}
	h.shared, h.leaving = app.(*App).shared, &app.(*App).handOver.leaving
	if age := time.Duration(app.(*App).HSTS); age > 0 {
		h.hsts = []string{"max-age=" + strconv.FormatInt(int64(age/time.Second), 10)}
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		keep(server)
		h.logs = server.Logs != nil
	}
	return nil
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	secure := r.TLS != nil || securelyProxied(r)
	if h.RedirectPort != 0 && !secure {
		return redirectToHTTPS(w, r, h.RedirectPort)
	}
	e, err := h.shared.begin()
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	defer h.shared.end(w)
	// A map of up to eight fields is far cheaper than one of nine, and this one
	// tells nobody anything.
	delete(w.Header(), "Server")
	if h.hsts != nil && secure {
		w.Header()["Strict-Transport-Security"] = h.hsts
	}
	if h.leaving.Load() && r.ProtoMajor < 3 {
		w.Header()["Connection"] = valueClose // in HTTP/2 it becomes a GOAWAY
	}
	var q edge.Request
	q.From(r)
	q.TLS, q.Early = secure, w
	if r.Method == http.MethodPost {
		client, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
		q.Receive(w, r, client)
	}
	a := e.Answer(r.Context(), &q)
	if h.logs {
		logFields(r.Context(), &a)
	}
	if err := a.Write(r.Context(), w); errors.Is(err, edge.ErrCut) {
		// The one way to cut a response short that works for all versions of
		// HTTP; net/http takes it without a word.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// securelyProxied reports whether a proxy that is trusted has taken HTTPS off a
// request.
func securelyProxied(r *http.Request) bool {
	said := r.Header["X-Forwarded-Proto"]
	if len(said) != 1 || !strings.EqualFold(said[0], "https") {
		return false
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// redirectToHTTPS asks for nothing: whether the host is one of ours, its handshake
// says.
func redirectToHTTPS(w http.ResponseWriter, r *http.Request, port int) error {
	host, err := site.NormalHost(r.Host)
	if err != nil {
		return caddyhttp.Error(http.StatusBadRequest, err)
	}
	if port != 443 {
		host += ":" + strconv.Itoa(port)
	}
	var q edge.Request
	q.From(r)
	if q.Path == "" || q.Path[0] != '/' { // OPTIONS *
		q.Path = "/"
	}
	if q.Query != "" {
		q.Query = "?" + q.Query
	}
	w.Header().Set("Connection", "close")
	w.Header().Set("Location", "https://"+host+q.Path+q.Query)
	w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
