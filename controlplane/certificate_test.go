package controlplane_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// TestACertificateIsSeenAtAnEdge looks at real TLS servers.
func TestACertificateIsSeenAtAnEdge(t *testing.T) {
	t.Parallel()
	edge := httptest.NewTLSServer(nil) // its certificate is of example.com
	defer edge.Close()
	none := httptest.NewUnstartedServer(nil)
	none.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no certificate") }}
	none.StartTLS()
	none.TLS.Certificates = nil
	defer none.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	portOf := func(a net.Addr) int { return a.(*net.TCPAddr).Port }
	trusted := x509.NewCertPool()
	trusted.AddCert(edge.Certificate())
	for _, row := range []struct {
		name, scheme, host string
		port               int
		roots              *x509.CertPool
		after              time.Duration
		unset              bool
		want               controlplane.CertificateState
	}{
		{name: "one that browsers trust", scheme: "https", host: "example.com", port: portOf(edge.Listener.Addr()), roots: trusted, want: controlplane.CertificateValid},
		{name: "of an unknown issuer", scheme: "https", host: "example.com", port: portOf(edge.Listener.Addr()), roots: x509.NewCertPool(), want: controlplane.CertificateUntrusted},
		{name: "of another name", scheme: "https", host: "example.org", port: portOf(edge.Listener.Addr()), roots: trusted, want: controlplane.CertificateUntrusted},
		{name: "of the past", scheme: "https", host: "example.com", port: portOf(edge.Listener.Addr()), roots: trusted, after: 70 * 365 * 24 * time.Hour, want: controlplane.CertificateUntrusted},
		{name: "none", scheme: "https", host: "example.com", port: portOf(none.Listener.Addr()), want: controlplane.CertificateNone},
		{name: "no edge", scheme: "https", host: "example.com", port: portOf(closed.Addr()), want: controlplane.CertificateUnknown},
		{name: "plain HTTP", scheme: "http", host: "example.com", port: 80, want: controlplane.CertificateOff},
		{name: "not verified", scheme: "https", host: "example.com", port: 443, unset: true, want: controlplane.CertificateWaiting},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newDomainPlane(t, func(p *plane) {
				p.config.EdgeAddresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
				p.config.SiteScheme, p.config.SitePort, p.config.CertificateRoots = row.scheme, row.port, row.roots
			})
			project := p.project("repo")
			d := p.add(project.ID, row.host)
			if !row.unset {
				p.publishRecords(d)
			}
			p.clock.Advance(row.after)
			d = p.verify(project.ID, row.host)
			if c := d.Certificate; c == nil || c.State != row.want || c.Detail == "" || (c.ExpiresAt != nil) != (c.State == controlplane.CertificateValid || c.State == controlplane.CertificateUntrusted) {
				t.Errorf("%+v", c)
			}
		})
	}
}
