package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// start starts every server that is there.
func (b *bench) start(ctx context.Context) ([]server, error) {
	edge, err := b.startEdge(ctx)
	if err != nil {
		return nil, fmt.Errorf("this edge: %w", err)
	}
	caddy, err := b.startCaddy(ctx)
	if err != nil {
		return nil, fmt.Errorf("caddy: %w", err)
	}
	servers := []server{edge, caddy}
	if need("nginx") != nil {
		fmt.Fprintln(os.Stderr, "sidebyside: nginx is not installed and is left out (Debian: apt-get install nginx-light)")
		return servers, nil
	}
	nginx, err := b.startNginx()
	if err != nil {
		return nil, fmt.Errorf("nginx: %w", err)
	}
	return append(servers, nginx), nil
}

// startEdge runs the whole platform, as a person would, and deploys the site.
func (b *bench) startEdge(ctx context.Context) (server, error) {
	bin, err := filepath.Abs("bin/mini-vercel")
	if err == nil {
		_, err = os.Stat(bin)
	}
	if err != nil {
		return server{}, fmt.Errorf("run `make build` first, and this in the root of the repository: %w", err)
	}
	api, err := freePort()
	port, portErr := freePort()
	if err = errors.Join(err, portErr); err != nil {
		return server{}, err
	}
	config := "XDG_CONFIG_HOME=" + filepath.Join(b.dir, "config")
	up := []string{bin, "up", "--data", filepath.Join(b.dir, "data"), "--port", api, "--edge-port", port}
	if err := b.spawn(up, "GOMAXPROCS=1", config); err != nil {
		return server{}, err
	}
	err = eventually(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+api+"/ready", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	if err != nil {
		return server{}, fmt.Errorf("it does not become ready: %w", err)
	}
	deploy := exec.CommandContext(ctx, bin, "deploy", b.site(), "--project", "sidebyside", "--prod", "--json", "-y")
	deploy.Env = append(os.Environ(), config)
	deploy.Stderr = os.Stderr
	out, err := deploy.Output()
	if err != nil {
		return server{}, fmt.Errorf("deploy: %w", err)
	}
	var deployed struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(out, &deployed); err != nil {
		return server{}, fmt.Errorf("deploy answered %q: %w", out, err)
	}
	u, err := url.Parse(deployed.URL)
	if err != nil || u.Hostname() == "" {
		return server{}, fmt.Errorf("deploy answered %q", out)
	}
	return server{
		name: "this edge", address: "127.0.0.1:" + port, host: u.Hostname(),
		path:    func(f file) string { return f.edgePath },
		command: append([]string{"GOMAXPROCS=1"}, up...),
	}, nil
}

// startCaddy runs file_server. bin/caddy, if ./xcaddy.sh has made it, is stock
// but for a module that file_server doesn't use; else a stock one is built.
func (b *bench) startCaddy(ctx context.Context) (server, error) {
	bin := "bin/caddy"
	if _, err := os.Stat(bin); err != nil {
		bin = ".cache/caddy"
		if err := os.MkdirAll(".cache", 0o755); err != nil {
			return server{}, err
		}
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/caddyserver/caddy/v2/cmd/caddy")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		if err := build.Run(); err != nil {
			return server{}, fmt.Errorf("build it: %w", err)
		}
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return server{}, err
	}
	s, err := plainServer("Caddy file_server")
	if err != nil {
		return server{}, err
	}
	command := []string{bin, "file-server", "--root", b.site(), "--listen", s.address}
	s.command = append([]string{"GOMAXPROCS=1"}, command...)
	home := filepath.Join(b.dir, "caddy")
	return s, b.spawn(command, "GOMAXPROCS=1", "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
}

// nginxConfig is nginx at its best for a few static files.
const nginxConfig = `daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
	types { text/html html; }
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
		root %[3]s;
	}
}
`

func (b *bench) startNginx() (server, error) {
	s, err := plainServer("nginx")
	if err != nil {
		return server{}, err
	}
	config := filepath.Join(b.dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, b.dir, s.address, b.site()), 0o644); err != nil {
		return server{}, err
	}
	s.command = []string{"nginx", "-e", "stderr", "-p", b.dir, "-c", config}
	return s, b.spawn(s.command)
}

func plainServer(name string) (server, error) {
	port, err := freePort()
	address := "127.0.0.1:" + port
	return server{name: name, address: address, host: address, path: func(f file) string { return f.onDisk }}, err
}

func (s server) String() string { return strings.Join(s.command, " ") }
