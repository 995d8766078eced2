package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// certificateTime bounds a look at a domain's certificate; an edge may be
// getting one meanwhile.
const certificateTime = 5 * time.Second

// Certificate is what an edge shows for a domain. The control plane knows
// nothing of the edges' certificates: it makes a connection, as a visitor does.
type Certificate struct {
	State     CertificateState `json:"state"`
	Detail    string           `json:"detail"`              // the state in words
	Issuer    string           `json:"issuer,omitempty"`    // where there is one
	ExpiresAt *time.Time       `json:"expiresAt,omitempty"` // likewise
}

// CertificateState says how HTTPS stands.
type CertificateState string

// The states of a certificate.
const (
	CertificateOff       CertificateState = "off"       // the addresses of sites are HTTP here
	CertificateWaiting   CertificateState = "waiting"   // not before the domain routes
	CertificateValid     CertificateState = "valid"     // browsers take it
	CertificateUntrusted CertificateState = "untrusted" // browsers warn of it
	CertificateNone      CertificateState = "none"      // the edge has none for this name
	CertificateUnknown   CertificateState = "unknown"   // no edge could be asked
)

// CertificateStates are all of them.
var CertificateStates = []CertificateState{CertificateOff, CertificateWaiting, CertificateValid, CertificateUntrusted, CertificateNone, CertificateUnknown}

// certificate asks an edge for a domain's certificate. It connects to the
// platform's own address, never to one that the domain's owner chose.
func (s *Service) certificate(ctx context.Context, p *ProjectRow, d *Domain) *Certificate {
	switch {
	case s.config.SiteScheme != "https":
		return &Certificate{State: CertificateOff, Detail: "The addresses of sites are plain HTTP here, so no certificate is looked at."}
	case d.State == DomainPending || d.State == DomainStopped:
		return &Certificate{State: CertificateWaiting, Detail: "An edge gets a certificate when the domain is verified."}
	}
	ctx, cancel := context.WithTimeout(ctx, certificateTime)
	defer cancel()
	c := s.askEdge(ctx, p, d.Host)
	s.metrics.certificateChecks.WithLabelValues(string(c.State)).Inc()
	return c
}

func (s *Service) askEdge(ctx context.Context, p *ProjectRow, host string) *Certificate {
	addresses := slices.Clone(s.config.EdgeAddresses)
	if len(addresses) == 0 {
		edge, err := s.dns.Host(ctx, s.edgeName(p))
		if err != nil || len(edge.Addresses) == 0 {
			return &Certificate{State: CertificateUnknown, Detail: fmt.Sprintf("No edge could be asked: %s has no address.", s.edgeName(p))}
		}
		addresses = edge.Addresses
	}
	var conn net.Conn
	var err error
	for _, addr := range addresses[:min(len(addresses), 2)] {
		if conn, err = dialEdge(ctx, addr, s.config.SitePort); err == nil {
			break
		}
	}
	if err != nil {
		return &Certificate{State: CertificateUnknown, Detail: fmt.Sprintf("No edge answers at port %d from here, so nothing is known of the certificate.", s.config.SitePort)}
	}
	defer conn.Close()
	// Verified below: the certificate is to be seen also where it is not good.
	client := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err := client.HandshakeContext(ctx); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return &Certificate{State: CertificateNone, Detail: "The edge is still getting a certificate, or can't: look again in a minute."}
		}
		return &Certificate{State: CertificateNone, Detail: "The edge has no certificate for this domain yet. It orders one at the first visit; its log says why where that fails."}
	}
	return s.judgeCertificate(client.ConnectionState().PeerCertificates, host)
}

func dialEdge(ctx context.Context, addr netip.Addr, port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, certificateTime/2)
	defer cancel()
	return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
}

func (s *Service) judgeCertificate(chain []*x509.Certificate, host string) *Certificate {
	leaf := chain[0]
	issuer := leaf.Issuer.CommonName
	if len(leaf.Issuer.Organization) > 0 {
		issuer = leaf.Issuer.Organization[0]
	}
	c := &Certificate{State: CertificateValid, Issuer: issuer, ExpiresAt: &leaf.NotAfter, Detail: "Browsers trust the certificate. The edges renew it by themselves."}
	options := x509.VerifyOptions{DNSName: host, Intermediates: x509.NewCertPool(), Roots: s.config.CertificateRoots, CurrentTime: s.now()}
	for _, between := range chain[1:] {
		options.Intermediates.AddCert(between)
	}
	_, err := leaf.Verify(options)
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case err == nil:
		return c
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c.Detail = "The certificate is not valid at this time: the edges could not renew it, or a clock is wrong."
	case errors.As(err, &name):
		c.Detail = "The edge shows a certificate of another name."
	default:
		c.Detail = "Browsers warn of the certificate: they don't know who issued it. On one's own machine that is as it should be."
	}
	c.State = CertificateUntrusted
	return c
}
