package certstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"iter"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// secretOf makes a secret from a letter, always the same.
func secretOf(letter byte) string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = letter*7 + byte(i)*13
	}
	return base64.StdEncoding.EncodeToString(b)
}

func secrets(t *testing.T, current string, previous ...string) *Secrets {
	t.Helper()
	s, err := ParseSecrets(current, append(previous, "")[0])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dirBucket(t *testing.T) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir(), blob.DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// edgeOptions make one edge differ from the others.
type edgeOptions struct {
	local   string
	secrets *Secrets
	log     *bytes.Buffer
	size    int64
}

// openEdge opens an edge's storage, closed when the test ends.
func openEdge(t *testing.T, bucket blob.Store, o edgeOptions) *Storage {
	t.Helper()
	if o.secrets == nil {
		o.secrets = secrets(t, secretOf('a'))
	}
	out := io.Discard
	if o.log != nil {
		out = o.log
	}
	s := New(Config{
		Open: func(context.Context) (Bucket, error) { return leftOpen{bucket}, nil }, Identity: bucket.Identity(),
		Secrets: o.secrets, LocalDir: o.local, LocalBytes: o.size, Log: slog.New(slog.NewTextHandler(out, nil)),
	})
	t.Cleanup(func() { s.Close() })
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	return s
}

// leftOpen is a bucket that several edges of a test use.
type leftOpen struct{ blob.Store }

func (leftOpen) Close() error { return nil }

var errAway = errors.New("connection refused")

// faulty is a bucket whose calls can be made to fail.
type faulty struct {
	blob.Store
	mu    sync.Mutex
	fault func(ctx context.Context, call, key string) error // before the call; nil: none
	after func(call, key string) error                      // instead of the answer
	calls int
}

func (f *faulty) set(fault func(ctx context.Context, call, key string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) setAfter(after func(call, key string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = after
}

func (f *faulty) away() { f.set(func(context.Context, string, string) error { return errAway }) }
func (f *faulty) back() { f.set(nil) }

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

func (f *faulty) before(ctx context.Context, call, key string) error {
	f.mu.Lock()
	f.calls++
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		return ctx.Err()
	}
	return fault(ctx, call, key)
}

func (f *faulty) answer(call, key string, err error) error {
	f.mu.Lock()
	after := f.after
	f.mu.Unlock()
	if err == nil && after != nil {
		return after(call, key)
	}
	return err
}

func (f *faulty) Get(ctx context.Context, key string, o blob.GetOptions) (*blob.Object, error) {
	if err := f.before(ctx, "get", key); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, key, o)
}

func (f *faulty) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := f.before(ctx, "stat", key); err != nil {
		return blob.Info{}, err
	}
	return f.Store.Stat(ctx, key)
}

func (f *faulty) Put(ctx context.Context, key string, body io.Reader, size int64, o blob.PutOptions) (blob.Info, error) {
	if err := f.before(ctx, "put", key); err != nil {
		return blob.Info{}, err
	}
	info, err := f.Store.Put(ctx, key, body, size, o)
	return info, f.answer("put", key, err)
}

func (f *faulty) Delete(ctx context.Context, keys ...string) error {
	if err := f.before(ctx, "delete", keys[0]); err != nil {
		return err
	}
	return f.answer("delete", keys[0], f.Store.Delete(ctx, keys...))
}

func (f *faulty) List(ctx context.Context, prefix string, o blob.ListOptions) iter.Seq2[blob.Info, error] {
	if err := f.before(ctx, "list", prefix); err != nil {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, err) }
	}
	return f.Store.List(ctx, prefix, o)
}

func newFaulty(t *testing.T) *faulty { return &faulty{Store: dirBucket(t)} }

func store(t *testing.T, s certmagic.Storage, key, value string) {
	t.Helper()
	if err := s.Store(t.Context(), key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func wantValue(t *testing.T, s certmagic.Storage, key, want string) {
	t.Helper()
	got, err := s.Load(t.Context(), key)
	if err != nil || string(got) != want {
		t.Fatalf("load %s: %.60q, %v; want %.60q", key, got, err, want)
	}
}

// obtained is what certmagic stores of a new certificate.
type obtained struct{ key, crt, json string }

const siteFolder = "certificates/ca/a.example.com"

func (o obtained) files() [][2]string {
	return [][2]string{{siteFolder + "/a.example.com.key", o.key}, {siteFolder + "/a.example.com.crt", o.crt}, {siteFolder + "/a.example.com.json", o.json}}
}

// obtain makes a certificate that ends then.
func obtain(t *testing.T, until time.Time) obtained {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"a.example.com"},
		NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return obtained{
		key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})),
		crt:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		json: `{"sans":["a.example.com"]}`,
	}
}

func (o obtained) store(t *testing.T, s *Storage) {
	t.Helper()
	for _, file := range o.files() {
		store(t, s, file[0], file[1])
	}
}

func (o obtained) want(t *testing.T, s *Storage) {
	t.Helper()
	for _, file := range o.files() {
		wantValue(t, s, file[0], file[1])
	}
}
