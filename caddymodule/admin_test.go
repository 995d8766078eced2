package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOperatorsLookIntoAnEdge runs Caddy with the repository's Caddyfile, its admin
// API and an access log.
func TestOperatorsLookIntoAnEdge(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	home := t.TempDir()
	httpPort, httpsPort := freePort(t), freePort(t)
	socket := filepath.Join(home, "admin.sock")
	accessLog := filepath.Join(home, "access.log")
	run, out := caddyCommand(t, home, []string{
		"BUCKET_DIR=" + b.dir, "EDGE_TLS=internal", "EDGE_LISTEN=127.0.0.1", "EDGE_ACCESS_LOG=file", "EDGE_ACCESS_LOG_FILE=" + accessLog,
		fmt.Sprintf("EDGE_PORT=%d", httpPort), fmt.Sprintf("EDGE_HTTPS_PORT=%d", httpsPort), fmt.Sprintf("METRICS_PORT=%d", freePort(t)),
		"CADDY_ADMIN=unix/" + socket + "|0600",
	}, "run")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() {
		_ = run.Process.Signal(os.Interrupt)
		<-ended
	})
	root := filepath.Join(home, ".local/share/caddy")
	eventually(t, "the CA is there", func() bool {
		_, err := os.Stat(filepath.Join(root, "pki/authorities/local/root.crt"))
		return err == nil
	})
	visitor := browser(t, "HTTP/2.0", local(httpsPort), trust(t, root))
	defer closeTransport(visitor)
	eventually(t, "the site is served", func() bool {
		resp, err := visitor.Get("https://a.localhost/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})

	admin := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer admin.CloseIdleConnections()
	call := func(method, path string, status int) (body map[string]any) {
		t.Helper()
		r, err := http.NewRequest(method, "http://127.0.0.1"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := admin.Do(r)
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, out)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status {
			t.Fatalf("%s %s: %d %s, want %d", method, path, resp.StatusCode, text, status)
		}
		if status == http.StatusNoContent {
			return nil
		}
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatalf("%s %s: %q: %v", method, path, text, err)
		}
		kind := "application/json"
		if status >= 400 {
			kind = "application/problem+json"
			if body["status"] != float64(status) || body["title"] == "" || body["detail"] == "" {
				t.Errorf("%s %s: %s", method, path, text)
			}
		}
		if got := resp.Header.Get("Content-Type"); got != kind {
			t.Errorf("%s %s: %s", method, path, got)
		}
		return body
	}
	caches := call("GET", "/mini-vercel/cache", 200)["caches"].(map[string]any)
	for name, entries := range map[string]float64{"routes": 1, "manifests": 1, "pages": 1, "chunks": 1} {
		if got := caches[name].(map[string]any)["entries"]; got != entries {
			t.Errorf("%s has %v entries", name, got)
		}
	}
	if host := call("GET", "/mini-vercel/hosts/A.localhost", 200); host["held"] != "memory" || host["project"] != "p1" || host["deployment"] != "d1" || host["manifest"] != "memory" {
		t.Errorf("%v", host)
	}
	call("DELETE", "/mini-vercel/hosts/a.localhost", 204)
	call("GET", "/mini-vercel/hosts/a.localhost", 404)
	call("DELETE", "/mini-vercel/hosts/a.localhost", 404)
	call("GET", "/mini-vercel/hosts/not%20a%20host", 400)
	call("GET", "/mini-vercel/hosts/", 404)
	call("GET", "/mini-vercel/nothing", 404)
	call("POST", "/mini-vercel/cache", 405)
	call("DELETE", "/mini-vercel/cache", 405)
	call("PUT", "/mini-vercel/hosts/a.localhost", 405)

	// Both servers of the Caddyfile log, and no secret.
	visit(t, visitor, "https://a.localhost/?mv_share=the-token", "a.localhost")
	visit(t, noRedirects, "http://"+local(httpPort)+"/?mv_share=the-token", "a.localhost")
	defer noRedirects.CloseIdleConnections()
	var text string
	var lines []logged
	eventually(t, "both are logged", func() bool { text, lines = readLog(t, accessLog); return strings.Count(text, "REDACTED&x=1") >= 2 })
	for _, secret := range []string{"the-token", "the-cookie"} {
		if strings.Contains(text, secret) || strings.Contains(out.String(), secret) {
			t.Errorf("%s is in a log:\n%s\n%s", secret, text, out)
		}
	}
	redirect := lines[len(lines)-1]
	served := lines[len(lines)-2]
	if served.Status != 200 || served.Project != "p1" || served.Deployment != "d1" || served.Cache != "origin" || redirect.Status != 308 {
		t.Errorf("logged: %+v\n%+v", served, redirect)
	}
}
