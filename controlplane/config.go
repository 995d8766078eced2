package controlplane

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"runtime"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Config is what a [Service] needs to know. Zero values stand for the defaults
// that are named here, but for BaseDomain, PublicURL and MasterKey, which must
// be given.
type Config struct {
	// BaseDomain is what the hosts of all sites are below, such as "localhost".
	BaseDomain string
	// SiteScheme and SitePort make the addresses of sites. Default: "http", 80.
	SiteScheme string
	SitePort   int
	// PublicURL is the address at which builders reach this control plane.
	PublicURL string

	// OwnHosts are names of the platform, such as the dashboard's: they and what
	// is below them can't be custom domains.
	OwnHosts []string

	// DNSResolver is the host:port of the resolver that is asked about custom
	// domains. Default: the system's.
	DNSResolver string
	// EdgeCNAME is the name that custom domains are aliases of. Default: the
	// project's own host below BaseDomain.
	EdgeCNAME string
	// EdgeAddresses are the edges', for domains that can't be aliases. Default:
	// those are told to be aliases all the same, as many DNS providers can.
	EdgeAddresses []netip.Addr
	// MaxDomains is how many domains a project has. Default: 50.
	MaxDomains int
	// CertificateRoots are the issuers that browsers trust. Default: the
	// system's.
	CertificateRoots *x509.CertPool

	// EdgeURL is the address of an edge that may be asked what it has cached.
	// Default: none is.
	EdgeURL *url.URL

	// MasterKey is 32 random bytes. Attempt tokens are recomputed from it, and
	// what is secret is encrypted with keys that are derived from it.
	MasterKey []byte

	// Limits bound each deployment. Default: site.DefaultLimits.
	Limits site.Limits
	// MaxBuilds is how many builds run at once. Default: the cores.
	MaxBuilds int
	// MaxProjectBuilds is how many of them belong to one project. Default: 1.
	MaxProjectBuilds int
	// MaxDetections is how many detections run at once. Default: 4.
	MaxDetections int
	// ClaimTime is how long a builder has from its start until it claims its
	// attempt. Default: 2 minutes.
	ClaimTime time.Duration
	// DetectTime is how long a detection may take, its builder's start included.
	// Default: 30 s.
	DetectTime time.Duration
	// AllowLocalGit allows file: URLs and http to loopback.
	AllowLocalGit bool

	// Exclusive says that no other control plane uses this database, so that
	// what one has claimed before this start is nobody's now.
	Exclusive bool
	// HeadInterval is the least time between two writes of the change log's
	// head. Default: none; on S3, where one key takes no more, a second.
	HeadInterval time.Duration

	// Retention is how long a ready deployment is kept that no route but its own
	// names and that is not among the newest KeepDeployments of its project.
	// Default: 30 days; negative: for ever.
	Retention time.Duration
	// KeepDeployments is how many ready deployments each project keeps, whatever
	// their age. Default: 20; negative: none.
	KeepDeployments int
	// FailedRetention is how long failed and canceled deployments are listed.
	// Default: 30 days; negative: for ever.
	FailedRetention time.Duration
	// LogRetention is how long logs are kept, counted in days from the one on
	// which their deployment was created. Default: 30 days; negative: for ever.
	LogRetention time.Duration

	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// withDefaults returns c with its zero values filled in.
func (c Config) withDefaults() Config {
	set(&c.SiteScheme, "http")
	set(&c.SitePort, 80)
	set(&c.Limits, site.DefaultLimits())
	set(&c.MaxBuilds, runtime.NumCPU())
	set(&c.MaxProjectBuilds, 1)
	set(&c.MaxDetections, 4)
	set(&c.ClaimTime, 2*time.Minute)
	set(&c.DetectTime, 30*time.Second)
	set(&c.MaxDomains, 50)
	set(&c.Retention, 30*24*time.Hour)
	set(&c.KeepDeployments, 20)
	set(&c.FailedRetention, 30*24*time.Hour)
	set(&c.LogRetention, 30*24*time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
