package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Options are what a handler needs. Service, Accounts, PublicURL and Log must be
// given; zero values of the rest stand for the defaults that are named here.
type Options struct {
	Service  *controlplane.Service
	Accounts *controlplane.Accounts
	Log      *slog.Logger

	// PublicURL is the address of dashboard and API as browsers see it, such as
	// https://deploy.example.com. On https, cookies are for https alone.
	PublicURL *url.URL
	// Hosts are further names, without port, that requests may be sent to, such
	// as the address that the server listens on. PublicURL's and those of
	// loopback are always taken. Unspecified addresses are left out.
	Hosts []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Rates bound what one user or address may ask for.
	Rates Rates

	// Dashboard answers below /dashboard/. Default: nothing does.
	Dashboard http.Handler
	// Blobs answers below /blobs/, where signed URLs of a directory store lead:
	// no session, no rates. Default: nothing does.
	Blobs http.Handler

	// Leaving is closed when no new requests should come: GET /ready says so to
	// load balancers, and connections end with their next answer.
	Leaving <-chan struct{}
	// Draining is closed when the server is about to stop: streams end, so that
	// clients open them again at the next one.
	Draining <-chan struct{}

	// What GET /auth/me and GET /system tell.
	Version        string
	BaseDomain     string
	SiteURLPattern string // such as http://{subDomain}.localhost:8001
	Isolation      Isolation
	// Engines say what is behind a part, by its name, such as database.
	Engines map[string]string
	// Supabase is where people sign in, where Accounts say that they do.
	Supabase SupabaseProject

	// Metrics count what happens. Default: metrics that nobody sees.
	Metrics *Metrics
	// KeepAlive is how often a silent stream sends a comment. Default: 15 s.
	KeepAlive time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// API answers the operations.
type API struct {
	Options
	mux     *http.ServeMux
	huma    huma.API
	limits  *limiter
	hosts   map[string]bool
	streams streamCount
	health  health
	started time.Time
}

// Handler returns the control plane's HTTP interface. It panics where two
// operations have one path, which any test finds.
func Handler(o Options) http.Handler {
	a := newAPI(o)
	return a.outermost(a.checkHost(a.routes()))
}

// OpenAPI returns the document that describes the API.
func OpenAPI() ([]byte, error) {
	a := newAPI(Options{Log: slog.New(slog.DiscardHandler)})
	return a.document()
}

func (a *API) document() ([]byte, error) {
	b, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func newAPI(o Options) *API {
	framework()
	if o.PublicURL == nil {
		o.PublicURL = &url.URL{Scheme: "http", Host: "localhost:9000"}
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 15 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Isolation.Warnings == nil {
		o.Isolation.Warnings = []string{}
	}
	a := &API{Options: o, mux: http.NewServeMux(), started: o.Now(), streams: streamCount{open: map[string]int{}}}
	a.limits = newLimiter(o.Rates.withDefaults(), o.Now)
	a.hosts = a.acceptedHosts()
	a.huma = humago.New(a.mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Mini-Vercel",
				Version:     "1",
				Description: description,
			},
			Tags: tags,
			Components: &huma.Components{
				Schemas: newRegistry(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "An API token (mv_…), made under Account or with POST /tokens; or an access token of Supabase, where people sign in by it."},
					"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "Set by POST /auth/login or /auth/session. __Host-" + sessionCookie + " on https. Writes need an Origin header that is the address of the control plane."},
					"attempt": {Type: "http", Scheme: "bearer", Description: "A builder's token (mva_…), good for one attempt while it runs."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
	})
	a.registerSystem()
	a.registerAuth()
	a.registerTokens()
	a.registerProjects()
	a.registerEnvVars()
	a.registerAccess()
	a.registerDomains()
	a.registerDeployments()
	a.registerExplain()
	a.registerUploads()
	a.registerLogs()
	a.registerChanges()
	a.registerAttempts()
	a.registerOperation()
	schemas := a.huma.OpenAPI().Components.Schemas
	enumerate(schemas, "Host", "role", controlplane.RoleProduction, controlplane.RoleDomain, controlplane.RoleBranch, controlplane.RoleDeployment)
	enumerate(schemas, "ExplanationStep", "step", "host", "route", "project", "access", "deployment", "rule", "file")
	enumerate(schemas, "GarbageItem", "what", controlplane.GarbageBlobs, controlplane.GarbageManifests, controlplane.GarbageArchives, controlplane.GarbageProject)
	enumerate(schemas, "Change", "type", "project", "deployment")
	return a
}

const description = `Every page of the dashboard and every command of the CLI uses this API.

Bodies are JSON in camelCase, times are RFC 3339 in UTC. Errors are problems by RFC 9457 (application/problem+json). Lists are newest first: send what an answer has as "next" as the cursor of the next call. Somebody else's resource is 404, the same as a missing one. Over a rate, the answer is 429 with Retry-After.`

var tags = []*huma.Tag{
	{Name: "Accounts", Description: "Sign up, in and out; API tokens; invitations."},
	{Name: "Projects", Description: "Sites, their settings and environment variables."},
	{Name: "Domains", Description: "Custom hostnames: the DNS records that they need, and how those stand."},
	{Name: "Deployments", Description: "What was deployed, and how it went."},
	{Name: "Uploads", Description: "How files become a deployment: ask what is known, hand in the manifest, upload what is missing, publish."},
	{Name: "Builders", Description: "What builders call, with a token of their one attempt."},
	{Name: "Operation", Description: "For administrators: backups, and what is no longer needed."},
	{Name: "System", Description: "Whether it works, and what changes."},
}

// routes adds to the operations what is no operation.
func (a *API) routes() http.Handler {
	a.registerDocs()
	if a.Dashboard != nil {
		a.mux.Handle("GET /dashboard/", a.Dashboard)
		a.mux.Handle("GET /dashboard", http.RedirectHandler("/dashboard/", http.StatusMovedPermanently))
		a.mux.Handle("GET /{$}", http.RedirectHandler("/dashboard/", http.StatusFound))
	}
	if a.Blobs != nil {
		a.mux.Handle("/blobs/", a.Blobs)
	}
	return a.routed()
}
