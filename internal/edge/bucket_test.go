package edge_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	projectID = "5f0c3a1e-0000-4000-8000-000000000001"
	hostName  = "site.example.test"
	baseName  = "example.test"
)

// bucket is a real bucket, a directory unless a test brings another, that fails,
// hangs and lies when a test tells it to.
type bucket struct {
	blob.Store
	Dir blob.Store // the same, without faults
	t   testing.TB

	mu         sync.Mutex
	gets       map[string]int
	fault      func(ctx context.Context, key string) error
	tamper     func(key string, body []byte) []byte
	head       site.Head
	generation int64
}

func newBucket(t testing.TB) *bucket {
	t.Helper()
	dir, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return newBucketOn(t, dir)
}

func newBucketOn(t testing.TB, store blob.Store) *bucket {
	return &bucket{Store: store, Dir: store, t: t, gets: map[string]int{}}
}

func (b *bucket) Get(ctx context.Context, key string, opts blob.GetOptions) (*blob.Object, error) {
	b.mu.Lock()
	b.gets[key]++
	fault, tamper := b.fault, b.tamper
	b.mu.Unlock()
	if fault != nil {
		if err := fault(ctx, key); err != nil {
			return nil, err
		}
	}
	object, err := b.Dir.Get(ctx, key, opts)
	if err != nil || tamper == nil {
		return object, err
	}
	body, err := io.ReadAll(object.Body)
	object.Body.Close()
	object.Body = io.NopCloser(bytes.NewReader(tamper(key, body)))
	return object, err
}

// breaks makes every read do what fault says; nil mends it.
func (b *bucket) breaks(fault func(ctx context.Context, key string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// lies makes every read return what tamper makes of the bytes.
func (b *bucket) lies(tamper func(key string, body []byte) []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tamper = tamper
}

// reads returns how often a key was read.
func (b *bucket) reads(key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gets[key]
}

var errAway = errors.New("the bucket is away")

func away(context.Context, string) error { return errAway }

func (b *bucket) put(key string, body []byte) {
	b.t.Helper()
	if _, err := b.Dir.Put(context.Background(), key, bytes.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bucket) putJSON(key string, v any) {
	b.t.Helper()
	encoded, err := site.EncodeRecord(v)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(key, encoded)
}

// file is a file of a deployment that a test makes.
type file struct {
	body      string
	immutable bool
	variants  map[site.Encoding]string
}

type files map[string]file

// texts makes files of texts.
func texts(paths map[string]string) files {
	all := files{}
	for path, text := range paths {
		all[path] = file{body: text}
	}
	return all
}

func (b *bucket) blob(text string) site.BlobEntry {
	entry := site.BlobEntry{SHA256: site.HashOf([]byte(text)), Size: int64(len(text))}
	if _, err := b.Stat(context.Background(), site.BlobKey(projectID, entry.SHA256)); err != nil {
		b.put(site.BlobKey(projectID, entry.SHA256), []byte(text))
	}
	if len(text) > site.ChunkSize {
		for at := 0; at < len(text); at += site.ChunkSize {
			entry.Chunks = append(entry.Chunks, site.HashOf([]byte(text[at:min(at+site.ChunkSize, len(text))])))
		}
	}
	return entry
}

// upload writes a deployment's blobs and manifest, with the rules that meta has
// as sources.
func (b *bucket) upload(deployment string, meta site.Meta, all files) {
	b.t.Helper()
	var entries []site.FileEntry
	for path, f := range all {
		entry := site.FileEntry{Path: path, ContentType: site.ContentType(path), Immutable: f.immutable, Body: b.blob(f.body)}
		for encoding, text := range f.variants {
			variant := b.blob(text)
			entry.Variants[encoding] = &variant
		}
		entries = append(entries, entry)
	}
	m, err := site.NewManifest(meta, entries)
	if err != nil {
		b.t.Fatal(err)
	}
	if problems, err := m.Compile(site.Serving{HTMLHandling: meta.HTMLHandling, NotFound: meta.NotFound}); err != nil || len(problems) > 0 {
		b.t.Fatal(problems, err)
	}
	encoded, err := m.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(site.ManifestKey(projectID, deployment), encoded)
}

// route publishes a route and names it in the change log.
func (b *bucket) route(r site.Route) {
	b.t.Helper()
	if r.Host == "" {
		r.Host = hostName
	}
	if r.Environment == "" {
		r.Environment = site.Production
	}
	r.Project = projectID
	b.generation++
	r.Generation = b.generation
	b.putJSON(site.RouteKey(r.Host), r)
	b.publish(site.Change{Host: r.Host, Generation: r.Generation})
}

// project publishes the project's record and names it in the change log.
func (b *bucket) project(p site.Project) {
	b.t.Helper()
	p.ID = projectID
	if p.State == "" {
		p.State = site.ProjectActive
	}
	b.generation++
	p.Generation = b.generation
	b.putJSON(site.ProjectKey(projectID), p)
	b.publish(site.Change{Project: projectID, Generation: p.Generation})
}

func (b *bucket) publish(changes ...site.Change) {
	b.t.Helper()
	b.head.Append(changes...)
	b.putJSON(site.HeadKey, b.head)
}

// deploy makes the host answer with files.
func (b *bucket) deploy(deployment string, meta site.Meta, all files) {
	b.t.Helper()
	b.upload(deployment, meta, all)
	if b.generation == 0 {
		b.project(site.Project{})
	}
	b.route(site.Route{Deployment: deployment})
}

// newEdge starts an edge on a bucket; options change its configuration.
func newEdge(t testing.TB, b blob.Store, options ...func(*edge.Config)) *edge.Edge {
	t.Helper()
	config := edge.Config{Store: b, BaseDomain: baseName, Pace: edge.Pace{Poll: 2 * time.Millisecond, ReadTimeout: 5 * time.Second}}
	for _, option := range options {
		option(&config)
	}
	e, err := edge.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// client asks an edge through real HTTP.
type client struct {
	t      testing.TB
	server *httptest.Server
	http   *http.Client
}

func newClient(t testing.TB, e *edge.Edge) *client {
	t.Helper()
	server := httptest.NewServer(handler(e))
	t.Cleanup(server.Close)
	return &client{t, server, &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// handler is how an edge answers net/http's requests. Their client is who a test
// says it is.
func handler(e *edge.Edge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q edge.Request
		q.From(r)
		q.Receive(w, r, cmp.Or(r.Header.Get("X-Test-Client"), r.RemoteAddr))
		a := e.Answer(r.Context(), &q)
		if err := a.Write(r.Context(), w); errors.Is(err, edge.ErrCut) {
			panic(http.ErrAbortHandler)
		}
	})
}

// answer is a response whose body was read.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// do sends a request whose path goes out exactly as it is written. Headers are
// "Name: value".
func (c *client) do(method, host, path string, headers ...string) answer {
	c.t.Helper()
	r, err := http.NewRequest(method, c.server.URL, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.URL.RawPath, r.URL.RawQuery, _ = strings.Cut(path, "?")
	if r.URL.Path, err = url.PathUnescape(r.URL.RawPath); err != nil {
		c.t.Fatal(err)
	}
	r.Host = host
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s%s: %v", method, host, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body), err}
}

func (c *client) get(path string, headers ...string) answer {
	c.t.Helper()
	return c.do(http.MethodGet, hostName, path, headers...)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
