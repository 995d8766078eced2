package controlplane_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

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

// plane is a control plane on real stores, with a runner that starts nothing.
type plane struct {
	*controlplane.Service
	t      testing.TB
	dir    string
	clock  *clock
	config controlplane.Config
	store  *store.Store

	database string // its address, where it is PostgreSQL
	logs     *logs.SQLite
	bucket   blob.Store
	raw      blob.Store
	runner   *fakeRunner
	blobs    *httptest.Server
	me       controlplane.Principal
	resting  bool // nothing is done in the background
}

type option func(*plane)

func newPlane(t testing.TB, options ...option) *plane {
	t.Helper()
	p := &plane{t: t, dir: t.TempDir(), clock: newClock(), me: controlplane.Principal{UserID: "me", Scope: controlplane.ScopeAdmin}}
	p.config = controlplane.Config{
		BaseDomain: "example.test", PublicURL: "http://127.0.0.1:1", MasterKey: bytes.Repeat([]byte{7}, 32), Now: p.clock.Now,
		MaxBuilds: 2, Exclusive: true, AllowLocalGit: true,
	}
	raw, err := blob.OpenDir(filepath.Join(p.dir, "bucket"), blob.DirOptions{SigningKey: bytes.Repeat([]byte{9}, 32), Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	p.blobs = httptest.NewServer(raw.Handler(slog.New(slog.DiscardHandler)))
	t.Cleanup(p.blobs.Close)
	p.raw, p.bucket = raw, raw
	p.runner = newFakeRunner()
	for _, o := range options {
		o(p)
	}
	p.open()
	return p
}

// onEveryBucket runs a test on a directory and at S3.
func onEveryBucket(t *testing.T, test func(t *testing.T, options ...option)) {
	t.Run("directory", func(t *testing.T) { test(t) })
	t.Run("S3", func(t *testing.T) {
		s, err := blob.OpenS3(t.Context(), blobtest.StartS3(t).NewBucket(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		test(t, func(p *plane) { p.raw, p.bucket = s, s })
	})
}

// open opens stores and service, as a process that starts does.
func (p *plane) open() {
	p.t.Helper()
	p.resting = false
	ctx := p.t.Context()
	var err error
	if p.store, err = p.openStore(ctx); err != nil {
		p.t.Fatal(err)
	}
	if p.logs, err = logs.OpenSQLite(ctx, filepath.Join(p.dir, "logs.db")); err != nil {
		p.t.Fatal(err)
	}
	s, l := p.store, p.logs
	p.t.Cleanup(func() { s.Close(); l.Close() })
	p.Service = controlplane.New(p.config, storetest.Twice{Store: p.store}, p.logs, stream.NewDirect(p.logs), p.bucket, p.runner, slog.New(slog.NewTextHandler(testWriter{p.t}, nil)))
}

// migrated is a new database as SQLite's file, with all its tables: making these
// takes longer than many a test.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "controlplane-test-") //nolint:usetesting // it is of no test
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "control.db")
	s, err := store.Open(context.Background(), path)
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// openStore opens the database: a file, or with TEST_STORE=postgres a database of
// the plane's own at a PostgreSQL server.
func (p *plane) openStore(ctx context.Context) (*store.Store, error) {
	if os.Getenv("TEST_STORE") != "postgres" && p.database == "" {
		path := filepath.Join(p.dir, "control.db")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			file, err := migrated()
			if err == nil {
				err = os.WriteFile(path, file, 0o600)
			}
			if err != nil {
				return nil, err
			}
		}
		return store.Open(ctx, path)
	}
	if p.database == "" {
		p.database = pgtest.Database(p.t)
	}
	return store.OpenPostgres(ctx, store.PostgresOptions{URL: p.database, Migrate: true})
}

// TestMain ends what tests share. Those that wait more than they work run side by
// side.
func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Stop()
	kafkatest.Stop()
	os.Exit(code)
}

// start begins the work in the background until the test ends.
func (p *plane) start() *plane {
	p.t.Helper()
	if err := p.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	service := p.Service
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := service.Stop(ctx); err != nil {
			p.t.Error(err)
		}
	})
	return p
}

// rest ends the work in the background, before a test moves the time and looks at
// what has not been done yet: a round of the sweeper's that was late would do it.
func (p *plane) rest() {
	p.t.Helper()
	if err := p.Stop(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.resting = true
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	defer func() { _ = recover() }() // a line after the test's end
	w.t.Log(string(bytes.TrimSpace(b)))
	return len(b), nil
}

func (p *plane) project(name string) *controlplane.Project {
	p.t.Helper()
	project, err := p.CreateProject(p.t.Context(), p.me, controlplane.ProjectInput{Name: name, GitURL: "https://git.example.com/owner/repository", ProductionBranch: "main"})
	if err != nil {
		p.t.Fatal(err)
	}
	return project
}

// files makes a manifest of paths and texts.
func manifestOf(t testing.TB, files map[string]string) *site.Manifest {
	t.Helper()
	var entries []site.FileEntry
	for path, text := range files {
		entries = append(entries, site.FileEntry{Path: path, ContentType: "text/html; charset=utf-8", Body: site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))}})
	}
	m, err := site.NewManifest(site.Meta{}, entries)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// upload goes through the whole protocol but for the last step.
func (p *plane) upload(a controlplane.Actor, id string, files map[string]string) int {
	p.t.Helper()
	ctx := p.t.Context()
	encoded, err := manifestOf(p.t, files).Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.PutManifest(ctx, a, id, encoded); err != nil {
		p.t.Fatal(err)
	}
	byHash := map[site.Hash]string{}
	for _, text := range files {
		byHash[site.HashOf([]byte(text))] = text
	}
	sent := 0
	for {
		next, err := p.Uploads(ctx, a, id)
		if err != nil {
			p.t.Fatal(err)
		}
		if len(next.Uploads) == 0 {
			return sent
		}
		for _, u := range next.Uploads {
			p.put(u.URL, byHash[u.SHA256])
			sent++
		}
	}
}

// put sends a body to a signed URL.
func (p *plane) put(u site.URL, body string) {
	p.t.Helper()
	address := u.URL
	if strings.HasPrefix(address, "/") {
		address = p.blobs.URL + address
	}
	req, err := http.NewRequestWithContext(p.t.Context(), u.Method, address, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	for k, v := range u.Headers {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body)
		p.t.Fatalf("upload: %s %s", resp.Status, text)
	}
}

// deployFiles takes a deployment of files to READY.
func (p *plane) deployFiles(project string, environment site.Environment, files map[string]string) *controlplane.Deployment {
	p.t.Helper()
	d, _, err := p.CreateDeployment(p.t.Context(), p.me, controlplane.UploadInput{ProjectID: project, Kind: controlplane.KindFiles, Environment: environment})
	if err != nil {
		p.t.Fatal(err)
	}
	p.upload(actor(p.me), d.ID, files)
	ready, err := p.Publish(p.t.Context(), actor(p.me), d.ID)
	if err != nil {
		p.t.Fatal(err)
	}
	return ready
}

// read decodes a JSON object of the bucket; false: there is none.
func (p *plane) read(key string, into any) bool {
	p.t.Helper()
	o, err := p.raw.Get(p.t.Context(), key, blob.GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	defer o.Body.Close()
	if err := json.NewDecoder(o.Body).Decode(into); err != nil {
		p.t.Fatal(err)
	}
	return true
}

// route is what the bucket has for a host.
func (p *plane) route(host string) site.Route {
	p.t.Helper()
	var r site.Route
	p.read(site.RouteKey(host), &r)
	return r
}

func actor(p controlplane.Principal) controlplane.Actor { return controlplane.Actor{Principal: &p} }

// eventually polls until f reports true.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// overwrite puts a JSON object in the bucket behind the service's back.
func (p *plane) overwrite(key string, record any) {
	p.t.Helper()
	body, err := json.Marshal(record)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.raw.Put(p.t.Context(), key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// write puts a blob where its upload would, without a request.
func (p *plane) write(key, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, "bucket", "objects", filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}
