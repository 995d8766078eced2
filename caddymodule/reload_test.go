package caddymodule_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// start runs an edge until the test ends.
func start(t *testing.T, o caddymodule.Options) *caddymodule.Running {
	t.Helper()
	return startIn(t, t.TempDir(), o)
}

// startIn is start with a directory for what Caddy keeps.
func startIn(t *testing.T, dataDir string, o caddymodule.Options) *caddymodule.Running {
	t.Helper()
	o.DataDir = dataDir
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.App.BaseDomain == "" {
		o.App.BaseDomain = "localhost"
	}
	if o.App.StateDir == "" {
		o.App.StateDir = t.TempDir()
	}
	r, err := caddymodule.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, r) })
	return r
}

func stop(t *testing.T, r *caddymodule.Running) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// load loads a configuration over the one that runs and returns the address of
// each server.
func load(t *testing.T, o caddymodule.Options, change func(config map[string]any)) map[string]string {
	t.Helper()
	encoded, err := caddymodule.Config(o)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(encoded, &config); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(config)
	}
	if encoded, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(encoded, true); err != nil {
		t.Fatal(err)
	}
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	addrs := map[string]string{}
	for name, server := range app.(*caddyhttp.App).Servers {
		addrs[name] = server.Listeners()[0].Addr().String()
	}
	return addrs
}

func servers(config map[string]any) map[string]any {
	return config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
}

func metric(t *testing.T, addr, name string) string {
	t.Helper()
	_, body := get(t, addr, "localhost", "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no %s among\n%.2000s", name, body)
	}
	return m[1]
}

func TestAReloadKeepsCachesAndCounters(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	}
	r := start(t, o)
	addr := r.Addr().String()
	get(t, addr, "a.localhost", "/")
	get(t, addr, "a.localhost", "/")
	http.DefaultClient.CloseIdleConnections()

	// Another size, and a link to the same bucket: the same edge.
	o.App.CacheMemory = 1 << 20
	var before int
	for n := range 20 {
		addrs := load(t, o, nil)
		if got := metric(t, addrs["metrics"], `mini_vercel_edge_requests_total{class="2xx",protocol="h1",result="origin"}`); got != "1" {
			t.Fatalf("reload %d: origin answers: %s", n, got)
		}
		if status, body := get(t, addrs["edge"], "a.localhost", "/"); status != 200 || body != "home" {
			t.Fatalf("reload %d: %d %q", n, status, body)
		}
		if got := metric(t, addrs["metrics"], `mini_vercel_edge_origin_read_duration_seconds_count{object="chunk"}`); got != "1" {
			t.Fatalf("reload %d: the chunk was read %s times", n, got)
		}
		http.DefaultClient.CloseIdleConnections()
		if n == 2 {
			before = runtime.NumGoroutine()
		}
	}
	eventually(t, "no goroutine is left of earlier configurations", func() bool { return runtime.NumGoroutine() <= before+5 })
}

func TestAnotherBucketIsAnotherEdge(t *testing.T) {
	one, two := newBucket(t), newBucket(t)
	one.deploy("a.localhost", "d1", map[string]string{"/index.html": "one"})
	two.deploy("a.localhost", "d1", map[string]string{"/index.html": "two"})
	o := caddymodule.Options{Listen: "127.0.0.1:0", DataDir: t.TempDir(), App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: one.dir}, BaseDomain: "localhost", StateDir: t.TempDir()}}
	r := start(t, o)
	if _, body := get(t, r.Addr().String(), "a.localhost", "/"); body != "one" {
		t.Fatalf("got %q", body)
	}
	o.App.Bucket.Directory = two.dir
	if _, body := get(t, load(t, o, nil)["edge"], "a.localhost", "/"); body != "two" {
		t.Fatalf("got %q", body)
	}
}

func TestTwoHandlersShareOneEdge(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	}
	start(t, o)
	addrs := load(t, o, func(config map[string]any) {
		second := map[string]any{}
		for k, v := range servers(config)["edge"].(map[string]any) {
			second[k] = v
		}
		second["listen"] = []string{"tcp4/localhost:0"}
		servers(config)["second"] = second
	})
	for _, server := range []string{"edge", "second"} {
		if status, body := get(t, addrs[server], "a.localhost", "/"); status != 200 || body != "home" {
			t.Errorf("%s: %d %q", server, status, body)
		}
	}
	if got := metric(t, addrs["metrics"], `mini_vercel_edge_origin_read_duration_seconds_count{object="chunk"}`); got != "1" {
		t.Errorf("the chunk was read %s times", got)
	}
}

func TestBadConfigurationsAreRefusedAndHarmNothing(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	good := caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()}
	r := start(t, caddymodule.Options{App: good})
	for _, tt := range []struct {
		name   string
		change func(a *caddymodule.App)
		want   string
	}{
		{"no bucket", func(a *caddymodule.App) { a.Bucket.Directory = "" }, "bucket is not set"},
		{"no base domain", func(a *caddymodule.App) { a.BaseDomain = "" }, `base_domain ""`},
		{"a base domain with a port", func(a *caddymodule.App) { a.BaseDomain = "localhost:8001" }, "without scheme and port"},
		{"a base domain in capitals", func(a *caddymodule.App) { a.BaseDomain = "LocalHost" }, "in lower case"},
		{"a negative size", func(a *caddymodule.App) { a.CacheMemory = -1 }, "cache_memory must not be negative"},
		{"a bucket that can't be", func(a *caddymodule.App) { a.Bucket.Directory = "/dev/null/bucket" }, "open bucket"},
		{"a state directory that can't be", func(a *caddymodule.App) { a.StateDir = "/dev/null/state" }, "state directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := good
			tt.change(&app)
			encoded, err := caddymodule.Config(caddymodule.Options{Listen: "127.0.0.1:0", DataDir: t.TempDir(), App: app})
			if err != nil {
				t.Fatal(err)
			}
			if err := caddy.Load(encoded, true); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want it to say %q", err, tt.want)
			}
			if status, body := get(t, r.Addr().String(), "a.localhost", "/"); status != 200 || body != "home" {
				t.Fatalf("what ran before: %d %q", status, body)
			}
		})
	}
}

func TestValidatingTouchesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	encoded, err := caddymodule.Config(caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: filepath.Join(dir, "bucket")}, BaseDomain: "localhost", StateDir: filepath.Join(dir, "state")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(encoded, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	if names, err := filepath.Glob(dir); err != nil || len(names) != 0 {
		t.Errorf("validating made %v, %v", names, err)
	}
}

func TestAHandlerWithoutTheAppIsRefused(t *testing.T) {
	got, err := adapt("{\n\tadmin off\n\tpersist_config off\n}\nhttp://127.0.0.1:0 {\n\tmini_vercel\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(got, true); err == nil || !strings.Contains(err.Error(), "bucket is not set") {
		t.Fatalf("got %v", err)
	}
}

// TestStopWaitsForRequestsInFlight stops an edge while a client reads slowly.
func TestStopWaitsForRequestsInFlight(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 2<<20) // beyond what sockets buffer
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/big.bin": big})
	r, err := caddymodule.Start(caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+r.Addr().String()+"/big.bin", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "a.localhost"
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := caddymodule.Start(caddymodule.Options{Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "one runs in this process already") {
		t.Errorf("a second one: %v", err)
	}
	stopped := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	go func() { stopped <- r.Stop(ctx) }()
	eventually(t, "nobody listens", func() bool {
		c, err := net.Dial("tcp", r.Addr().String())
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request in flight: %v", err)
	default:
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || len(body) != len(big) {
		t.Fatalf("the request in flight: %v, %d of %d bytes", err, len(body), len(big))
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// TestATornBodyIsCut serves a file whose second chunk is not what it should be:
// the client must see an error, not a shorter file.
func TestATornBodyIsCut(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", site.ChunkSize/16) + "the end"
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/big.bin": big})
	b.put(site.BlobKey("p1", site.HashOf([]byte(big))), []byte(big[:site.ChunkSize]+"the lie"))
	r := start(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}})
	request, err := http.NewRequest(http.MethodGet, "http://"+r.Addr().String()+"/big.bin", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "a.localhost"
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || err == nil || len(body) > site.ChunkSize {
		t.Fatalf("got %d, %d bytes, %v", resp.StatusCode, len(body), err)
	}
}
