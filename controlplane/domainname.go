package controlplane

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// domainPrefix is what the name of a domain's TXT record begins with.
const domainPrefix = "_mini-vercel."

// specialDomains are top-level domains that public DNS does not have, RFC 6761
// and its successors.
var specialDomains = []string{"localhost", "local", "internal", "invalid", "onion", "arpa", "alt"}

// parseDomain brings a domain as people write it into the form of DNS, and says
// what is wrong with one that can't lead here.
func (s *Service) parseDomain(field, text string) (string, error) {
	bad := func(format string, args ...any) (string, error) { return "", Invalid(field, format, args...) }
	text = strings.TrimSuffix(strings.TrimSpace(text), ".")
	switch {
	case text == "":
		return bad("Give a domain, such as www.example.com.")
	case strings.Contains(text, "://") || strings.ContainsAny(text, "/?#@"):
		return bad("Give the name alone, without https:// and path, such as www.example.com.")
	case strings.HasPrefix(text, "*"):
		return bad("Wildcards can't be verified: add each domain by its name.")
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return bad("This is an IP address: give a domain name.")
	}
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		return bad("Give the name alone, without a port.")
	}
	ascii, err := idna.Lookup.ToASCII(text)
	if err == nil {
		ascii, err = site.NormalHost(ascii)
	}
	if err != nil {
		return bad("This is not a domain name: use letters, digits and hyphens, with dots in between.")
	}
	return ascii, s.checkDomain(field, ascii)
}

func (s *Service) checkDomain(field, host string) error {
	top := host[strings.LastIndexByte(host, '.')+1:]
	suffix, _ := publicsuffix.PublicSuffix(host)
	switch {
	case top == host:
		return Invalid(field, "The name %s is a single word: give a whole domain, such as www.example.com.", host)
	case strings.Trim(top, "0123456789") == "":
		return Invalid(field, "No domain ends with a number.")
	case len(domainPrefix+host) > site.MaxHostLength:
		return Invalid(field, "The domain is too long: its TXT record at %s… would not fit.", domainPrefix)
	case atOrBelow(host, s.config.BaseDomain):
		return Invalid(field, "The name %s is below %s, where the platform gives out the names: change the project's subdomain instead.", host, s.config.BaseDomain)
	case s.config.EdgeCNAME != "" && atOrBelow(host, s.config.EdgeCNAME):
		return Invalid(field, "The name %s is the platform's own.", host)
	case suffix == host:
		return Invalid(field, "The name %s is a public suffix, below which others have their domains: give one of those.", host)
	}
	for _, own := range s.config.OwnHosts {
		if atOrBelow(host, own) {
			return Invalid(field, "The name %s is the platform's own address.", host)
		}
	}
	for _, special := range specialDomains {
		if top == special {
			return Invalid(field, "Names below .%s are not in public DNS.", top)
		}
	}
	return nil
}

// atOrBelow reports whether a host is a domain or one below it.
func atOrBelow(host, domain string) bool {
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// isApex reports whether a host is a domain that one registers, which can't be
// a CNAME (RFC 1912, section 2.4).
func isApex(host string) bool {
	apex, err := publicsuffix.EffectiveTLDPlusOne(host)
	return err == nil && apex == host
}

// otherDomain is www.example.com for example.com, and the other way round.
func otherDomain(host string) string {
	if rest, ok := strings.CutPrefix(host, "www."); ok {
		return rest
	}
	return "www." + host
}

// unicodeDomain writes a host as people do; what is no punycode stays.
func unicodeDomain(host string) string {
	if text, err := idna.Lookup.ToUnicode(host); err == nil {
		return text
	}
	return host
}
