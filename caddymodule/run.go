package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	// What the configuration of this package names.
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	_ "github.com/caddyserver/caddy/v2/modules/metrics"
)

// Options say how [Start] runs an edge in this process. Zero values stand for
// the defaults that the fields of [App] name, unless said otherwise.
type Options struct {
	Listen        string // address:port of HTTP; port 0 takes a free one. Required
	HTTPS         HTTPS  // none: HTTP alone is served
	MetricsListen string // address:port of /metrics. None: no metrics are served
	App           App    // Bucket and BaseDomain are required

	// TrustedProxies are the networks whose X-Forwarded-For and X-Forwarded-Proto
	// are believed. Default: none.
	TrustedProxies []netip.Prefix

	// Certificates is where they are kept. None: in DataDir, for this edge alone.
	Certificates *Storage
	// DataDir is where Caddy keeps what it must. Default: Caddy's own.
	DataDir string
	// GracePeriod is how long requests may go on after Stop. Default: 10 s.
	GracePeriod time.Duration
	// LogFormat is json or console, LogLevel one of DEBUG, INFO, WARN, ERROR.
	// Logs go to stderr. Default: console, WARN.
	LogFormat, LogLevel string
	AccessLog           AccessLog
}

// Config returns Caddy's configuration for an edge, with the admin API off and
// nothing persisted.
func Config(o Options) ([]byte, error) {
	if o.GracePeriod <= 0 {
		o.GracePeriod = 10 * time.Second
	}
	servers := map[string]any{"edge": map[string]any{
		"listen": []string{o.Listen}, "routes": handle(map[string]any{"handler": appID}), "automatic_https": off,
		// Without h2c, Caddy looks for its preface itself, in a wrapper around every
		// connection that keeps the kernel from sending files.
		"protocols": []string{"h1", "h2c"},
	}}
	if o.MetricsListen != "" {
		if o.MetricsListen == o.Listen {
			// Both on port 0: Caddy takes two equal addresses for one port.
			o.MetricsListen = "tcp4/" + o.MetricsListen
		}
		servers["metrics"] = map[string]any{
			"listen": []string{o.MetricsListen}, "automatic_https": off, "protocols": []string{"h1"},
			"routes": []any{map[string]any{
				"match":  []any{map[string]any{"path": []string{"/metrics"}}},
				"handle": []any{map[string]any{"handler": "metrics"}},
			}},
		}
	}
	if o.HTTPS.HSTS != 0 {
		o.App.HSTS = caddy.Duration(o.HTTPS.HSTS)
	}
	apps := map[string]any{
		appID:  o.App,
		"http": map[string]any{"servers": servers, "grace_period": caddy.Duration(o.GracePeriod)},
	}
	if o.HTTPS.Listen != "" {
		if err := o.HTTPS.configure(apps, servers, o.Listen); err != nil {
			return nil, err
		}
	}
	if len(o.TrustedProxies) > 0 {
		for _, server := range servers {
			server.(map[string]any)["trusted_proxies"] = map[string]any{"source": "static", "ranges": o.TrustedProxies}
			// What stands further left, anybody may have written.
			server.(map[string]any)["trusted_proxies_strict"] = 1
		}
	}
	logs, err := logs(o)
	if err != nil {
		return nil, err
	}
	if o.AccessLog.on() {
		for name, server := range servers {
			if name != "metrics" {
				server.(map[string]any)["logs"] = map[string]any{"default_logger_name": accessLogger}
			}
		}
	}
	config := map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": logs},
		"apps":    apps,
	}
	if o.DataDir != "" {
		config["storage"] = map[string]any{"module": "file_system", "root": o.DataDir}
	}
	var warnings []caddyconfig.Warning
	if o.Certificates != nil {
		config["storage"] = caddyconfig.JSONModuleObject(o.Certificates, "module", "bucket", &warnings)
	}
	encoded := caddyconfig.JSON(config, &warnings)
	if len(warnings) > 0 {
		return nil, errors.New(warnings[0].Message)
	}
	return encoded, nil
}

// off turns off what Caddy does of its own accord for a server: the
// configuration says all.
var off = map[string]any{"disable": true}

// handle is the routes of a server that does one thing.
func handle(handler map[string]any) []any {
	return []any{map[string]any{"handle": []any{handler}}}
}

// logs are Caddy's. What anybody's handshakes can cause has a rate.
func logs(o Options) (map[string]any, error) {
	log := func(more map[string]any) map[string]any {
		more["level"] = orElse(o.LogLevel, "WARN")
		more["writer"] = map[string]any{"output": "stderr"}
		more["encoder"] = redacted(orElse(o.LogFormat, "console"))
		return more
	}
	all := map[string]any{
		// admin warns that it is off, which is meant.
		"default": log(map[string]any{"exclude": []string{"admin", "tls", accessLogs}}),
		"tls": log(map[string]any{
			"include":  []string{"tls"},
			"sampling": map[string]any{"interval": time.Second, "first": 10, "thereafter": 1_000_000},
		}),
	}
	if o.AccessLog.on() {
		access, err := o.AccessLog.configure()
		if err != nil {
			return nil, err
		}
		all["access"] = access
	}
	return all, nil
}

func orElse(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

// Running is an edge that [Start] started.
type Running struct {
	addr, https, metrics net.Addr
	collectors           []prometheus.Collector
}

// running is held while an edge runs: Caddy has one configuration a process.
var running sync.Mutex

// Start runs an edge until [Running.Stop]. One can run in a process at a time.
func Start(o Options) (*Running, error) {
	config, err := Config(o)
	if err != nil {
		return nil, fmt.Errorf("start the edge: %w", err)
	}
	if !running.TryLock() {
		return nil, errors.New("start the edge: one runs in this process already")
	}
	r, err := start(config)
	if err != nil {
		// A load that failed half-way has left nothing behind; Stop forgets what
		// ran before, which is nothing.
		running.Unlock()
		return nil, fmt.Errorf("start the edge: %w", err)
	}
	return r, nil
}

func start(config []byte) (*Running, error) {
	if err := caddy.Load(config, true); err != nil {
		return nil, err
	}
	r := &Running{}
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil, errors.Join(err, caddy.Stop())
	}
	for name, server := range app.(*caddyhttp.App).Servers {
		for _, l := range server.Listeners() {
			switch name {
			case "edge":
				r.addr = l.Addr()
			case "https":
				r.https = l.Addr()
			default:
				r.metrics = l.Addr()
			}
		}
	}
	app, err = caddy.ActiveContext().AppIfConfigured(appID)
	if err != nil {
		return nil, errors.Join(err, caddy.Stop())
	}
	e, err := app.(*App).shared.open()
	if err != nil {
		return nil, errors.Join(err, caddy.Stop())
	}
	a := app.(*App)
	r.collectors = slices.Concat(a.collectors(e), storageCollectors(a.storage))
	return r, nil
}

// Addr returns the address that the edge answers at.
func (r *Running) Addr() net.Addr { return r.addr }

// HTTPSAddr returns the address that the edge answers HTTPS at; nil where it does
// not.
func (r *Running) HTTPSAddr() net.Addr { return r.https }

// MetricsAddr returns the address of the metrics; nil where they are not served.
func (r *Running) MetricsAddr() net.Addr { return r.metrics }

// Collectors returns the edge's metrics, for a registry of the caller's.
func (r *Running) Collectors() []prometheus.Collector { return r.collectors }

// Stop takes no more requests, and returns when those in flight are answered
// and everything is closed, or when the context ends.
func (r *Running) Stop(ctx context.Context) error {
	defer running.Unlock()
	if err := caddy.Stop(); err != nil {
		return fmt.Errorf("stop the edge: %w", err)
	}
	if err := closed(ctx); err != nil {
		return fmt.Errorf("stop the edge: requests are still in flight: %w", err)
	}
	return nil
}
