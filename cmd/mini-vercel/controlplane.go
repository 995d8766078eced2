package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/builder/sandbox"
	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/supabase"
	"github.com/mini-vercel/mini-vercel/web"
)

// controlPlane is the control plane with its embedded parts.
type controlPlane struct {
	settings  *Settings
	dir       *dataDir
	log       *slog.Logger
	isolation sandbox.Isolation
	listener  net.Listener
	publicURL *url.URL
	ownEdge   *url.URL // in this process; nil: there is none

	bucket   *openedBucket
	store    *store.Store
	logs     *logStore
	stream   controlplane.Stream
	supabase *supabase.Verifier // nil: people have passwords here
	accounts *controlplane.Accounts
	builders *builders
	service  *controlplane.Service
	server   *webServer
	metrics  *api.Metrics
	leaving  chan struct{}
	draining chan struct{}
	setup    string // the one-time code; none: somebody has an account
}

// openControlPlane opens everything that must be there before a port is known.
func openControlPlane(ctx context.Context, s *Settings, dir *dataDir, isolation sandbox.Isolation) (p *controlPlane, err error) {
	p = &controlPlane{settings: s, dir: dir, log: s.newLogger(), isolation: isolation, metrics: api.NewMetrics(), leaving: make(chan struct{}), draining: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.listener, err = listen(s.Listen, s.Port, "PORT or --port"); err != nil {
		return p, err
	}
	address := s.PublicURL
	if address == "" {
		address = p.reachedAt("localhost")
	}
	if p.publicURL, err = url.Parse(address); err != nil {
		return p, fmt.Errorf("PUBLIC_URL=%s: %w", address, err)
	}
	key, err := s.masterKey(dir)
	if err != nil {
		return p, err
	}
	if p.bucket, err = s.openBucket(ctx, dir.path, controlplane.DeriveKey(key, "blob-urls"), p.log); err != nil {
		return p, err
	}
	if p.bucket.service != nil {
		if err := s.checkService(ctx, p.bucket.service, writes, p.log); err != nil {
			return p, err
		}
	}
	for _, warning := range s.plaintext() {
		p.log.Warn(warning)
	}
	if p.store, err = s.openStore(ctx, dir); err != nil {
		return p, err
	}
	if s.DatabaseURL != "" && exists(dir.path, databaseName) {
		p.log.Warn("DATABASE_URL is set, so the database in the data directory is not used: `mini-vercel db copy` moves it", "file", dir.join(databaseName))
	}
	if p.logs, err = s.openLogs(ctx, dir, p.log); err != nil {
		return p, err
	}
	if p.stream, err = s.openStream(ctx, p.logs.LogStore, p.log); err != nil {
		return p, err
	}
	if p.supabase, err = s.verifier(p.log); err != nil {
		return p, err
	}
	p.accounts = controlplane.NewAccounts(controlplane.AccountsConfig{OpenSignup: s.Signup == "open", Supabase: p.supabase}, p.store)
	if p.setup, err = p.accounts.Open(ctx); err != nil {
		return p, err
	}
	return p, nil
}

// start begins to answer and to build. sitePort stands in the addresses of
// sites.
func (p *controlPlane) start(ctx context.Context, sitePort int) error {
	s := p.settings
	key, err := s.masterKey(p.dir)
	if err != nil {
		return err
	}
	if p.builders, err = p.openBuilders(ctx, key); err != nil {
		return err
	}
	edge, err := s.edgeURL()
	if err != nil {
		return err
	}
	p.bucket.prepareUploads(ctx, p.publicURL, p.log)
	addresses, err := s.edgeAddresses()
	if err != nil {
		return err
	}
	p.service = controlplane.New(controlplane.Config{
		BaseDomain:       s.BaseDomain,
		SiteScheme:       s.SiteScheme,
		SitePort:         sitePort,
		PublicURL:        p.builders.url,
		OwnHosts:         []string{p.publicURL.Hostname()},
		DNSResolver:      s.DNSResolver,
		EdgeCNAME:        s.EdgeCNAME,
		EdgeAddresses:    addresses,
		MaxDomains:       s.MaxDomains,
		EdgeURL:          cmp.Or(edge, p.ownEdge),
		MasterKey:        key,
		Limits:           s.limits(),
		MaxBuilds:        p.builders.count,
		MaxProjectBuilds: s.BuildPerProject,
		ClaimTime:        p.builders.claimTime,
		DetectTime:       p.builders.detectTime,

		Retention:       retention(s.Retention),
		KeepDeployments: kept(s.KeepDeployments),
		FailedRetention: retention(s.FailedRetention),
		LogRetention:    retention(time.Duration(s.LogRetentionDays) * 24 * time.Hour),

		AllowLocalGit: s.AllowLocalGit,
		Exclusive:     s.DatabaseURL == "",
		HeadInterval:  p.bucket.headInterval(),
	}, p.store, p.logs.LogStore, p.stream, p.bucket, p.builders.runner, p.log)
	proxies, err := s.proxies()
	if err != nil {
		return err
	}
	handler := api.Handler(api.Options{
		Service:        p.service,
		Accounts:       p.accounts,
		Log:            p.log,
		PublicURL:      p.publicURL,
		Hosts:          p.hosts(),
		TrustedProxies: proxies,
		Rates: api.Rates{
			General: s.RateGeneral, SignIn: s.RateSignIn, Deploy: s.RateDeploy, Logs: s.RateLogs, Sensitive: s.RateSensitive,
			Detect: s.RateDetect, Attempt: s.RateAttempt, Claim: s.RateClaim, Streams: s.MaxStreams,
		},
		Metrics:        p.metrics,
		Dashboard:      web.Handler(p.bucket.uploadOrigin(ctx), s.supabaseProject().URL),
		Blobs:          p.bucket.uploads,
		Leaving:        p.leaving,
		Draining:       p.draining,
		Version:        version,
		BaseDomain:     s.BaseDomain,
		SiteURLPattern: siteURL(s, "{subDomain}", sitePort),
		Isolation:      describe(s, p.isolation),
		Engines:        s.engines(),
		Supabase:       s.supabaseProject(),
	})
	if err := p.service.Start(ctx); err != nil {
		return err
	}
	p.server = serve(p.listener, handler, p.log)
	return nil
}

// collectors are the metrics of the API and of the work behind it.
func (p *controlPlane) collectors() []prometheus.Collector {
	all := slices.Concat(p.metrics.Collectors(), p.service.Collectors(), p.store.Collectors(), p.logs.collectors, p.builders.collectors)
	if p.supabase != nil {
		all = append(all, p.supabase.Collectors()...)
	}
	return all
}

// hosts are names, besides its public one, that requests may name this control
// plane by.
func (p *controlPlane) hosts() []string {
	hosts := []string{p.settings.Listen}
	if u, err := url.Parse(p.builders.url); err == nil {
		hosts = append(hosts, u.Hostname())
	}
	return hosts
}

// reachedAt is the control plane's address on this machine: by a name of
// loopback, unless it listens on one other address alone.
func (p *controlPlane) reachedAt(loopback string) string {
	at := p.listener.Addr().(*net.TCPAddr)
	host := at.IP.String()
	if at.IP.IsUnspecified() || at.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		host = loopback
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(at.Port))
}

// What follows the drain: requests end, then all other work does. What has not
// ended then is taken up at the next start, or by another control plane.
const (
	requestsTime = 5 * time.Second
	stopTime     = 8 * time.Second
)

// stop takes leave of load balancers, lets builds end, ends streams and
// requests, takes builds that go on back into the queue, and closes everything.
func (p *controlPlane) stop() error {
	var errs []error
	close(p.leaving)
	if p.server != nil {
		p.server.pause(p.settings.DrainNotice)
	}
	if p.service != nil {
		ctx, cancel := context.WithTimeout(context.Background(), p.settings.DrainTime)
		errs = append(errs, p.service.Drain(ctx))
		cancel()
	}
	close(p.draining)
	if p.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), requestsTime)
		errs = append(errs, p.server.stop(ctx))
		cancel()
	}
	if p.service != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		errs = append(errs, p.service.Stop(ctx))
		cancel()
	}
	return errors.Join(append(errs, p.close())...)
}

func (p *controlPlane) close() error {
	var errs []error
	if p.listener != nil && p.server == nil {
		errs = append(errs, p.listener.Close())
	}
	if p.builders != nil {
		p.builders.close()
	}
	if p.stream != nil {
		errs = append(errs, p.stream.Close())
	}
	if p.logs != nil {
		errs = append(errs, p.logs.Close())
	}
	if p.accounts != nil {
		p.accounts.Close()
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	if p.bucket != nil {
		errs = append(errs, p.bucket.Close())
	}
	return errors.Join(errs...)
}

// masterKey is the key that the settings give, or the data directory's own.
func (s *Settings) masterKey(dir *dataDir) ([]byte, error) {
	if s.MasterKey == "" {
		return controlplane.LoadMasterKey(dir.join("master.key"))
	}
	key, err := controlplane.ParseMasterKey(s.MasterKey)
	if err != nil {
		return nil, fmt.Errorf("MASTER_KEY: %w", err)
	}
	return key, nil
}

// retention is a setting as the control plane takes it: 0 is for ever.
func retention(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// kept is a number as the control plane takes it: 0 is none.
func kept(n int) int {
	if n == 0 {
		return -1
	}
	return n
}
