package caddymodule

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	// What the configuration of this file names.
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls/standardstek"
)

// HTTPS says how [Start] serves HTTPS: HTTP/1.1, HTTP/2 and HTTP/3, with a
// certificate on demand for each host that has a site. Who issues them is a CA
// of our own unless ACME names another.
type HTTPS struct {
	Listen string // address:port; a port is required, since HTTP/3 needs the same one for UDP
	// RedirectPort is the port of the HTTPS addresses that HTTP requests are sent
	// on to. 0: HTTP is answered like HTTPS.
	RedirectPort int
	HSTS         time.Duration // as [App] has it
	ACME         *ACME         // none: an internal CA, which nobody trusts who was not told to
	Permission   Permission
}

// ACME is a CA that issues certificates by RFC 8555.
type ACME struct {
	Directory string // URL. Default: Let's Encrypt's
	Email     string // whom the CA may write to
	RootFile  string // PEM; whose certificate the CA itself shows. Default: the system's roots
}

// LetsEncrypt is the directory that is used where none is named.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// configure adds HTTPS to a configuration's apps and servers.
func (h *HTTPS) configure(apps, servers map[string]any, httpListen string) error {
	port, err := portOf(h.Listen)
	if err != nil || port == 0 {
		return fmt.Errorf("serve HTTPS at %s: name a port", h.Listen)
	}
	servers["https"] = map[string]any{
		"listen": []string{h.Listen}, "routes": handle(map[string]any{"handler": appID}), "automatic_https": off,
		"tls_connection_policies": []any{map[string]any{}},
	}
	if h.RedirectPort != 0 {
		servers["edge"].(map[string]any)["routes"] = handle(map[string]any{"handler": appID, "redirect_port": h.RedirectPort})
	}
	issuer := map[string]any{"module": "internal"}
	if h.ACME != nil {
		httpPort, err := portOf(httpListen)
		if err != nil {
			return err
		}
		issuer = h.ACME.issuer(httpPort, port)
	} else {
		apps["pki"] = map[string]any{"certificate_authorities": map[string]any{"local": map[string]any{"install_trust": false}}}
	}
	var warnings []caddyconfig.Warning
	permission := caddyconfig.JSONModuleObject(h.Permission, "module", appID, &warnings)
	if len(warnings) > 0 {
		return errors.New(warnings[0].Message)
	}
	apps["tls"] = map[string]any{"automation": map[string]any{
		"on_demand": map[string]any{"permission": permission},
		"policies":  []any{map[string]any{"on_demand": true, "issuers": []any{issuer}}},
	}}
	return nil
}

// issuer is the CA as Caddy's configuration has it. Its challenges come to ports
// 80 and 443, wherever those lead.
func (a *ACME) issuer(httpPort, httpsPort int) map[string]any {
	challenges := map[string]any{"tls-alpn": map[string]any{"alternate_port": httpsPort}}
	if httpPort != 0 {
		challenges["http"] = map[string]any{"alternate_port": httpPort}
	}
	issuer := map[string]any{"module": "acme", "ca": orElse(a.Directory, LetsEncrypt), "challenges": challenges}
	if a.Email != "" {
		issuer["email"] = a.Email
	}
	if a.RootFile != "" {
		issuer["trusted_roots_pem_files"] = []string{a.RootFile}
	}
	return issuer
}

func portOf(address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
