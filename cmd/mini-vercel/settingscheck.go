package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Check says which setting is wrong or contradicts another.
func (s *Settings) Check() error {
	if err := s.checkAddresses(); err != nil {
		return err
	}
	for field, setting := range s.fields() {
		if n := field.Kind(); (n == reflect.Int || n == reflect.Int64) && field.Int() < 0 {
			return fmt.Errorf("%s=%v: must not be negative", setting.Name, field.Interface())
		}
	}
	for _, one := range []struct {
		name, value string
		allowed     []string
	}{
		{"LOG_FORMAT", s.LogFormat, []string{"text", "json"}},
		{"LOG_LEVEL", s.LogLevel, []string{"debug", "info", "warn", "error"}},
		{"SIGNUP", s.Signup, []string{"invite", "open"}},
		{"BUILD_SANDBOX", s.BuildSandbox, []string{"auto", "strict", "none"}},
		{"EDGE_ACCESS_LOG", s.EdgeAccessLog, []string{"off", "stdout", "stderr", "file"}},
		{"SITE_SCHEME", s.SiteScheme, []string{"http", "https"}},
		{"R2_UPLOADS", s.R2Uploads, []string{"direct", "relayed"}},
		{"EDGE_TLS", s.EdgeTLS, []string{"off", "internal", "acme"}},
	} {
		if !slices.Contains(one.allowed, one.value) {
			return fmt.Errorf("%s=%s: use %s", one.name, one.value, strings.Join(one.allowed, " or "))
		}
	}
	for name, value := range map[string]int{"BUILD_COUNT": s.BuildCount, "BUILD_COUNT_PER_PROJECT": s.BuildPerProject, "BUILD_MEMORY_MIB": s.BuildMemory, "MAX_FILES": s.MaxFiles, "MAX_DOMAINS": s.MaxDomains,
		"RATE_GENERAL": s.RateGeneral, "RATE_SIGN_IN": s.RateSignIn, "RATE_DEPLOY": s.RateDeploy, "RATE_LOGS": s.RateLogs, "RATE_SENSITIVE": s.RateSensitive,
		"RATE_DETECT": s.RateDetect, "RATE_ATTEMPT": s.RateAttempt, "RATE_CLAIM": s.RateClaim, "MAX_STREAMS": s.MaxStreams} {
		if value == 0 {
			return fmt.Errorf("%s=0: use at least 1", name)
		}
	}
	if s.LogRetentionDays > 36500 {
		return fmt.Errorf("LOG_RETENTION_DAYS=%d: use at most 36500, or 0 for ever", s.LogRetentionDays)
	}
	if s.MaxFile >= 4096 {
		return fmt.Errorf("MAX_FILE_MIB=%d: a file has less than 4096 MiB", s.MaxFile)
	}
	for name, port := range map[string]int{"PORT": s.Port, "EDGE_PORT": s.EdgePort, "EDGE_HTTPS_PORT": s.EdgeHTTPSPort, "SITE_PORT": s.SitePort} {
		if port > 65535 {
			return fmt.Errorf("%s=%d: a port is at most 65535", name, port)
		}
	}
	if s.Port != 0 && s.Port == s.EdgePort {
		return fmt.Errorf("PORT and EDGE_PORT are both %d: the control plane and the edge need a port each", s.Port)
	}
	if net.ParseIP(s.Listen) == nil && s.Listen != "localhost" {
		return fmt.Errorf("LISTEN=%s: use an IP address, such as 127.0.0.1 or 0.0.0.0", s.Listen)
	}
	if host, err := site.NormalHost(s.BaseDomain); err != nil || host != s.BaseDomain {
		return fmt.Errorf("BASE_DOMAIN=%s: use a domain name in lower case, without scheme and port", s.BaseDomain)
	}
	if s.MetricsAddr != "off" {
		if _, _, err := net.SplitHostPort(s.MetricsAddr); err != nil {
			return fmt.Errorf("METRICS_ADDR=%s: use address:port, or off", s.MetricsAddr)
		}
	}
	if _, err := s.proxies(); err != nil {
		return err
	}
	if err := s.checkPostgres(); err != nil {
		return err
	}
	if err := s.checkBucket(); err != nil {
		return err
	}
	if err := s.checkHTTPS(); err != nil {
		return err
	}
	if err := s.checkDomains(); err != nil {
		return err
	}
	if err := s.checkCertificates(); err != nil {
		return err
	}
	if _, err := s.edgeURL(); err != nil {
		return err
	}
	if err := s.checkECS(); err != nil {
		return err
	}
	if err := s.checkKafka(); err != nil {
		return err
	}
	if err := s.checkClickHouse(); err != nil {
		return err
	}
	if err := s.checkSupabase(); err != nil {
		return err
	}
	return s.checkPublicURL()
}

// checkAddresses refuses a user and a password in an address, before anything
// shows it: what other checks and parts say of an address has it in it.
func (s *Settings) checkAddresses() error {
	for field, setting := range s.fields() {
		if setting.Address && strings.Contains(field.String(), "@") {
			return fmt.Errorf("%s has an @ in it, as before a user's name and password, which have no place there (the value is not shown): use the address alone", setting.Name)
		}
	}
	return nil
}

// checkDomains checks what custom domains are compared with.
func (s *Settings) checkDomains() error {
	if s.DNSResolver != "" {
		if _, err := netip.ParseAddrPort(s.DNSResolver); err != nil {
			return fmt.Errorf("DNS_RESOLVER=%s: use address:port, such as 127.0.0.1:53 or [::1]:53", s.DNSResolver)
		}
	}
	if s.EdgeCNAME != "" {
		if host, err := site.NormalHost(s.EdgeCNAME); err != nil || host != s.EdgeCNAME {
			return fmt.Errorf("EDGE_CNAME=%s: use a domain name in lower case", s.EdgeCNAME)
		}
	}
	_, err := s.edgeAddresses()
	return err
}

// edgeAddresses parses EDGE_ADDRESSES.
func (s *Settings) edgeAddresses() ([]netip.Addr, error) {
	var out []netip.Addr
	for part := range strings.SplitSeq(s.EdgeAddresses, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		addr, err := netip.ParseAddr(part)
		if err != nil {
			return nil, fmt.Errorf("EDGE_ADDRESSES=%s: %q is not an IP address", s.EdgeAddresses, part)
		}
		out = append(out, addr.Unmap())
	}
	return out, nil
}

// checkPublicURL refuses a dashboard below the domain of the tenants: they
// could set cookies for it.
func (s *Settings) checkPublicURL() error {
	if s.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(s.PublicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("PUBLIC_URL=%s: use an address such as https://deploy.example.com", s.PublicURL)
	}
	host := u.Hostname()
	if s.BaseDomain != "localhost" && (host == s.BaseDomain || strings.HasSuffix(host, "."+s.BaseDomain)) {
		return fmt.Errorf("PUBLIC_URL=%s is at or below BASE_DOMAIN=%s, where every tenant can set cookies for it: use another domain", s.PublicURL, s.BaseDomain)
	}
	return nil
}

// edgeURL parses EDGE_URL; nil: it is not set.
func (s *Settings) edgeURL() (*url.URL, error) {
	if s.EdgeURL == "" {
		return nil, nil
	}
	u, err := url.Parse(s.EdgeURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("EDGE_URL=%s: use the address of an edge, such as http://10.0.0.7", s.EdgeURL)
	}
	return u, nil
}

// proxies parses TRUSTED_PROXIES.
func (s *Settings) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for part := range strings.SplitSeq(s.TrustedProxy, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, err := netip.ParseAddr(part)
			if err != nil {
				return nil, fmt.Errorf("TRUSTED_PROXIES=%s: %q is neither an address nor a network such as 10.0.0.0/8", s.TrustedProxy, part)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, prefix)
	}
	return out, nil
}
