package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The servers, in the order of the table. The first is compared with the others.
const (
	edgeName    = "this edge"
	trivialName = "trivial handler in Caddy"
	fileName    = "caddy file-server"
	bareName    = "file_server alone"
	netHTTPName = "net/http alone"
	nginxName   = "nginx"
	// wideName is this edge with room for every host of the scenes with many.
	wideName = "this edge, many hosts"
	// diskName is this edge with 1 MiB of memory for contents.
	diskName = "this edge, from disk"
	// coldName is this edge with a bucket at S3, 20 ms away.
	coldName = "this edge, from S3"
)

// start starts every server that is there, and makes sure that each sends the
// very same bytes.
func (b *bench) start(ctx context.Context) error {
	if err := b.writeCertificate(); err != nil {
		return err
	}
	files := map[string]prepared{}
	for _, f := range b.files {
		files[f.onDisk] = prepared{filepath.Join(b.site(), f.onDisk), http.StatusOK, f.headers(), nil}
	}
	edgeApp := func(options map[string]any) map[string]any {
		app := map[string]any{"bucket": map[string]string{"directory": b.bucket()}, "base_domain": baseDomain}
		maps.Copy(app, options)
		return map[string]any{"mini_vercel": app}
	}
	onDisk := func(f file) string { return f.onDisk }
	edgePath := func(f file) string { return f.edgePath }
	edgeHandler := map[string]any{"handler": "mini_vercel"}
	for _, peer := range []struct {
		name    string
		handler map[string]any
		apps    map[string]any
		path    func(file) string
		env     []string
	}{
		{edgeName, edgeHandler, edgeApp(map[string]any{"state_dir": filepath.Join(b.dir, "state")}), edgePath, tuned},
		{trivialName, map[string]any{"handler": "bench_trivial", "files": files}, nil, onDisk, tuned},
		{fileName, nil, nil, onDisk, nil},
		{bareName, map[string]any{"handler": "file_server", "root": b.site()}, nil, onDisk, tuned},
		// Every host is asked for at once there, and none was ever asked for before.
		{wideName, edgeHandler, edgeApp(map[string]any{"state_dir": filepath.Join(b.dir, "wide-state"), "unknown_hosts_per_second": manyHosts}), edgePath, tuned},
		// Hardly anything stays in memory there.
		{diskName, edgeHandler, edgeApp(map[string]any{"state_dir": filepath.Join(b.dir, "disk-state"), "unknown_hosts_per_second": manyHosts, "cache_memory": 1 << 20}), edgePath, tuned},
	} {
		s := server{name: peer.name, path: peer.path, protocols: "h1 h2 h3", command: strings.TrimLeft(strings.Join(peer.env, " ")+" Caddy in this program", " ")}
		if err := errors.Join(pick(&s.http), pick(&s.https)); err != nil {
			return err
		}
		env := peer.env
		if peer.name == edgeName && b.profile != "" {
			env = append(slices.Clip(env), profileVariable+"="+b.profile)
		}
		config := b.caddyConfig(s, peer.handler, peer.apps)
		if peer.name == fileName {
			config = b.fileServerConfig(s)
		}
		if err := b.spawnSelf("serve-caddy", strings.ReplaceAll(peer.name, " ", "-"), config, env...); err != nil {
			return err
		}
		switch peer.name {
		case wideName:
			b.wide = s
			continue
		case diskName:
			b.disk = s
			continue
		case edgeName:
			refused, err := b.refusal(ctx, s)
			if err != nil {
				return err
			}
			files[nobodyPath] = refused
		}
		b.servers = append(b.servers, s)
	}
	plain := server{name: netHTTPName, path: onDisk, protocols: "h1 h2", command: strings.Join(tuned, " ") + " http.Server in this program"}
	if err := errors.Join(pick(&plain.http), pick(&plain.https)); err != nil {
		return err
	}
	err := b.spawnSelf("serve-nethttp", "nethttp", netHTTP{plain.http, plain.https, b.certificate(), b.key(), files}, tuned...)
	if err != nil {
		return err
	}
	b.servers = append(b.servers, plain)
	if err := need("nginx"); err != nil {
		fmt.Fprintln(os.Stderr, "sidebyside: nginx is left out:", err)
	} else if err := b.startNginx(); err != nil {
		return err
	}
	return b.compare(ctx)
}

// nobodyHost has no site, and nobodyPath is where the trivial handler sends what
// the edge answers there.
const nobodyHost, nobodyPath = "nobody." + baseDomain, "/nobody"

// refusal is what the edge answers for a host that has no site.
func (b *bench) refusal(ctx context.Context, edge server) (prepared, error) {
	p := prepared{Path: filepath.Join(b.dir, "nobody")}
	return p, eventually(ctx, func() error {
		resp, body, err := get(ctx, "http://"+edge.http+nobodyPath, nobodyHost) //nolint:bodyclose // get has closed it
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusNotFound {
			return fmt.Errorf("%s answered %s", nobodyHost, resp.Status)
		}
		p.Status, p.Headers = resp.StatusCode, resp.Header
		p.Headers.Del("Date")
		return write(p.Path, body)
	})
}

// fileServerConfig is what the command `caddy file-server` makes, on two ports:
// contents are encoded for those who ask, and the protocols are the usual ones.
func (b *bench) fileServerConfig(s server) map[string]any {
	config := b.caddyConfig(s, nil, nil)
	for _, one := range config["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any) {
		server := one.(map[string]any)
		delete(server, "protocols")
		server["routes"] = []any{map[string]any{"handle": []any{
			map[string]any{"handler": "encode", "encodings": map[string]any{"zstd": map[string]any{}, "gzip": map[string]any{}}, "prefer": []string{"zstd", "gzip"}},
			map[string]any{"handler": "file_server", "root": b.site()},
		}}}
	}
	return config
}

// caddyConfig is one handler on two ports: HTTP, and HTTPS with HTTP/2 and 3.
// h2c is on as `mini-vercel edge` has it: without it Caddy looks into each
// connection for the preface of HTTP/2.
func (b *bench) caddyConfig(s server, handler, apps map[string]any) map[string]any {
	routes := []any{map[string]any{"handle": []any{handler}}}
	all := map[string]any{
		"http": map[string]any{"servers": map[string]any{
			"http":  map[string]any{"listen": []string{s.http}, "routes": routes, "automatic_https": map[string]any{"disable": true}, "protocols": []string{"h1", "h2c"}},
			"https": map[string]any{"listen": []string{s.https}, "routes": routes, "automatic_https": map[string]any{"disable": true}, "tls_connection_policies": []any{map[string]any{}}},
		}},
		"tls": map[string]any{"certificates": map[string]any{"load_files": []any{map[string]any{"certificate": b.certificate(), "key": b.key()}}}},
	}
	for name, app := range apps {
		all[name] = app
	}
	return map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"level": "WARN"}}},
		"apps":    all,
	}
}

// nginxConfig is nginx at its best for a few static files.
const nginxConfig = `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
	types { text/html html; text/css css; text/javascript js; image/jpeg jpg; }
	default_type application/octet-stream;
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000000;
	open_file_cache max=1000;
	etag on;
	client_body_temp_path %[1]s/nginx-body;
	proxy_temp_path %[1]s/nginx-proxy;
	fastcgi_temp_path %[1]s/nginx-fastcgi;
	uwsgi_temp_path %[1]s/nginx-uwsgi;
	scgi_temp_path %[1]s/nginx-scgi;
	server {
		listen %[2]s;
		listen %[3]s ssl http2;
		ssl_certificate %[5]s;
		ssl_certificate_key %[6]s;
		root %[4]s;
	}
}
`

func (b *bench) startNginx() error {
	s := server{name: nginxName, path: func(f file) string { return f.onDisk }, protocols: "h1 h2"}
	if err := errors.Join(pick(&s.http), pick(&s.https)); err != nil {
		return err
	}
	config := filepath.Join(b.dir, "nginx.conf")
	if err := write(config, fmt.Appendf(nil, nginxConfig, b.dir, s.http, s.https, b.site(), b.certificate(), b.key())); err != nil {
		return err
	}
	command := []string{"nginx", "-e", "stderr", "-p", b.dir, "-c", config}
	s.command = strings.Join(command, " ") + " (its configuration is in bench/sidebyside/peers.go)"
	b.servers = append(b.servers, s)
	return b.spawn(command)
}

// compare makes sure that every server sends the very same bytes.
func (b *bench) compare(ctx context.Context) error {
	for _, s := range b.servers {
		for _, f := range b.files {
			for _, base := range []string{"http://" + s.http, "https://" + s.https} {
				if err := eventually(ctx, func() error { return fetch(ctx, base+s.path(f), siteHost, f) }); err != nil {
					return fmt.Errorf("%s does not serve the file of %s at %s: %w", s.name, f.name, base+s.path(f), err)
				}
			}
		}
	}
	return nil
}

// client takes any certificate: it talks to this machine alone.
var client = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: siteHost}},
}

func fetch(ctx context.Context, url, host string, f file) error {
	resp, body, err := get(ctx, url, host) //nolint:bodyclose // get has closed it
	if err != nil {
		return err
	}
	return f.same(resp, body)
}

func get(ctx context.Context, url, host string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Host = host
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// eventually tries until it succeeds, for at most half a minute.
func eventually(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// pick finds a port that nothing listens on.
func pick(address *string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	*address = l.Addr().String()
	return l.Close()
}

func (b *bench) certificate() string { return filepath.Join(b.dir, "certificate.pem") }
func (b *bench) key() string         { return filepath.Join(b.dir, "key.pem") }

// writeCertificate makes one certificate for all servers.
func (b *bench) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"*." + baseDomain}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		write(b.certificate(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		write(b.key(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	)
}
