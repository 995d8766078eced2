package certstore

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/pebble"
)

// edgeConfig is what makes an edge of a process of its own.
type edgeConfig struct {
	Bucket, LocalDir, Secret string
	Directory, RootFile      string
	HTTPPort, TLSPort        int
	DisableHTTP, DisableALPN bool
	Domain, Do               string // obtain or renew
}

const edgeVariable = "CERTSTORE_TEST_EDGE"

// TestMain runs an edge instead of the tests where one is wanted.
func TestMain(m *testing.M) {
	if text := os.Getenv(edgeVariable); text != "" {
		if err := runEdge(text); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runEdge says that it is ready, waits for a line, gets a certificate as an edge
// does, and prints its serial number.
func runEdge(text string) error {
	var c edgeConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	bucket, err := blob.OpenDir(c.Bucket, blob.DirOptions{})
	if err != nil {
		return err
	}
	parsed, err := ParseSecrets(c.Secret, "")
	if err != nil {
		return err
	}
	s := New(Config{
		Open: func(context.Context) (Bucket, error) { return bucket, nil }, Identity: bucket.Identity(),
		Secrets: parsed, LocalDir: c.LocalDir, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	defer s.Close()
	magic, err := newMagic(s, c)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if c.Do == "renew" {
		err = magic.RenewCertAsync(ctx, c.Domain, false)
	} else {
		err = magic.ObtainCertAsync(ctx, c.Domain)
	}
	if err != nil {
		return err
	}
	certificate, err := magic.CacheManagedCertificate(ctx, c.Domain)
	if err != nil {
		return err
	}
	fmt.Println("serial", certificate.Leaf.SerialNumber.Text(16))
	return nil
}

// newMagic is certmagic as Caddy sets it up, on a storage.
func newMagic(s certmagic.Storage, c edgeConfig) (*certmagic.Config, error) {
	trusted := x509.NewCertPool()
	root, err := os.ReadFile(c.RootFile)
	if err != nil {
		return nil, err
	}
	trusted.AppendCertsFromPEM(root)
	var magic *certmagic.Config
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zap.NewNop(),
	})
	magic = certmagic.New(cache, certmagic.Config{Storage: s, Logger: zap.NewNop(), DisableARI: true, OCSP: certmagic.OCSPConfig{DisableStapling: true}})
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: c.Directory, TrustedRoots: trusted, Email: "ops@example.com", Agreed: true, Logger: zap.NewNop(),
		AltHTTPPort: c.HTTPPort, AltTLSALPNPort: c.TLSPort, DisableHTTPChallenge: c.DisableHTTP, DisableTLSALPNChallenge: c.DisableALPN,
	})}
	return magic, nil
}

// fleet is a CA and a bucket of edges, which the CA finds behind one address.
type fleet struct {
	t      *testing.T
	ca     *pebble.CA
	config edgeConfig
	bucket *blob.Dir
	front  *certmagic.Config // the edge that the CA happens to reach
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, config: edgeConfig{
		Bucket: t.TempDir(), Secret: secretOf('a'),
		HTTPPort: web.Addr().(*net.TCPAddr).Port, TLSPort: secure.Addr().(*net.TCPAddr).Port,
	}}
	f.ca = pebble.Start(t, pebble.Options{HTTPPort: f.config.HTTPPort, TLSPort: f.config.TLSPort})
	f.config.Directory, f.config.RootFile = f.ca.Directory, f.ca.RootFile
	if f.bucket, err = blob.OpenDir(f.config.Bucket, blob.DirOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.bucket.Close() })
	f.front = f.edge(openEdge(t, f.bucket, edgeOptions{local: t.TempDir()}))
	server := &http.Server{Handler: f.front.Issuers[0].(*certmagic.ACMEIssuer).HTTPChallengeHandler(http.NotFoundHandler())}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(web) })
	serving.Go(func() {
		for {
			c, err := secure.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_ = tls.Server(c, f.front.TLSConfig()).Handshake() // the CA sees for itself
			})
		}
	})
	t.Cleanup(func() {
		server.Close()
		secure.Close()
		serving.Wait()
	})
	return f
}

// edge is one in this process.
func (f *fleet) edge(s *Storage) *certmagic.Config {
	f.t.Helper()
	magic, err := newMagic(s, f.config)
	if err != nil {
		f.t.Fatal(err)
	}
	return magic
}

// processes runs many edges at once, each a process, and returns the serial
// numbers of the certificates that they have then.
func (f *fleet) processes(count int, c edgeConfig) map[string]int {
	f.t.Helper()
	type child struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Scanner
		log *strings.Builder
	}
	var children []child
	for range count {
		c.LocalDir = f.t.TempDir()
		text, err := json.Marshal(c)
		if err != nil {
			f.t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), edgeVariable+"="+string(text), "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		log := &strings.Builder{}
		cmd.Stderr = log
		in, err := cmd.StdinPipe()
		if err != nil {
			f.t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			f.t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			f.t.Fatal(err)
		}
		children = append(children, child{cmd, in, bufio.NewScanner(out), log})
	}
	for _, child := range children {
		if !child.out.Scan() || child.out.Text() != "ready" {
			f.t.Fatalf("an edge did not start: %s %s", child.out.Text(), child.log)
		}
	}
	for _, child := range children {
		if _, err := io.WriteString(child.in, "go\n"); err != nil {
			f.t.Fatal(err)
		}
	}
	serials := map[string]int{}
	for _, child := range children {
		child.out.Scan()
		line := child.out.Text()
		if err := child.cmd.Wait(); err != nil {
			f.t.Errorf("an edge failed: %s: %s", line, child.log)
		}
		serials[line]++
	}
	return serials
}

func TestManyEdgesOrderOneCertificate(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			f := newFleet(t)
			c := f.config
			c.Domain = "new.example.com"
			c.DisableALPN, c.DisableHTTP = challenge == "http-01", challenge == "tls-alpn-01"
			serials := f.processes(20, c)
			if len(serials) != 1 || f.ca.Orders() != 1 || f.ca.Issued() != 1 || f.ca.Accounts() != 1 {
				t.Fatalf("%d orders, %d certificates, %d accounts; the edges have %v", f.ca.Orders(), f.ca.Issued(), f.ca.Accounts(), serials)
			}
			for _, bad := range f.leftovers() {
				t.Errorf("%s is left in the bucket", bad)
			}
		})
	}
}

// leftovers are the objects that should be gone when nothing is going on.
func (f *fleet) leftovers() []string {
	f.t.Helper()
	var keys []string
	for info, err := range f.bucket.List(f.t.Context(), "", blob.ListOptions{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		if strings.HasPrefix(info.Key, locksPrefix) || strings.Contains(info.Key, "rw_test") || strings.Contains(info.Key, "challenge_tokens") {
			keys = append(keys, info.Key)
		}
	}
	return keys
}

func TestManyEdgesRenewOnce(t *testing.T) {
	f := newFleet(t)
	c := f.config
	c.Domain, c.Do, c.DisableALPN = "a.example.com", "renew", true
	issuer := f.front.Issuers[0].IssuerKey()
	old := obtain(t, time.Now().Add(10*24*time.Hour)) // of 90
	s := f.front.Storage
	store(t, s, certmagic.StorageKeys.SitePrivateKey(issuer, c.Domain), old.key)
	store(t, s, certmagic.StorageKeys.SiteCert(issuer, c.Domain), old.crt)
	store(t, s, certmagic.StorageKeys.SiteMeta(issuer, c.Domain), old.json)
	serials := f.processes(20, c)
	if len(serials) != 1 || serials["serial 1"] != 0 || f.ca.Orders() != 1 {
		t.Fatalf("%d orders; the edges have %v", f.ca.Orders(), serials)
	}
}

func TestARevokedCertificateIsGoneFromEveryEdge(t *testing.T) {
	f := newFleet(t)
	const domain = "a.example.com"
	bucket := &faulty{Store: f.bucket}
	other := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.front.ObtainCertAsync(ctx, domain); err != nil {
		t.Fatal(err)
	}
	key := certmagic.StorageKeys.SiteCert(f.front.Issuers[0].IssuerKey(), domain)
	first := leafOf(t, other, key)
	if status := f.ca.Status(first.SerialNumber); status != "Valid" {
		t.Fatalf("the CA says %s", status)
	}
	if err := f.front.RevokeCert(ctx, domain, 4, false); err != nil {
		t.Fatal(err)
	}
	if status := f.ca.Status(first.SerialNumber); status != "Revoked" {
		t.Fatalf("the CA says %s", status)
	}
	for _, s := range []certmagic.Storage{f.front.Storage, other} {
		if _, err := s.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("an edge still has it: %v", err)
		}
	}
	if err := f.edge(other).ObtainCertAsync(ctx, domain); err != nil {
		t.Fatal(err)
	}
	if second := leafOf(t, f.front.Storage, key); second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Fatal("no new certificate was obtained")
	}
	if f.ca.Accounts() != 1 {
		t.Fatalf("%d accounts", f.ca.Accounts())
	}
}

// The bucket goes away when the order has been placed: the certificate is used,
// and is in the bucket when that is back.
func TestACertificateIsOrderedOnceThoughTheBucketGoesAwayMeanwhile(t *testing.T) {
	f := newFleet(t)
	const domain = "a.example.com"
	bucket := &faulty{Store: f.bucket}
	s := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
	bucket.set(func(_ context.Context, call, key string) error {
		if call == "put" && strings.Contains(key, "/certificates/") {
			bucket.away()
			return errAway
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	magic := f.edge(s)
	if err := magic.ObtainCertAsync(ctx, domain); err != nil {
		t.Fatal(err)
	}
	if err := magic.ObtainCertAsync(ctx, domain); err != nil {
		t.Fatal(err)
	}
	if _, err := magic.CacheManagedCertificate(ctx, domain); err != nil {
		t.Fatal(err)
	}
	if f.ca.Orders() != 1 {
		t.Fatalf("%d orders", f.ca.Orders())
	}
	key := certmagic.StorageKeys.SiteCert(f.front.Issuers[0].IssuerKey(), domain)
	if _, err := f.front.Storage.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the bucket was not away: %v", err)
	}
	bucket.back()
	// The lock that could not be given back would stand for 30 s of the clock.
	if err := f.bucket.Delete(ctx, lockKey("issue_cert_"+domain)); err != nil {
		t.Fatal(err)
	}
	for leaf := leafOf(t, s, key); ; {
		if value, err := f.front.Storage.Load(ctx, key); err == nil {
			if got := parseLeaf(t, value); got.SerialNumber.Cmp(leaf.SerialNumber) != 0 {
				t.Fatal("another certificate is in the bucket")
			}
			break
		}
		select {
		case <-time.After(50 * time.Millisecond): // between two looks
		case <-ctx.Done():
			t.Fatal("the certificate never came to the bucket")
		}
	}
}

func TestNothingIsOrderedWhileTheBucketIsAway(t *testing.T) {
	f := newFleet(t)
	bucket := &faulty{Store: f.bucket}
	s := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
	bucket.away()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	magic := f.edge(s)
	if err := magic.ObtainCertAsync(ctx, "a.example.com"); err == nil {
		// It may be there, for all this edge knows; then it must not load.
		if _, err := magic.CacheManagedCertificate(ctx, "a.example.com"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("got %v", err)
		}
	}
	if f.ca.Orders() != 0 {
		t.Fatalf("%d orders", f.ca.Orders())
	}
}

func leafOf(t *testing.T, s certmagic.Storage, key string) *x509.Certificate {
	t.Helper()
	value, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return parseLeaf(t, value)
}

func parseLeaf(t *testing.T, value []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(value)
	if block == nil {
		t.Fatalf("no certificate: %q", value)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}
