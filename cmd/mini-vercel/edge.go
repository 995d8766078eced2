package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// newEdgeCommand runs an edge alone.
func newEdgeCommand() *cobra.Command {
	f := &serverFlags{}
	c := &cobra.Command{
		Use:   "edge",
		Short: "Run an edge, which needs nothing but the bucket",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.settings(cmd)
			if err != nil {
				return err
			}
			tuneGarbageCollection(s)
			data, err := filepath.Abs(s.DataDir)
			if err != nil {
				return fmt.Errorf("DATA_DIR=%s: %w", s.DataDir, err)
			}
			e, err := startEdge(s, data)
			if err != nil {
				return err
			}
			e.checkBucket(cmd.Context(), s)
			metrics, err := serveMetrics(s, e.running.Collectors(), s.newLogger())
			if err != nil {
				return errors.Join(err, e.stop())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The edge answers at %s for the bucket %s.\n", siteURL(s, "<project>", s.sitePort(e.ports())), e.bucket)
			<-cmd.Context().Done()
			if metrics != nil {
				_ = metrics.server.Close() // scrapes can be cut
			}
			return e.stop()
		},
	}
	f.register(c)
	_ = c.Flags().MarkHidden("port") // of the control plane; scripts may give it to every command
	return c
}

// edge is an edge in this process.
type edge struct {
	running *caddymodule.Running
	bucket  string // its identity
}

// startEdge serves the bucket of a data directory.
func startEdge(s *Settings, data string) (*edge, error) {
	// Caddy's own error does not say which setting to change.
	l, err := listen(s.Listen, s.EdgePort, "EDGE_PORT or --edge-port")
	if err != nil {
		return nil, err
	}
	if err := l.Close(); err != nil {
		return nil, err
	}
	https, err := s.https()
	if err != nil {
		return nil, err
	}
	format := "console"
	if s.LogFormat == "json" {
		format = "json"
	}
	proxies, err := s.proxies()
	if err != nil {
		return nil, err
	}
	bucket := s.bucket(data)
	identity, err := bucket.Identity()
	if err != nil {
		return nil, err
	}
	running, err := caddymodule.Start(caddymodule.Options{
		Listen: net.JoinHostPort(s.Listen, strconv.Itoa(s.EdgePort)),
		HTTPS:  https,
		App: caddymodule.App{
			Bucket:      bucket,
			BaseDomain:  s.BaseDomain,
			StateDir:    filepath.Join(data, "edge"),
			CacheMemory: int64(s.EdgeMemory) << 20,
			CacheDisk:   new(int64(s.EdgeDisk) << 20),
			CacheRoutes: s.EdgeRoutes,

			MetricsProjects: s.EdgeMetricsProjects,
		},
		TrustedProxies: proxies,
		DataDir:        caddyDir(data),
		GracePeriod:    5 * time.Second,
		LogFormat:      format,
		AccessLog:      caddymodule.AccessLog{Output: s.EdgeAccessLog, File: cmp.Or(s.EdgeAccessLogFile, filepath.Join(data, "access.log"))},
		Certificates:   s.certificates(data),
	})
	if err != nil {
		return nil, err
	}
	return &edge{running, identity}, nil
}

// checkBucket says what is wrong with a bucket at a service. It stops nothing:
// what the edge has on its disk is served, whatever happened to the key.
func (e *edge) checkBucket(ctx context.Context, s *Settings) {
	log := s.newLogger()
	if warning := s.plaintextBucket(); warning != "" {
		log.Warn(warning)
	}
	at := s.bucket("")
	if at.Directory != "" {
		return
	}
	store, err := at.Open(ctx, 0)
	if err == nil {
		defer store.Close()
		err = s.checkService(ctx, store.(*blob.S3), reads, log)
	}
	if err != nil {
		log.Error("the bucket can't be used: only what this edge has on its disk is served", "error", err)
	}
}

// caddyDir is where Caddy keeps certificates and what else it must.
func caddyDir(data string) string { return filepath.Join(data, "caddy") }

// ports are where it answers HTTP and HTTPS; the latter is 0 where it does not.
func (e *edge) ports() (http, https int) {
	if a := e.running.HTTPSAddr(); a != nil {
		https = a.(*net.TCPAddr).Port
	}
	return e.running.Addr().(*net.TCPAddr).Port, https
}

// url is where this process reaches the edge: by HTTPS where HTTP redirects to it.
func (e *edge) url(redirects bool) *url.URL {
	scheme, at := "http", *e.running.Addr().(*net.TCPAddr)
	if a, ok := e.running.HTTPSAddr().(*net.TCPAddr); ok && redirects {
		scheme, at = "https", *a
	}
	if at.IP.IsUnspecified() {
		at.IP = net.IPv4(127, 0, 0, 1)
	}
	return &url.URL{Scheme: scheme, Host: at.String()}
}

// stop lets requests in flight end.
func (e *edge) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return e.running.Stop(ctx)
}

// tuneGarbageCollection trades memory for requests: with a small heap the
// default collects several times a second, which costs a sixth of what the
// edge can serve. GOGC and GOMEMLIMIT win.
func tuneGarbageCollection(s *Settings) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		container, err := memlimit.FromCgroup()
		if err != nil {
			container = 0 // no control group says how much there is
		}
		debug.SetMemoryLimit(memoryLimit(s.EdgeMemory, container))
	}
}

// memoryLimit is from how many bytes on the collector works harder: room for
// four times the cache, but never more than nine tenths of what the container
// has, where that is known (0: it is not).
func memoryLimit(cacheMiB int, container uint64) int64 {
	limit := max(1<<30, 4*int64(cacheMiB)<<20)
	if container > 0 && container < 1<<62 {
		limit = min(limit, int64(container/10*9))
	}
	return limit
}

// serveMetrics answers /metrics on a listener of its own; nil where it is off.
func serveMetrics(s *Settings, parts []prometheus.Collector, log *slog.Logger) (*webServer, error) {
	if s.MetricsAddr == "off" {
		return nil, nil
	}
	l, err := net.Listen("tcp", s.MetricsAddr)
	if errors.Is(err, syscall.EADDRINUSE) && os.Getenv("METRICS_ADDR") == "" {
		log.Warn("metrics are off: the port is taken, choose another with METRICS_ADDR", "address", s.MetricsAddr)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("METRICS_ADDR=%s: %w", s.MetricsAddr, err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, c := range parts {
		if err := registry.Register(c); err != nil {
			return nil, errors.Join(fmt.Errorf("register metrics: %w", err), l.Close())
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return serve(l, mux, log), nil
}
