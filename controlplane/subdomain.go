package controlplane

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// nameProtection is how long nobody else can take a host that was given up.
const nameProtection = 30 * 24 * time.Hour

// reservedSubDomains are labels that people take for the platform's own.
var reservedSubDomains = []string{
	"abuse", "account", "accounts", "acme", "admin", "administrator", "api", "app", "auth", "autoconfig", "autodiscover",
	"billing", "cdn", "cname", "console", "dashboard", "dns", "edge", "email", "ftp", "git", "help", "hostmaster", "imap",
	"internal", "isatap", "local", "localhost", "login", "logout", "mail", "metrics", "mini-vercel", "minivercel", "mx",
	"noc", "ns1", "ns2", "ns3", "ns4", "oauth", "payment", "payments", "pop", "pop3", "postmaster", "private", "proxy",
	"register", "root", "security", "signin", "signup", "smtp", "ssl", "ssladmin", "status", "support", "sysadmin",
	"system", "usenet", "vpn", "webmail", "webmaster", "wpad", "www", "www1", "www2", "www3",
}

// subDomainOf makes a subdomain of a project's name. What is too short or
// reserved is lengthened.
func subDomainOf(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	label := strings.Trim(cut(b.String(), 40), "-")
	if len(label) < 3 || slices.Contains(reservedSubDomains, label) {
		label = strings.Trim(cut("site-"+label, 40), "-")
	}
	return label
}

func cut(s string, length int) string { return s[:min(len(s), length)] }

// checkSubDomain says what is wrong with a subdomain that somebody asked for.
func checkSubDomain(label string) error {
	if err := site.CheckSubDomain(label); err != nil {
		return Invalid("subDomain", "%s", sentence(err.Error()))
	}
	if slices.Contains(reservedSubDomains, label) {
		return Invalid("subDomain", "The subdomain %q is reserved: choose another.", label)
	}
	return nil
}

// freeSubDomain returns the subdomain that a project gets: the one that was
// asked for, or else the first free one made from its name.
func (s *Service) freeSubDomain(tx Tx, user, asked, name string) (string, error) {
	if asked != "" {
		if err := checkSubDomain(asked); err != nil {
			return "", err
		}
		free, err := s.subDomainIsFree(tx, user, asked)
		if err == nil && !free {
			err = Invalid("subDomain", "The subdomain %q is taken: choose another.", asked)
		}
		return asked, err
	}
	label := subDomainOf(name)
	for n := 1; n <= 1000; n++ {
		candidate := label
		if n > 1 {
			suffix := fmt.Sprintf("-%d", n)
			candidate = strings.TrimRight(cut(label, 40-len(suffix)), "-") + suffix
		}
		if free, err := s.subDomainIsFree(tx, user, candidate); err != nil || free {
			return candidate, err
		}
	}
	return "", Invalid("subDomain", "No subdomain like %q is free: choose one.", label)
}

// subDomainIsFree reports whether no project has a subdomain, and no tombstone
// keeps it for another owner.
func (s *Service) subDomainIsFree(tx Tx, user, label string) (bool, error) {
	if _, err := tx.ProjectBySubDomain(label); CodeOf(err) != CodeNotFound {
		return false, err
	}
	h, err := tx.Host(s.productionHost(label))
	if CodeOf(err) == CodeNotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return h.Gone && (h.UserID == user || h.ProtectedUntil.Before(s.now())), nil
}

// sentence makes a message for a person of an error's text.
func sentence(text string) string {
	if text == "" {
		return text
	}
	text = strings.ToUpper(text[:1]) + text[1:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
