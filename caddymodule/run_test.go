package caddymodule_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// bucket is a directory that a test fills as the control plane does.
type bucket struct {
	t     *testing.T
	dir   string
	store blob.Store
	head  site.Head
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	dir := t.TempDir()
	store, err := blob.OpenDir(dir, blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &bucket{t: t, dir: dir, store: store}
}

func (b *bucket) put(key string, body []byte) {
	b.t.Helper()
	if _, err := b.store.Put(context.Background(), key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bucket) putJSON(key string, v any) {
	b.t.Helper()
	encoded, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(key, encoded)
}

// deploy makes a host answer with files, and says so in the change log.
func (b *bucket) deploy(host, deployment string, files map[string]string) {
	b.t.Helper()
	const project = "p1"
	var entries []site.FileEntry
	for path, text := range files {
		hash := site.HashOf([]byte(text))
		b.put(site.BlobKey(project, hash), []byte(text))
		body := site.BlobEntry{SHA256: hash, Size: int64(len(text))}
		for at := 0; at < len(text) && len(text) > site.ChunkSize; at += site.ChunkSize {
			body.Chunks = append(body.Chunks, site.HashOf([]byte(text[at:min(at+site.ChunkSize, len(text))])))
		}
		entries = append(entries, site.FileEntry{Path: path, ContentType: site.ContentType(path), Body: body})
	}
	m, err := site.NewManifest(site.Meta{}, entries)
	if err != nil {
		b.t.Fatal(err)
	}
	encoded, err := m.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(site.ManifestKey(project, deployment), encoded)
	generation := b.head.Seq + 1
	b.putJSON(site.ProjectKey(project), site.Project{ID: project, State: site.ProjectActive, Generation: 1})
	b.putJSON(site.RouteKey(host), site.Route{Host: host, Project: project, Deployment: deployment, Environment: site.Production, Generation: generation})
	b.head.Append(site.Change{Host: host, Generation: generation})
	b.putJSON(site.HeadKey, b.head)
}

func get(t *testing.T, addr, host, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestStartServesAndFollowsTheBucket(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "first"})
	r, err := caddymodule.Start(caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: t.TempDir(),
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := r.Addr().String()
	if status, body := get(t, addr, "a.localhost", "/"); status != 200 || body != "first" {
		t.Fatalf("got %d %q", status, body)
	}
	if status, _ := get(t, addr, "b.localhost", "/"); status != 404 {
		t.Fatalf("unknown host: %d", status)
	}
	published := time.Now()
	b.deploy("a.localhost", "d2", map[string]string{"/index.html": "second"})
	for body := ""; body != "second"; _, body = get(t, addr, "a.localhost", "/") {
		if time.Since(published) > 5*time.Second {
			t.Fatal("the second deployment does not appear")
		}
	}
	t.Logf("seen after %v", time.Since(published))
	if status, body := get(t, r.MetricsAddr().String(), "x", "/metrics"); status != 200 || !bytes.Contains([]byte(body), []byte(`mini_vercel_edge_requests_total{class="2xx",protocol="h1",result="memory"}`)) {
		t.Fatalf("metrics: %d", status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}
