package caddymodule_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

// silentCA is the directory of a CA that never answers: every certificate is to
// be issued, and none is.
func silentCA(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "https://" + l.Addr().String() + "/directory"
}

func TestBudgetsAreKeptInTheStorage(t *testing.T) {
	b := newBucket(t)
	hosts := []string{"a.sites.test", "b.sites.test", "c.sites.test", "www.example.org"}
	for i, host := range hosts {
		b.deploy(host, fmt.Sprintf("d%d", i), map[string]string{"/index.html": host})
	}
	dir, port := t.TempDir(), freePort(t)
	directory := silentCA(t)
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: dir,
		HTTPS: caddymodule.HTTPS{
			Listen: local(port), ACME: &caddymodule.ACME{Directory: directory},
			Permission: caddymodule.Permission{PerMinute: 2, PerDomain: 2, PerWeek: 9},
		},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "sites.test", StateDir: t.TempDir()},
	}
	r := startIn(t, dir, o)
	metrics := r.MetricsAddr().String()
	want := func(host, outcome, count string) {
		t.Helper()
		// Caddy goes on trying for minutes, with the handshake waiting.
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if c, err := insecure(host).DialContext(ctx, "tcp", local(port)); err == nil {
				c.Close()
				t.Errorf("%s got a certificate", host)
			}
		}()
		name := `mini_vercel_edge_certificate_decisions_total{outcome="` + outcome + `"}`
		eventually(t, host+" is "+outcome, func() bool { return metric(t, metrics, name) == count })
		leave()
		<-left
	}
	want(hosts[0], "new", "1")
	want(hosts[1], "new", "2")
	want(hosts[2], "minute", "1")
	record, err := os.ReadFile(filepath.Join(dir, "mini_vercel", "issuances.json"))
	if err != nil || strings.Count(string(record), `"name"`) != 2 || !strings.Contains(string(record), hosts[0]) || strings.Contains(string(record), hosts[2]) {
		t.Errorf("the record: %s %v", record, err)
	}
	if locks, _ := filepath.Glob(filepath.Join(dir, "locks", "*issuances*")); len(locks) != 0 {
		t.Errorf("locks are left: %v", locks)
	}

	// One that is in the storage needs none of it.
	issuer := (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
	certificate, key := selfSigned(t, hosts[3])
	for name, content := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(issuer, hosts[3]):       certificate,
		certmagic.StorageKeys.SitePrivateKey(issuer, hosts[3]): key,
		certmagic.StorageKeys.SiteMeta(issuer, hosts[3]):       []byte("{}"),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := insecure(hosts[3]).Dial("tcp", local(port))
	if err != nil {
		t.Fatalf("with a certificate in the storage: %v", err)
	}
	c.Close()
	if got := metric(t, metrics, `mini_vercel_edge_certificate_decisions_total{outcome="stored"}`); got != "1" {
		t.Errorf("%s stored", got)
	}
}

// TestAStorageThatFailsIsAFailure: what can't be entered is not issued.
func TestAStorageThatFailsIsAFailure(t *testing.T) {
	b := newBucket(t)
	b.deploy("d.sites.test", "d1", nil)
	dir, port := t.TempDir(), freePort(t)
	o := caddymodule.Options{
		MetricsListen: "127.0.0.1:0",
		HTTPS:         caddymodule.HTTPS{Listen: local(port), ACME: &caddymodule.ACME{Directory: silentCA(t)}},
		App:           caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "sites.test"},
	}
	r := startIn(t, dir, o)
	if err := os.WriteFile(filepath.Join(dir, "mini_vercel"), nil, 0o600); err != nil { // a file where a directory should be
		t.Fatal(err)
	}
	if c, err := insecure("d.sites.test").Dial("tcp", local(port)); err == nil {
		c.Close()
		t.Error("it got a certificate")
	}
	if got := metric(t, r.MetricsAddr().String(), `mini_vercel_edge_certificate_decisions_total{outcome="failed"}`); got != "1" {
		t.Errorf("%s failed", got)
	}
}

// insecure asks for a name and trusts everybody.
func insecure(name string) *tls.Dialer {
	return &tls.Dialer{NetDialer: &net.Dialer{Timeout: 20 * time.Second}, Config: &tls.Config{ServerName: name, InsecureSkipVerify: true}}
}

// selfSigned makes a certificate that nobody issued, in PEM.
func selfSigned(t *testing.T, host string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}
