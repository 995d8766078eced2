package caddymodule_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"
	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/certstore"
	"github.com/mini-vercel/mini-vercel/internal/pebble"
)

// certificates is an edge whose certificates come from Pebble and are kept in
// a bucket at an S3 service.
type certificates struct {
	t                   *testing.T
	sites               *bucket
	ca                  *pebble.CA
	gate                *gate
	storage             caddymodule.Storage
	httpPort, httpsPort int
	issuer              map[string]any
	log                 string // file
	dataDir             string
}

// gate stands before a service and can be shut.
type gate struct {
	*httptest.Server
	shut atomic.Bool
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.shut.Load() {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func newCertificates(t *testing.T, challenges ...string) *certificates {
	t.Helper()
	s3 := blobtest.StartS3(t)
	o := s3.NewBucket(t)
	ports := freePorts(t, 2)
	c := &certificates{
		t: t, sites: newBucket(t), gate: newGate(t, o.Endpoint), httpPort: ports[0], httpsPort: ports[1],
		ca:  pebble.Start(t, pebble.Options{HTTPPort: ports[0], TLSPort: ports[1], Blocked: []string{"refused.localhost"}}),
		log: filepath.Join(t.TempDir(), "log"), dataDir: t.TempDir(),
	}
	t.Setenv("EDGE_SECRET", firstSecret)
	t.Setenv("TEST_CERTS_SECRET", o.SecretAccessKey)
	c.storage = caddymodule.Storage{
		Bucket:   caddymodule.Bucket{Name: o.Bucket, Endpoint: c.gate.URL, Region: o.Region, AccessKeyID: o.AccessKeyID, SecretAccessKey: "{env.TEST_CERTS_SECRET}"},
		LocalDir: t.TempDir(),
	}
	ways := map[string]any{"http": map[string]any{"alternate_port": c.httpPort}, "tls-alpn": map[string]any{"alternate_port": c.httpsPort}}
	for name, way := range ways {
		if len(challenges) > 0 && name != challenges[0] {
			way.(map[string]any)["disabled"] = true
		}
	}
	c.issuer = map[string]any{
		"module": "acme", "ca": c.ca.Directory, "email": "ops@example.com", "trusted_roots_pem_files": []string{c.ca.RootFile}, "challenges": ways,
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(c.log); t.Failed() && err == nil {
			t.Logf("Caddy's log:\n%s", b[max(0, len(b)-6000):])
		}
	})
	return c
}

func (c *certificates) options() caddymodule.Options {
	storage := c.storage
	return caddymodule.Options{
		Listen: local4(c.httpPort), MetricsListen: "127.0.0.1:0", DataDir: c.dataDir, Certificates: &storage, GracePeriod: time.Second,
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: c.sites.dir}, BaseDomain: "localhost", StateDir: filepath.Join(c.dataDir, "state")},
	}
}

func local4(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// config adds HTTPS on demand to the edge's configuration: for every name, since
// it is not the permission that is tested here.
func (c *certificates) config(config map[string]any) {
	servers := config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
	servers["tls"] = map[string]any{
		"listen": []string{local4(c.httpsPort)}, "routes": servers["edge"].(map[string]any)["routes"],
		"automatic_https": map[string]any{"disable": true}, "protocols": []string{"h1", "h2"}, "tls_connection_policies": []any{map[string]any{}},
	}
	config["apps"].(map[string]any)["tls"] = map[string]any{
		"automation": map[string]any{
			"policies":  []any{map[string]any{"on_demand": true, "issuers": []any{c.issuer}, "disable_ocsp_stapling": true}},
			"on_demand": map[string]any{"permission": map[string]any{"module": "test_all"}},
		},
	}
	config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"level": "INFO", "writer": map[string]any{"output": "file", "filename": c.log}, "encoder": map[string]any{"format": "json"},
	}}}
}

// everyName is a permission for all names.
type everyName struct{}

func init() { caddy.RegisterModule(everyName{}) }

func (everyName) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.test_all", New: func() caddy.Module { return new(everyName) }}
}

func (everyName) CertificateAllowed(context.Context, string) error { return nil }

// start runs an edge and returns what stops it.
func (c *certificates) start() (stop func()) {
	c.t.Helper()
	load(c.t, c.options(), c.config)
	var once sync.Once
	stop = func() {
		once.Do(func() {
			if err := caddy.Stop(); err != nil {
				c.t.Error(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := caddymodule.Closed(ctx); err != nil {
				c.t.Error(err)
			}
		})
	}
	c.t.Cleanup(stop)
	return stop
}

func (c *certificates) active() *certstore.Storage {
	c.t.Helper()
	s, ok := caddy.ActiveContext().Storage().(*certstore.Storage)
	if !ok {
		c.t.Fatalf("the storage is a %T", caddy.ActiveContext().Storage())
	}
	return s
}

// handshake returns the certificate that the edge shows for a name.
func (c *certificates) handshake(name string, timeout time.Duration) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}} // looked at by the caller
	conn, err := dialer.DialContext(ctx, "tcp", local4(c.httpsPort))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func (c *certificates) mustShake(name string) *x509.Certificate {
	c.t.Helper()
	certificate, err := c.handshake(name, 30*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	return certificate
}

func (c *certificates) eventually(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			c.t.Fatalf("never happened: %s", what)
		}
	}
}

func TestCertificatesByEitherChallenge(t *testing.T) {
	for _, challenge := range []string{"http", "tls-alpn"} {
		t.Run(challenge, func(t *testing.T) {
			c := newCertificates(t, challenge)
			c.sites.deploy("kept.localhost", "d1", map[string]string{"/index.html": "home"})
			c.start()
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
				TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, local4(c.httpsPort))
				},
			}}
			response, err := client.Get("https://kept.localhost/")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			leaf := response.TLS.PeerCertificates[0]
			intermediates := x509.NewCertPool()
			for _, more := range response.TLS.PeerCertificates[1:] {
				intermediates.AddCert(more)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.ca.Roots(), Intermediates: intermediates, DNSName: "kept.localhost"}); err != nil {
				t.Errorf("not the CA's: %v", err)
			}
			if response.StatusCode != 200 || c.ca.Orders() != 1 {
				t.Errorf("%d, %d orders", response.StatusCode, c.ca.Orders())
			}
		})
	}
}

func TestHTTPSOutlivesTheBucketAndTheCA(t *testing.T) {
	c := newCertificates(t)
	stop := c.start()
	known := c.mustShake("kept.localhost")
	stop()

	c.gate.shut.Store(true)
	c.ca.Stop()
	stop = c.start() // from the copies alone
	if again := c.mustShake("kept.localhost"); again.SerialNumber.Cmp(known.SerialNumber) != 0 {
		t.Fatal("another certificate is shown")
	}
	if _, err := c.handshake("unseen.localhost", 20*time.Second); err == nil {
		t.Fatal("a certificate came from nowhere")
	}
	c.logged("the bucket of certificates can't be used")
	stop()

	// The bucket is back, the CA is not.
	c.gate.shut.Store(false)
	c.start()
	if again := c.mustShake("kept.localhost"); again.SerialNumber.Cmp(known.SerialNumber) != 0 {
		t.Fatal("another certificate is shown")
	}
	if _, err := c.handshake("unseen.localhost", 3*time.Second); err == nil {
		t.Fatal("a certificate came from nowhere")
	}
	c.logged("could not get certificate from issuer", "unseen.localhost")
	if again := c.mustShake("kept.localhost"); again.SerialNumber.Cmp(known.SerialNumber) != 0 {
		t.Fatal("another certificate is shown")
	}
	if c.ca.Orders() != 1 {
		t.Fatalf("%d orders", c.ca.Orders())
	}
}

// logged waits for a line that has all these texts.
func (c *certificates) logged(texts ...string) {
	c.t.Helper()
	c.eventually("the log says "+strings.Join(texts, ", "), func() bool {
		b, err := os.ReadFile(c.log)
		if err != nil {
			c.t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			found := true
			for _, text := range texts {
				found = found && strings.Contains(line, text)
			}
			if found {
				return true
			}
		}
		return false
	})
}

// A CA that refuses, or fails, is not asked again and again, however many
// visitors there are.
func TestACAThatFailsIsAskedFewTimes(t *testing.T) {
	var requests atomic.Int32
	failing := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	}))
	defer failing.Close()
	c := newCertificates(t)
	c.start()
	known := c.mustShake("kept.localhost")
	c.issuer["ca"] = failing.URL
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: failing.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c.issuer["trusted_roots_pem_files"] = []string{root}
	load(t, c.options(), c.config)
	var visitors sync.WaitGroup
	for range 50 {
		visitors.Go(func() {
			if _, err := c.handshake("ordered.localhost", 3*time.Second); err == nil {
				t.Error("a certificate came from nowhere")
			}
		})
	}
	visitors.Wait()
	c.logged("could not get certificate from issuer", "ordered.localhost")
	if n := requests.Load(); n == 0 || n > 10 {
		t.Errorf("the CA was asked %d times", n)
	}
	if again := c.mustShake("kept.localhost"); again.SerialNumber.Cmp(known.SerialNumber) != 0 {
		t.Error("another certificate is shown")
	}

	c.issuer["ca"], c.issuer["trusted_roots_pem_files"] = c.ca.Directory, []string{c.ca.RootFile}
	load(t, c.options(), c.config)
	for range 3 {
		if _, err := c.handshake("refused.localhost", 3*time.Second); err == nil {
			t.Fatal("the CA does not refuse it")
		}
	}
	c.logged("could not get certificate from issuer", "refused.localhost", "rejectedIdentifier")
}

func TestACertificateIsRenewedBehindTheVisitor(t *testing.T) {
	c := newCertificates(t)
	c.start()
	issuer := (&certmagic.ACMEIssuer{CA: c.ca.Directory}).IssuerKey()
	old, certificate, key := endsIn(t, "kept.localhost", 10*24*time.Hour)
	s := c.active()
	for name, value := range map[string][]byte{
		certmagic.StorageKeys.SitePrivateKey(issuer, "kept.localhost"): key,
		certmagic.StorageKeys.SiteCert(issuer, "kept.localhost"):       certificate,
		certmagic.StorageKeys.SiteMeta(issuer, "kept.localhost"):       []byte(`{"sans":["kept.localhost"]}`),
	} {
		if err := s.Store(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
	}
	if shown := c.mustShake("kept.localhost"); shown.SerialNumber.Cmp(old.SerialNumber) != 0 {
		t.Fatal("the visitor waited for the renewal, or got another certificate")
	}
	c.eventually("the renewed certificate is shown", func() bool {
		return c.mustShake("kept.localhost").SerialNumber.Cmp(old.SerialNumber) != 0
	})
	if c.ca.Orders() != 1 {
		t.Errorf("%d orders", c.ca.Orders())
	}
}

// endsIn makes a certificate of 90 days.
func endsIn(t *testing.T, name string, left time.Duration) (leaf *x509.Certificate, certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(left)
	leaf = &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{name}, NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until, AuthorityKeyId: []byte{1}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
