package main

import "fmt"

// sitePort is the port in the addresses of sites, for an edge on two ports.
func (s *Settings) sitePort(http, https int) int {
	switch {
	case s.SitePort != 0:
		return s.SitePort
	case s.SiteScheme == "https" && s.EdgeTLS != "off":
		return https
	}
	return http
}

// siteURL is the address of a project's production host.
func siteURL(s *Settings, subDomain string, port int) string {
	host := subDomain + "." + s.BaseDomain
	if (s.SiteScheme == "http" && port == 80) || (s.SiteScheme == "https" && port == 443) {
		return s.SiteScheme + "://" + host
	}
	return fmt.Sprintf("%s://%s:%d", s.SiteScheme, host, port)
}
