package api_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/dnslookup/dnstest"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Microsecond) // no two moments are the same
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// plane is a control plane on real stores behind a real HTTP server. Builders
// are the tests themselves.
type plane struct {
	t        testing.TB
	clock    *clock
	options  api.Options
	database string // a PostgreSQL server's address; none: a file
	store    *store.Store
	logs     controlplane.LogStore // a file unless an option gives another
	service  *controlplane.Service
	accounts *controlplane.Accounts
	server   *httptest.Server
	runner   *runner
	dns      *dnstest.Server
	log      *lockedBuffer
	setup    string // the code
	leaving  chan struct{}
	draining chan struct{}

	config        controlplane.Config
	accountConfig controlplane.AccountsConfig
}

type option func(*plane)

// generous takes the rates out of the way of tests that are not about them.
var generous = api.Rates{General: -1, SignIn: -1, Deploy: -1, Logs: -1, Sensitive: -1, Claim: -1, Attempt: -1}

const publicURL = "http://deploy.example.com"

func newPlane(t testing.TB, options ...option) *plane {
	t.Helper()
	p := &plane{t: t, clock: &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, log: &lockedBuffer{}, leaving: make(chan struct{}), draining: make(chan struct{})}
	public, err := url.Parse(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	p.options = api.Options{
		PublicURL: public, Rates: generous, Leaving: p.leaving, Draining: p.draining, Version: "1.2.3", BaseDomain: "example.test",
		SiteURLPattern: "http://{subDomain}.example.test", Isolation: api.Isolation{Mode: "bubblewrap", Network: "isolated"}, Now: p.clock.Now,
		Engines: map[string]string{"database": "SQLite"},
		Log:     slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	p.config = controlplane.Config{
		BaseDomain: "example.test", PublicURL: publicURL, MasterKey: bytes.Repeat([]byte{7}, 32), Now: p.clock.Now,
		MaxBuilds: 2, Exclusive: true, AllowLocalGit: true,
	}
	p.dns = dnstest.Start(t)
	p.config.DNSResolver = p.dns.Addr
	p.accountConfig = controlplane.AccountsConfig{Now: p.clock.Now}
	for _, o := range options {
		o(p)
	}
	dir := t.TempDir()
	bucket, err := blob.OpenDir(filepath.Join(dir, "bucket"), blob.DirOptions{SigningKey: bytes.Repeat([]byte{9}, 32), Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	if p.database != "" {
		p.store, err = store.OpenPostgres(t.Context(), store.PostgresOptions{URL: p.database, Migrate: true})
	} else {
		p.store, err = store.Open(t.Context(), filepath.Join(dir, "control.db"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.store.Close() })
	if p.logs == nil {
		if p.logs, err = logs.OpenSQLite(t.Context(), filepath.Join(dir, "logs.db")); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { p.logs.Close() })
	p.runner = newRunner()
	p.service = controlplane.New(p.config, p.store, p.logs, stream.NewDirect(p.logs), bucket, p.runner, p.options.Log)
	if err := p.service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.service.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", p.log)
		}
	})
	p.accounts = controlplane.NewAccounts(p.accountConfig, p.store)
	t.Cleanup(p.accounts.Close)
	if p.setup, err = p.accounts.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.options.Service, p.options.Accounts = p.service, p.accounts
	p.options.Blobs = bucket.Handler(p.options.Log)
	p.server = httptest.NewServer(api.Handler(p.options))
	t.Cleanup(p.server.Close)
	return p
}

func rates(r api.Rates) option { return func(p *plane) { p.options.Rates = r } }

func proxies(networks ...string) option {
	return func(p *plane) {
		for _, n := range networks {
			p.options.TrustedProxies = append(p.options.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

// lockedBuffer takes the log of many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// runner starts nothing: it tells tests of builders that they may be.
type runner struct {
	started chan controlplane.Builder
	exits   chan controlplane.BuilderExit

	mu      sync.Mutex
	running map[string]bool
}

func newRunner() *runner {
	return &runner{started: make(chan controlplane.Builder, 100), exits: make(chan controlplane.BuilderExit, 100), running: map[string]bool{}}
}

func (r *runner) Start(_ context.Context, b controlplane.Builder) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[b.Attempt] = true
	r.started <- b
	return b.Attempt, nil
}

func (r *runner) Look(_ context.Context, handle string) (controlplane.BuilderState, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return controlplane.BuilderState{Running: r.running[handle], Exit: controlplane.BuilderExit{Handle: handle, Code: -1}}, nil
}

func (r *runner) Stop(_ context.Context, handle string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, handle)
	return nil
}

func (r *runner) Exits() <-chan controlplane.BuilderExit { return r.exits }
func (r *runner) Sweep(context.Context, func(context.Context, string) (bool, error)) (ended int, err error) {
	return 0, nil
}

func (r *runner) Survives() bool { return false }
