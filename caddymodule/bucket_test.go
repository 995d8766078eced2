package caddymodule_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestBucketCheck(t *testing.T) {
	t.Setenv("TEST_BUCKET", "sites")
	t.Setenv("TEST_EMPTY", "")
	for _, tt := range []struct {
		name   string
		bucket caddymodule.Bucket
		want   string // of the error; empty: none
	}{
		{"nothing", caddymodule.Bucket{}, "bucket is not set"},
		{"placeholders of nothing", caddymodule.Bucket{Directory: "{env.TEST_EMPTY}", Name: "{env.TEST_UNSET}"}, "bucket is not set"},
		{"a directory", caddymodule.Bucket{Directory: "/srv/bucket"}, ""},
		{"a directory and placeholders of nothing", caddymodule.Bucket{Directory: "/srv/bucket", Name: "{env.TEST_EMPTY}"}, ""},
		{"a directory and a name", caddymodule.Bucket{Directory: "/srv/bucket", Name: "sites"}, "a directory has no name"},
		{"a directory and a key", caddymodule.Bucket{Directory: "/srv/bucket", AccessKeyID: "k"}, "a directory has no name"},
		{"R2", caddymodule.Bucket{Name: "{env.TEST_BUCKET}", AccountID: "0123abcd", AccessKeyID: "k", SecretAccessKey: "s"}, ""},
		{"AWS, with a role", caddymodule.Bucket{Name: "sites", Region: "eu-central-1"}, ""},
		{"no name", caddymodule.Bucket{AccountID: "0123abcd"}, `"" is not the name of a bucket`},
		{"a path as name", caddymodule.Bucket{Name: "sites/a"}, "is not the name of a bucket"},
		{"an account and an endpoint", caddymodule.Bucket{Name: "sites", AccountID: "0123abcd", Endpoint: "https://s3.example.test"}, "use one"},
		{"half a key", caddymodule.Bucket{Name: "sites", AccessKeyID: "k"}, "one is missing"},
		{"the other half", caddymodule.Bucket{Name: "sites", SecretAccessKey: "s"}, "one is missing"},
		{"an endpoint without a scheme", caddymodule.Bucket{Name: "sites", Endpoint: "s3.example.test"}, "is not an address"},
		{"an endpoint with a path", caddymodule.Bucket{Name: "sites", Endpoint: "https://s3.example.test/sites"}, "is not an address"},
		{"an endpoint with a password", caddymodule.Bucket{Name: "sites", Endpoint: "https://a:b@s3.example.test"}, "is not an address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.bucket.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestBucketInJSON(t *testing.T) {
	for encoded, want := range map[string]caddymodule.Bucket{
		`"/srv/bucket"`:                {Directory: "/srv/bucket"},
		`{"directory": "/srv/bucket"}`: {Directory: "/srv/bucket"},
		`{"name": "a", "region": "b"}`: {Name: "a", Region: "b"},
	} {
		var got caddymodule.Bucket
		if err := json.Unmarshal([]byte(encoded), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", encoded, got, err)
		}
	}
	for _, encoded := range []string{`{"nane": "a"}`, `7`, `["a"]`} {
		if err := json.Unmarshal([]byte(encoded), &caddymodule.Bucket{}); err == nil {
			t.Errorf("%s is taken", encoded)
		}
	}
}

func TestBucketIdentityIsThatOfTheStore(t *testing.T) {
	t.Setenv("TEST_SECRET", "the-secret")
	for _, b := range []caddymodule.Bucket{
		{Directory: t.TempDir()},
		{Name: "sites", AccountID: "0123abcd", AccessKeyID: "k", SecretAccessKey: "{env.TEST_SECRET}"},
		{Name: "sites", Endpoint: "https://s3.example.test/", AccessKeyID: "k", SecretAccessKey: "the-secret"},
		{Name: "sites", Region: "eu-central-1", AccessKeyID: "k", SecretAccessKey: "the-secret"},
	} {
		id, err := b.Identity()
		if err != nil {
			t.Fatal(err)
		}
		store, err := b.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if id != store.Identity() || strings.Contains(id, "secret") {
			t.Errorf("%+v is %q, its store %q", b, id, store.Identity())
		}
	}
}

func TestAnEdgeServesFromS3(t *testing.T) {
	server := blobtest.StartS3(t)
	o := server.NewBucket(t)
	store, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b := &bucket{t: t, store: store}
	big := strings.Repeat("0123456789abcdef", 200_000) // four chunks
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "first", "/big.bin": big})
	t.Setenv("TEST_SECRET", o.SecretAccessKey)
	// What is not a read would fail with an edge's key.
	service, err := url.Parse(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var reads atomic.Int64
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		reads.Add(1)
		if r.In.Method != http.MethodGet && r.In.Method != http.MethodHead {
			t.Errorf("the edge sends %s %s", r.In.Method, r.In.URL.Path)
		}
		r.SetURL(service)
		r.Out.Host = r.In.Host // it is signed
	}})
	defer front.Close()
	o.Endpoint = front.URL
	app := caddymodule.App{
		Bucket:     caddymodule.Bucket{Name: o.Bucket, Endpoint: o.Endpoint, Region: o.Region, AccessKeyID: o.AccessKeyID, SecretAccessKey: "{env.TEST_SECRET}"},
		BaseDomain: "localhost", StateDir: t.TempDir(),
	}
	encoded, err := json.Marshal(app)
	if err != nil || strings.Contains(string(encoded), o.SecretAccessKey) {
		t.Errorf("the configuration holds the secret: %s, %v", encoded, err)
	}
	r, err := caddymodule.Start(caddymodule.Options{Listen: "127.0.0.1:0", DataDir: t.TempDir(), App: app})
	if err != nil {
		t.Fatal(err)
	}
	addr := r.Addr().String()
	if status, body := get(t, addr, "a.localhost", "/"); status != 200 || body != "first" {
		t.Errorf("got %d %q", status, body)
	}
	if status, body := get(t, addr, "a.localhost", "/big.bin"); status != 200 || body != big {
		t.Errorf("got %d and %d bytes of %d", status, len(body), len(big))
	}
	if status, _ := get(t, addr, "b.localhost", "/"); status != 404 {
		t.Errorf("unknown host: %d", status)
	}
	b.deploy("a.localhost", "d2", map[string]string{"/index.html": "second"})
	for body, deadline := "", time.Now().Add(20*time.Second); body != "second"; _, body = get(t, addr, "a.localhost", "/") {
		if time.Now().After(deadline) {
			t.Fatal("the second deployment does not appear")
		}
	}
	if reads.Load() == 0 {
		t.Error("nothing was read through the proxy")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAReloadTakesAnotherKey(t *testing.T) {
	at := blobtest.StartS3(t).NewBucket(t)
	store, err := blob.OpenS3(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b := &bucket{t: t, store: store}
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	b.deploy("b.localhost", "d1", map[string]string{"/index.html": "home"})
	o := caddymodule.Options{Listen: "127.0.0.1:0", DataDir: t.TempDir(), App: caddymodule.App{
		Bucket:     caddymodule.Bucket{Name: at.Bucket, Endpoint: at.Endpoint, Region: at.Region, AccessKeyID: at.AccessKeyID, SecretAccessKey: at.SecretAccessKey},
		BaseDomain: "localhost", StateDir: t.TempDir(),
	}}
	r := start(t, o)
	if status, _ := get(t, r.Addr().String(), "a.localhost", "/"); status != 200 {
		t.Fatalf("before: %d", status)
	}
	o.App.Bucket.SecretAccessKey = "wrong"
	addr := load(t, o, nil)["edge"]
	if status, _ := get(t, addr, "a.localhost", "/"); status != 200 {
		t.Errorf("what is kept, with a wrong key: %d", status)
	}
	if status, _ := get(t, addr, "b.localhost", "/"); status != 503 {
		t.Errorf("what is not, with a wrong key: %d", status)
	}
	o.App.Bucket.SecretAccessKey = at.SecretAccessKey
	addr = load(t, o, nil)["edge"]
	eventually(t, "the right key reads again", func() bool {
		status, _ := get(t, addr, "b.localhost", "/")
		return status == 200
	})
}
