package caddymodule_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/certstore"
)

const (
	firstSecret  = "XfGeC1bkQ0Jp7nW3mRzTqYv5sH8uLaKd2oPiEx4NcVg="
	secondSecret = "0b5c2f9a4e7d13688ac1f05d9be2437640fd81c7ae52936b1d08e4fa7c39b265"
)

// stored is an edge with a storage in a directory, without HTTPS.
func stored(t *testing.T) caddymodule.Options {
	t.Helper()
	t.Setenv("EDGE_SECRET", firstSecret)
	return caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: t.TempDir(),
		App:          caddymodule.App{Bucket: caddymodule.Bucket{Directory: newBucket(t).dir}, BaseDomain: "localhost", StateDir: t.TempDir()},
		Certificates: &caddymodule.Storage{Bucket: caddymodule.Bucket{Directory: t.TempDir()}, LocalDir: t.TempDir()},
	}
}

func TestAReloadKeepsLocksAndCounters(t *testing.T) {
	o := stored(t)
	r := start(t, o)
	storage := caddy.ActiveContext().Storage().(*certstore.Storage)
	if len(r.Collectors()) <= len(storage.Metrics().Collectors()) {
		t.Error("the storage's metrics are not among the edge's")
	}
	if err := storage.Lock(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	addrs := load(t, o, nil)
	if again := caddy.ActiveContext().Storage(); again != certmagic.Storage(storage) {
		t.Fatal("a reload makes another storage")
	}
	if won, err := storage.TryLock(t.Context(), "x"); won || err != nil {
		t.Fatalf("the lock is gone: %v %v", won, err)
	}
	if got := metric(t, addrs["metrics"], `mini_vercel_edge_certificate_storage_operations_total{operation="lock",result="ok"}`); got != "1" {
		t.Errorf("%s locks", got)
	}
	if got := metric(t, addrs["metrics"], `mini_vercel_edge_certificates{days_left="30"}`); got != "0" {
		t.Errorf("%s certificates", got)
	}

	// A configuration that can't be loaded changes nothing.
	bad := o
	bad.Certificates = &caddymodule.Storage{Bucket: o.Certificates.Bucket, LocalDir: o.Certificates.LocalDir, Secret: secondSecret}
	encoded, err := caddymodule.Config(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(encoded, true); err == nil || !strings.Contains(err.Error(), "EDGE_SECRET") {
		t.Fatalf("a wrong secret was loaded: %v", err)
	}
	if err := storage.Store(t.Context(), "a", []byte("1")); err != nil {
		t.Fatal(err)
	}

	// The fleet changes its secret: the storage is another, what is in it is not.
	bad.Certificates.PreviousSecret = firstSecret
	load(t, bad, nil)
	value, err := caddy.ActiveContext().Storage().Load(t.Context(), "a")
	if err != nil || string(value) != "1" {
		t.Fatalf("%q %v", value, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := caddymodule.Closed(ctx); err != nil {
		t.Fatal(err)
	}
	if err := storage.Store(t.Context(), "a", nil); !errors.Is(err, certstore.ErrClosed) {
		t.Fatalf("the storage before is still open: %v", err)
	}
	if won, err := caddy.ActiveContext().Storage().(*certstore.Storage).TryLock(t.Context(), "x"); !won || err != nil {
		t.Fatalf("the storage before has left its lock: %v %v", won, err)
	}
}

func TestAStartNamesWhatIsWrongWithTheStorage(t *testing.T) {
	for _, test := range []struct {
		name           string
		secret, before string
		bucket         caddymodule.Bucket
		want           string
	}{
		{"no secret", "", "", caddymodule.Bucket{Directory: "/srv"}, "EDGE_SECRET is not set"},
		{"a short one", "c2hvcnQ=", "", caddymodule.Bucket{Directory: "/srv"}, "EDGE_SECRET has 5 bytes"},
		{"a bad one before", firstSecret, "x", caddymodule.Bucket{Directory: "/srv"}, "EDGE_SECRET_PREVIOUS is neither"},
		{"no bucket", firstSecret, "", caddymodule.Bucket{}, "bucket is not set"},
		{"half a key", firstSecret, "", caddymodule.Bucket{Name: "certificates", Region: "auto", AccessKeyID: "k"}, "one is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := stored(t)
			t.Setenv("EDGE_SECRET", test.secret)
			t.Setenv("EDGE_SECRET_PREVIOUS", test.before)
			o.Certificates.Bucket = test.bucket
			r, err := caddymodule.Start(o)
			if err == nil {
				stop(t, r)
				t.Fatal("it was started")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), firstSecret) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestValidatingOpensNoStorage(t *testing.T) {
	o := stored(t)
	o.Certificates.Bucket.Directory = filepath.Join(t.TempDir(), "bucket")
	o.Certificates.LocalDir = filepath.Join(t.TempDir(), "local")
	encoded, err := caddymodule.Config(o)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(encoded), firstSecret) {
		t.Error("the secret stands in the configuration")
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(encoded, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{o.Certificates.Bucket.Directory, o.Certificates.LocalDir} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
