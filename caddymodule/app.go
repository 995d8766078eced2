package caddymodule

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func init() { caddy.RegisterModule(App{}) }

// App follows a bucket and holds what the handlers need from it: routes,
// manifests and the contents of files. It outlives reloads: as long as the
// bucket stays the same, nothing is forgotten.
type App struct {
	// The bucket: a directory, or one at R2 or any service that speaks S3. The
	// edge only reads it. Required.
	Bucket Bucket `json:"bucket,omitzero"`

	// The domain below which every project has its hosts. A host below it that
	// is not known gets a page that says so; any other, 421. Required.
	BaseDomain string `json:"base_domain,omitempty"`

	// The directory where known routes, project records, manifests and contents
	// are kept, so that a restart while the bucket is away still serves. Default:
	// below Caddy's data directory.
	StateDir string `json:"state_dir,omitempty"`

	// How many bytes the records and manifests in state_dir may have together.
	// Default: 1 GiB.
	StateSize int64 `json:"state_size,omitempty"`

	// How many bytes of files' contents are held in memory. Default: 256 MiB.
	CacheMemory int64 `json:"cache_memory,omitempty"`

	// How many bytes of files' contents are kept in state_dir/chunks. 0 turns that
	// off; what is there then stays, unused. Several edges may share the
	// directory: it then holds up to this much, and what the others wrote in the
	// last hour. Default: 1 GiB.
	CacheDisk *int64 `json:"cache_disk,omitempty"`

	// How many bytes of manifests are held in memory. Default: 128 MiB.
	CacheManifests int64 `json:"cache_manifests,omitempty"`

	// How many bytes of prepared response heads are held in memory. Default: 32 MiB.
	CachePages int64 `json:"cache_pages,omitempty"`

	// How many hosts' routes are held in memory. Default: 100,000.
	CacheRoutes int `json:"cache_routes,omitempty"`

	// How many projects have metrics of their own, by the label project: the first
	// that are asked for; the others share the label _other. Each costs five series
	// on every edge. Default: 0, requests are not counted by project.
	MetricsProjects int `json:"metrics_projects,omitempty"`

	// The time between two looks at the change log: how soon a deployment is
	// seen. Default: 100 ms on a directory, 1 s on S3.
	PollInterval caddy.Duration `json:"poll_interval,omitempty"`

	// The longest time of one read of the bucket. Default: 10 s.
	ReadTimeout caddy.Duration `json:"read_timeout,omitempty"`

	// How many hosts that are not known are looked up in the bucket in one
	// second; beyond, they get 503. Default: 200.
	UnknownHostsPerSecond int `json:"unknown_hosts_per_second,omitempty"`

	// How long browsers are told to use nothing but HTTPS for a host, from each
	// answer over HTTPS on (the header Strict-Transport-Security). Default: they
	// are not told.
	HSTS caddy.Duration `json:"hsts,omitempty"`

	// How long a reload goes on answering with the earlier configuration, while its
	// clients move over to the new one. Default: 1 s.
	HandOver caddy.Duration `json:"hand_over,omitempty"`

	shared   *shared // nil until Provision succeeded
	registry *prometheus.Registry
	handOver *handOver
	storage  certmagic.Storage
	log      *slog.Logger

	certificates prometheus.Collector
}

// appID is where the app's configuration stands among the apps.
const appID = "mini_vercel"

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appID, New: func() caddy.Module { return new(App) }}
}

// Provision checks the settings and takes the state that is shared with the
// configuration before and after this one. It reads and writes nothing:
// validating a configuration provisions it too.
func (a *App) Provision(ctx caddy.Context) error {
	if err := a.Bucket.Check(); err != nil {
		return fmt.Errorf("%s: %w", appID, err)
	}
	if base, err := site.NormalHost(a.BaseDomain); err != nil || base != a.BaseDomain {
		return fmt.Errorf("%s: base_domain %q: use a domain name in lower case, without scheme and port", appID, a.BaseDomain)
	}
	disk := int64(0)
	if a.CacheDisk != nil {
		disk = *a.CacheDisk
	}
	for name, value := range map[string]int64{
		"cache_disk": disk, "state_size": a.StateSize, "cache_memory": a.CacheMemory, "cache_manifests": a.CacheManifests, "cache_pages": a.CachePages,
		"cache_routes": int64(a.CacheRoutes), "metrics_projects": int64(a.MetricsProjects), "poll_interval": int64(a.PollInterval), "read_timeout": int64(a.ReadTimeout),
		"unknown_hosts_per_second": int64(a.UnknownHostsPerSecond), "hsts": int64(a.HSTS), "hand_over": int64(a.HandOver),
	} {
		if value < 0 {
			return fmt.Errorf("%s: %s must not be negative", appID, name)
		}
	}
	if a.HSTS != 0 && time.Duration(a.HSTS) < time.Second {
		return fmt.Errorf("%s: hsts %v: use a second or more", appID, time.Duration(a.HSTS))
	}
	if a.PollInterval == 0 {
		a.PollInterval = caddy.Duration(a.Bucket.pollInterval())
	}
	if a.StateDir == "" {
		a.StateDir = filepath.Join(caddy.AppDataDir(), "mini-vercel", "edge")
	}
	if a.HandOver == 0 {
		a.HandOver = caddy.Duration(time.Second)
	}
	events, err := ctx.App("events")
	if err != nil {
		return fmt.Errorf("%s: %w", appID, err)
	}
	a.handOver = &handOver{wait: time.Duration(a.HandOver)}
	if err := events.(*caddyevents.App).On("stopping", a.handOver); err != nil {
		return fmt.Errorf("%s: %w", appID, err)
	}
	s, err := acquire(a, ctx.Slogger())
	if err != nil {
		return fmt.Errorf("%s: %w", appID, err)
	}
	a.shared, a.registry, a.storage, a.log = s, ctx.GetMetricsRegistry(), ctx.Storage(), ctx.Slogger()
	a.certificates = newCertificates(a.storage)
	return nil
}

// Start opens the bucket, or brings the edge that has it open to this
// configuration's key and sizes, and puts its metrics into this configuration's
// registry.
func (a *App) Start() error {
	if err := checkStorage(a.storage, a.log); err != nil {
		return err
	}
	e, err := a.shared.open()
	if err != nil {
		return fmt.Errorf("%s: %w", appID, err)
	}
	a.shared.useKey(a.Bucket)
	e.Adjust(a.sizes(), a.pace())
	return register(a.registry, a.collectors(e))
}

// collectors are the metrics of the edge and of the certificates that it serves.
// A storage of this package has registered its own.
func (a *App) collectors(e *edge.Edge) []prometheus.Collector {
	all := e.Metrics().Collectors()
	if storageCollectors(a.storage) == nil {
		all = append(slices.Clip(all), a.certificates)
	}
	return all
}

// Stop does nothing: the configuration that comes next may use the same edge.
func (a *App) Stop() error { return nil }

// Cleanup gives the shared state back.
func (a *App) Cleanup() error {
	if a.shared == nil {
		return nil
	}
	err := a.shared.release()
	a.shared = nil
	return err
}

func (a *App) sizes() edge.Sizes {
	disk := int64(0) // the default
	if a.CacheDisk != nil {
		if disk = *a.CacheDisk; disk == 0 {
			disk = -1
		}
	}
	return edge.Sizes{
		ChunkBytes: a.CacheMemory, DiskBytes: disk, ManifestBytes: a.CacheManifests, PageBytes: a.CachePages,
		Routes: a.CacheRoutes, StateBytes: a.StateSize, ProjectSeries: a.MetricsProjects,
	}
}

func (a *App) pace() edge.Pace {
	return edge.Pace{
		Poll: time.Duration(a.PollInterval), ReadTimeout: time.Duration(a.ReadTimeout), UnknownPerSecond: a.UnknownHostsPerSecond,
	}
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
