package caddymodule_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// asCaddy has the test's own program be caddy with our module in it, as xcaddy.sh
// builds it.
const asCaddy = "MINI_VERCEL_TEST_AS_CADDY"

func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		return
	}
	os.Exit(m.Run())
}

// caddyCommand is caddy with an environment of its own and a home of the test's.
func caddyCommand(t *testing.T, home string, env []string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := new(output)
	c := exec.Command(self, args...)
	c.Dir = ".." // where the Caddyfile is
	c.Env = append([]string{asCaddy + "=1", "HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	c.Stdout, c.Stderr = out, out
	return c, out
}

// output is what a command has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// TestCaddysCommandsOnTheRepositorysCaddyfile adapts, validates, runs, reloads
// and stops it, each as an operator does.
func TestCaddysCommandsOnTheRepositorysCaddyfile(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	home := t.TempDir()
	httpPort, httpsPort := freePort(t), freePort(t)
	env := []string{
		"BUCKET_DIR=" + b.dir, "EDGE_TLS=internal", "EDGE_LISTEN=127.0.0.1",
		fmt.Sprintf("EDGE_PORT=%d", httpPort), fmt.Sprintf("EDGE_HTTPS_PORT=%d", httpsPort), fmt.Sprintf("METRICS_PORT=%d", freePort(t)),
		"CADDY_ADMIN=unix/" + filepath.Join(home, "admin.sock") + "|0600",
	}
	for _, args := range [][]string{{"adapt"}, {"validate"}, {"fmt", "--diff", "Caddyfile"}} {
		c, out := caddyCommand(t, home, env, args...)
		if err := c.Run(); err != nil {
			t.Fatalf("caddy %s: %v\n%s", args[0], err, out)
		}
	}
	// Validating needs no bucket that is there, and changes none.
	c, out := caddyCommand(t, home, append(env, "BUCKET_DIR="+filepath.Join(home, "nowhere")), "validate")
	if err := c.Run(); err != nil {
		t.Errorf("validate without a bucket: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(home, "nowhere")); err == nil {
		t.Error("validate made the bucket")
	}

	run, runOut := caddyCommand(t, home, env, "run")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() { _ = run.Process.Kill() })
	eventually(t, "the CA is there", func() bool {
		_, err := os.Stat(filepath.Join(home, ".local/share/caddy/pki/authorities/local/root.crt"))
		return err == nil
	})
	config := trust(t, filepath.Join(home, ".local/share/caddy"))
	header := func(version string) (h string) {
		eventually(t, "it answers by "+version, func() bool {
			client := browser(t, version, local(httpsPort), config)
			defer closeTransport(client)
			resp, err := client.Get("https://a.localhost/")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			h = resp.Header.Get("Strict-Transport-Security")
			return resp.StatusCode == 200
		})
		return h
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		if h := header(version); h != "" {
			t.Errorf("%s: HSTS is off by default, got %q", version, h)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, _ := ask(t, client, "http://"+local(httpPort)+"/x?y", "a.localhost")
	if want := fmt.Sprintf("https://a.localhost:%d/x?y", httpsPort); resp.StatusCode != 308 || resp.Header.Get("Location") != want {
		t.Errorf("over HTTP: %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}

	reload, out := caddyCommand(t, home, append(env, "EDGE_HSTS=1h"), "reload")
	if err := reload.Run(); err != nil {
		t.Fatalf("caddy reload: %v\n%s\n%s", err, out, runOut)
	}
	if h := header("HTTP/2.0"); h != "max-age=3600" {
		t.Errorf("after the reload: %q", h)
	}
	bad, out := caddyCommand(t, home, append(env, "BASE_DOMAIN=Sites.Test"), "reload")
	if err := bad.Run(); err == nil || !strings.Contains(out.String(), "in lower case") {
		t.Errorf("reload to a bad one: %v\n%s", err, out)
	}
	if h := header("HTTP/2.0"); h != "max-age=3600" {
		t.Errorf("after the reload that failed: %q", h)
	}

	// Unknown names, many at once: the log says nothing of denials, and little of
	// failures.
	handshakes := func(name string) (logged string) {
		before := len(runOut.String())
		for i := range 100 {
			config := config.Clone()
			config.ServerName = fmt.Sprintf("%s-%d.localhost", name, i)
			if c, err := tls.Dial("tcp", local(httpsPort), config); err == nil {
				c.Close()
				t.Errorf("%s has no site", config.ServerName)
			}
		}
		return runOut.String()[before:]
	}
	if logged := handshakes("denied"); strings.Contains(logged, "denied-") {
		t.Errorf("100 denials were logged so:\n%.3000s", logged)
	}
	for i := range 100 { // routes that can't be read
		b.put(site.RouteKey(fmt.Sprintf("failed-%d.localhost", i)), []byte("{"))
	}
	logged := handshakes("failed")
	if n := strings.Count(logged, "failed to get permission"); n == 0 || n > 50 {
		t.Errorf("100 failures were logged %d times\n%.3000s", n, logged)
	}

	stop, out := caddyCommand(t, home, env, "stop")
	if err := stop.Run(); err != nil {
		t.Errorf("caddy stop: %v\n%s", err, out)
	}
	if err := <-ended; err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("caddy run ended with %v\n%s", err, runOut)
	}
}
