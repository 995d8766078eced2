package edge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ErrNoCertificate: the name may not have a certificate, and asking again
// changes nothing. Every other error of [Edge.Certificate] is a failure: the
// bucket could not be asked, or a budget is used up.
var ErrNoCertificate = errors.New("no certificate for that name")

// maxCertLabels is how many labels a name in a certificate has at most, as Let's
// Encrypt issues them.
const maxCertLabels = 10

// CertRules are what decides on certificates besides the routes.
type CertRules struct {
	// Wildcard: one certificate covers the hosts below the base domain, so none
	// of them gets its own.
	Wildcard bool
	// Stored reports whether there is a certificate for a name already.
	Stored func(ctx context.Context, name string) bool
	// Update changes the record of issuances that all edges share: change gets
	// what was stored last, or nothing, and returns what to store; nil stores
	// nothing. None: the CA is our own, and there is nothing to save.
	Update func(ctx context.Context, change func(record []byte) ([]byte, error)) error
	Limits CertLimits
}

// certHost is a host that may have a certificate.
type certHost struct {
	name       string
	registered string // the domain of it that somebody registered
	below      bool   // the base domain
	preview    bool
}

// Certificate decides whether a server name may have a certificate: nil where it
// may, whether it is stored already or is to be issued now. It is asked in
// handshakes for names whose certificate is not in memory, known and unknown
// ones, and says no at once wherever that needs no look-up. Unknown names are
// looked up within the budget of unknown hosts.
func (e *Edge) Certificate(ctx context.Context, name string, rules *CertRules) error {
	outcome, err := e.certificate(ctx, name, rules)
	e.metrics.certificates[outcome].Inc()
	return err
}

func (e *Edge) certificate(ctx context.Context, name string, rules *CertRules) (certOutcome, error) {
	below, err := e.certName(name)
	if err != nil {
		return certBadName, err
	}
	if below && rules.Wildcard {
		return certWildcard, fmt.Errorf("%w: the wildcard certificate covers %s", ErrNoCertificate, name)
	}
	_, v, _, err := e.resolver.find(ctx, name)
	switch {
	case errors.Is(err, errNoRoute):
		return certNoSite, fmt.Errorf("%w: no site is at %s", ErrNoCertificate, name)
	case err != nil:
		return certFailed, err
	case !v.live():
		return certNoSite, fmt.Errorf("%w: the site at %s is gone", ErrNoCertificate, name)
	}
	if rules.Update == nil {
		return certNew, nil
	}
	if rules.Stored(ctx, name) {
		e.issuing.done(name)
		return certStored, nil
	}
	registered, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		registered = name // a public suffix itself
	}
	return e.issuing.take(ctx, certHost{name, registered, below, v.preview}, rules)
}

// certName refuses what can't be the name of a site, without a look-up: server
// names are anybody's to send.
func (e *Edge) certName(name string) (below bool, err error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return false, fmt.Errorf("%w: %s is an IP address", ErrNoCertificate, name)
	}
	if normal, err := site.NormalHost(name); err != nil || normal != name || strings.Contains(name, "_") {
		return false, fmt.Errorf("%w: %.80q is not a host name", ErrNoCertificate, name)
	}
	dots := strings.Count(name, ".")
	if dots == 0 || dots >= maxCertLabels {
		return false, fmt.Errorf("%w: %s has %d labels, sites have 2 to %d", ErrNoCertificate, name, dots+1, maxCertLabels)
	}
	label, below := strings.CutSuffix(name, e.resolver.base)
	if name == e.resolver.base[1:] || below && strings.Contains(label, ".") {
		return false, fmt.Errorf("%w: hosts below %s have one label more, %s has not", ErrNoCertificate, e.resolver.base[1:], name)
	}
	return below, nil
}

// live reports whether the host has a site, be it suspended or protected.
func (v *hostView) live() bool {
	if v.route.Gone {
		return false
	}
	return v.project.record.value.Load().State != site.ProjectDeleted
}

// certOutcome is how a decision on a certificate ended.
type certOutcome uint8

const (
	certStored   certOutcome = iota // allowed, and there already
	certNew                         // allowed, to be issued
	certBadName                     // denied: no site can have that name
	certNoSite                      // denied: no site has that name
	certWildcard                    // denied: the wildcard certificate covers it
	certWait                        // failed: asked for a short while ago, and not issued
	certMinute                      // failed: the minute's issuances are used up
	certDomain                      // failed: the minute's issuances for the registered domain are
	certHours                       // failed: the issuances of three hours are
	certWeek                        // failed: the week's issuances below the base domain are
	certFailed                      // failed: bucket or storage could not be asked
	certOutcomes
)

// String returns the outcome as it stands in metrics.
func (o certOutcome) String() string {
	return [...]string{"stored", "new", "bad_name", "no_site", "wildcard", "wait", "minute", "domain", "hours", "week", "failed"}[o]
}
