package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"github.com/caddyserver/certmagic"

	"github.com/mini-vercel/mini-vercel/internal/edge"
)

func init() { caddy.RegisterModule(Permission{}) }

// Permission lets hosts that have a live site get a certificate on demand, and
// no others. It answers from the routes of the app mini_vercel.
//
// New certificates come out of budgets, which all edges share that have the same
// storage: a CA has limits of its own, and where they are used up nobody gets a
// certificate. What is stored already and what an internal CA issues costs
// nothing. A name that no budget has room for is refused for the time being.
type Permission struct {
	// How many certificates are issued in one minute. Default: 30.
	PerMinute int `json:"per_minute,omitempty"`

	// How many certificates are issued in one minute for the names of one
	// registered domain. Default: 5.
	PerDomain int `json:"per_domain,omitempty"`

	// How many certificates are issued in three hours. Default: 250; Let's Encrypt
	// gives an account 300.
	PerThreeHours int `json:"per_three_hours,omitempty"`

	// How many certificates are issued in seven days for hosts below the base
	// domain. Default: 40; Let's Encrypt gives a registered domain 50.
	PerWeek int `json:"per_week,omitempty"`

	// How many of these may be for previews: the rest is kept for production
	// hosts. Default: half.
	PreviewsPerWeek int `json:"previews_per_week,omitempty"`

	// The time until a name is asked for again that did not get its certificate;
	// it doubles each time, up to an hour. Default: 1 minute.
	Retry caddy.Duration `json:"retry,omitempty"`

	ctx      caddy.Context
	shared   *shared
	wildcard string // the name that covers the hosts below the base domain
}

// CaddyModule returns the Caddy module information.
func (Permission) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.permission.mini_vercel", New: func() caddy.Module { return new(Permission) }}
}

// Provision checks the limits and finds the app's edge.
func (p *Permission) Provision(ctx caddy.Context) error {
	for name, value := range map[string]int64{
		"per_minute": int64(p.PerMinute), "per_domain": int64(p.PerDomain), "per_three_hours": int64(p.PerThreeHours), "per_week": int64(p.PerWeek),
		"previews_per_week": int64(p.PreviewsPerWeek), "retry": int64(p.Retry),
	} {
		if value < 0 {
			return fmt.Errorf("the permission mini_vercel: %s must not be negative", name)
		}
	}
	if p.PreviewsPerWeek > 0 && p.PerWeek > 0 && p.PreviewsPerWeek > p.PerWeek {
		return fmt.Errorf("the permission mini_vercel: previews_per_week %d is more than per_week %d, which it is a part of", p.PreviewsPerWeek, p.PerWeek)
	}
	app, err := ctx.App(appID)
	if err != nil {
		return fmt.Errorf("the permission mini_vercel needs the app mini_vercel: %w", err)
	}
	p.ctx, p.shared, p.wildcard = ctx, app.(*App).shared, "*."+app.(*App).BaseDomain
	return nil
}

// CertificateAllowed returns nil where name may have a certificate. The error
// wraps Caddy's ErrPermissionDenied where it may not; any other says why that
// could not be found out, or that a budget is used up.
func (p *Permission) CertificateAllowed(ctx context.Context, name string) error {
	e, err := p.shared.begin()
	if err != nil {
		return err
	}
	defer p.shared.done()
	rules, err := p.rules(name)
	if err != nil {
		return err
	}
	err = e.Certificate(ctx, name, rules)
	if errors.Is(err, edge.ErrNoCertificate) {
		return fmt.Errorf("%w: %w", caddytls.ErrPermissionDenied, err)
	}
	return err
}

// rules returns what the TLS app's configuration says of a name.
func (p *Permission) rules(name string) (*edge.CertRules, error) {
	app, err := p.ctx.AppIfConfigured("tls")
	if err != nil {
		return nil, err
	}
	rules := &edge.CertRules{Limits: edge.CertLimits{
		PerMinute: p.PerMinute, PerDomain: p.PerDomain, PerThreeHours: p.PerThreeHours, PerWeek: p.PerWeek, PreviewsPerWeek: p.PreviewsPerWeek, Retry: time.Duration(p.Retry),
	}}
	var issuers []certmagic.Issuer
	policies := app.(*caddytls.TLS).Automation.Policies
	for _, policy := range policies {
		rules.Wildcard = rules.Wildcard || slices.Contains(policy.Subjects(), p.wildcard)
	}
	// The first that covers the name is the one that Caddy takes.
	at := slices.IndexFunc(policies, func(policy *caddytls.AutomationPolicy) bool {
		covers := func(subject string) bool { return certmagic.MatchWildcard(name, subject) }
		return len(policy.Subjects()) == 0 || slices.ContainsFunc(policy.Subjects(), covers)
	})
	if at >= 0 {
		issuers = policies[at].Issuers
	}
	if len(issuers) == 0 {
		issuers = []certmagic.Issuer{&certmagic.ACMEIssuer{CA: certmagic.DefaultACME.CA}} // as Caddy does
	}
	if !slices.ContainsFunc(issuers, isPublic) {
		return rules, nil
	}
	rules.Stored = func(ctx context.Context, name string) bool { return stored(ctx, p.ctx.Storage(), issuers, name) }
	rules.Update = func(ctx context.Context, change func([]byte) ([]byte, error)) error {
		return update(ctx, p.ctx.Storage(), change)
	}
	return rules, nil
}

// isPublic reports whether a CA is somebody else's, who counts what is issued.
func isPublic(issuer certmagic.Issuer) bool {
	_, internal := issuer.(*caddytls.InternalIssuer)
	return !internal
}

// stored reports whether a name's certificate by one of the issuers is in the
// storage, or one of the wildcard that is used in its place.
func stored(ctx context.Context, storage certmagic.Storage, issuers []certmagic.Issuer, name string) bool {
	_, parent, _ := strings.Cut(name, ".")
	for _, subject := range []string{name, "*." + parent} {
		for _, issuer := range issuers {
			key := issuer.IssuerKey()
			if storage.Exists(ctx, certmagic.StorageKeys.SiteCert(key, subject)) &&
				storage.Exists(ctx, certmagic.StorageKeys.SitePrivateKey(key, subject)) {
				return true
			}
		}
	}
	return false
}

// issuancesKey is where the storage has the record of issuances, and the name of
// the lock under which it changes.
const issuancesKey = "mini_vercel/issuances.json"

// unlockTime is how long giving a lock back may take.
const unlockTime = 10 * time.Second

// update changes the record of issuances for all edges that share the storage.
func update(ctx context.Context, storage certmagic.Storage, change func([]byte) ([]byte, error)) (err error) {
	if err := storage.Lock(ctx, issuancesKey); err != nil {
		return fmt.Errorf("lock %s: %w", issuancesKey, err)
	}
	defer func() {
		// Whatever became of the handshake.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTime)
		defer cancel()
		if unlock := storage.Unlock(ctx, issuancesKey); unlock != nil && err == nil {
			err = fmt.Errorf("unlock %s: %w", issuancesKey, unlock)
		}
	}()
	record, err := storage.Load(ctx, issuancesKey)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("load %s: %w", issuancesKey, err)
	}
	changed, err := change(record)
	if err != nil || changed == nil {
		return err
	}
	if err := storage.Store(ctx, issuancesKey, changed); err != nil {
		return fmt.Errorf("store %s: %w", issuancesKey, err)
	}
	return nil
}

// UnmarshalCaddyfile fills the permission from its line in on_demand_tls:
//
//	permission mini_vercel {
//	    per_minute        <count>
//	    per_domain        <count>
//	    per_three_hours   <count>
//	    per_week          <count>
//	    previews_per_week <count>
//	    retry             <duration>
//	}
func (p *Permission) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return options(d, func(name string) error {
		return value(d, func(text string) error { return p.set(d, name, text) })
	})
}

func (p *Permission) set(d *caddyfile.Dispenser, name, text string) error {
	switch name {
	case "per_minute":
		return setCount(d, name, text, &p.PerMinute)
	case "per_domain":
		return setCount(d, name, text, &p.PerDomain)
	case "per_three_hours":
		return setCount(d, name, text, &p.PerThreeHours)
	case "per_week":
		return setCount(d, name, text, &p.PerWeek)
	case "previews_per_week":
		return setCount(d, name, text, &p.PreviewsPerWeek)
	case "retry":
		return setDuration(d, name, text, &p.Retry)
	}
	return d.Errf("unknown option %q of the permission mini_vercel", name)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Permission)(nil)
	_ caddytls.OnDemandPermission = (*Permission)(nil)
	_ caddyfile.Unmarshaler       = (*Permission)(nil)
)
