package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

// https is how an edge serves HTTPS by the settings; none where it does not.
func (s *Settings) https() (caddymodule.HTTPS, error) {
	if s.EdgeTLS == "off" {
		return caddymodule.HTTPS{}, nil
	}
	port, err := httpsPort(s.Listen, s.EdgeHTTPSPort)
	if err != nil {
		// up serves HTTP all the same: nobody asked for this very port.
		if errors.Is(err, syscall.EADDRINUSE) && s.EdgeTLS == "internal" && os.Getenv("EDGE_HTTPS_PORT") == "" {
			s.newLogger().Warn("HTTPS is off: the port is taken, choose another with EDGE_HTTPS_PORT", "port", s.EdgeHTTPSPort)
			return caddymodule.HTTPS{}, nil
		}
		return caddymodule.HTTPS{}, err
	}
	h := caddymodule.HTTPS{Listen: net.JoinHostPort(s.Listen, strconv.Itoa(port)), HSTS: s.EdgeHSTS}
	if s.EdgeTLS == "acme" {
		h.ACME = &caddymodule.ACME{Directory: s.ACMECA, Email: s.ACMEEmail, RootFile: s.ACMECARoot}
		h.RedirectPort = port
		if s.SitePort != 0 && s.SiteScheme == "https" {
			h.RedirectPort = s.SitePort
		}
	}
	return h, nil
}

// ownHTTPS says where sites answer by certificates of the edge's own CA; nothing
// where they don't.
func ownHTTPS(s *Settings, port int, data string) string {
	if port == 0 || s.EdgeTLS != "internal" {
		return ""
	}
	root := filepath.Join(caddyDir(data), "pki", "authorities", "local", "root.crt")
	return fmt.Sprintf("https://<project>.%s:%d\n             (for those who trust %s)", s.BaseDomain, port, root)
}

// httpsPort finds a port for TCP and UDP: HTTP/3 is on the same one. 0 takes a
// free one.
func httpsPort(host string, port int) (int, error) {
	var busy error
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return 0, fmt.Errorf("listen for HTTPS on port %d, choose another with EDGE_HTTPS_PORT: %w", port, err)
		}
		found := l.Addr().(*net.TCPAddr).Port
		p, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(found)))
		if err = errors.Join(err, l.Close()); err == nil {
			return found, p.Close()
		}
		if busy = err; port != 0 {
			break
		}
	}
	return 0, fmt.Errorf("listen for HTTP/3 on UDP port %d, choose another with EDGE_HTTPS_PORT: %w", port, busy)
}

// checkHTTPS says which setting of HTTPS is wrong or contradicts another.
func (s *Settings) checkHTTPS() error {
	if s.EdgeHSTS != 0 && s.EdgeHSTS < time.Second {
		return fmt.Errorf("EDGE_HSTS=%v: use a second or more, or 0 to turn it off", s.EdgeHSTS)
	}
	if s.ACMECA != "" {
		if u, err := url.Parse(s.ACMECA); err != nil || u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("ACME_CA=%s: use the address of a CA's directory, such as %s", s.ACMECA, caddymodule.LetsEncrypt)
		}
	}
	if s.EdgeTLS == "off" {
		return nil
	}
	for name, port := range map[string]int{"PORT": s.Port, "EDGE_PORT": s.EdgePort} {
		if port != 0 && port == s.EdgeHTTPSPort {
			return fmt.Errorf("%s and EDGE_HTTPS_PORT are both %d: they need a port each", name, port)
		}
	}
	if s.EdgeTLS == "acme" && s.ACMECA == "" && s.BaseDomain == "localhost" {
		return errors.New("EDGE_TLS=acme with BASE_DOMAIN=localhost: Let's Encrypt certifies no hosts there; set BASE_DOMAIN, or EDGE_TLS=internal")
	}
	return nil
}
