package caddymodule_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// freePort returns a port of loopback that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p, err := net.ListenPacket("udp", l.Addr().String())
		l.Close()
		if err == nil {
			p.Close()
			return l.Addr().(*net.TCPAddr).Port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// secure starts an edge that serves HTTPS by its own CA, and returns what trusts
// it.
func secure(t *testing.T, o caddymodule.Options) (*caddymodule.Running, *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	o.HTTPS.Listen = local(freePort(t))
	r := startIn(t, dir, o)
	return r, trust(t, dir)
}

// trust trusts the CA that an edge keeps in its data directory.
func trust(t *testing.T, dataDir string) *tls.Config {
	t.Helper()
	root, err := os.ReadFile(filepath.Join(dataDir, "pki", "authorities", "local", "root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		t.Fatal("no certificate in root.crt")
	}
	return &tls.Config{RootCAs: roots}
}

// browser asks an edge for hosts that no DNS knows, by one version of HTTP.
func browser(t *testing.T, version, addr string, config *tls.Config) *http.Client {
	t.Helper()
	var transport http.RoundTripper
	if version == "HTTP/3.0" {
		h3 := &http3.Transport{
			TLSClientConfig: config.Clone(),
			Dial: func(ctx context.Context, _ string, config *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, addr, config, q)
			},
		}
		t.Cleanup(func() { h3.Close() })
		transport = h3
	} else {
		tcp := &http.Transport{
			TLSClientConfig: config.Clone(), MaxIdleConnsPerHost: 100, Protocols: new(http.Protocols),
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}
		tcp.Protocols.SetHTTP1(version == "HTTP/1.1")
		tcp.Protocols.SetHTTP2(version == "HTTP/2.0")
		t.Cleanup(tcp.CloseIdleConnections)
		transport = tcp
	}
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask returns a response with its body.
func ask(t *testing.T, c *http.Client, url, host string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestHTTPSByEveryVersion(t *testing.T) {
	b := newBucket(t)
	big := strings.Repeat("0123456789abcdef", site.ChunkSize/8)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home", "/big.bin": big})
	r, config := secure(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}})
	addr := r.HTTPSAddr().String()
	_, port, _ := net.SplitHostPort(addr)
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		t.Run(version, func(t *testing.T) {
			c := browser(t, version, addr, config)
			resp, body := ask(t, c, "https://a.localhost/", "")
			if resp.StatusCode != 200 || body != "home" || resp.Proto != version {
				t.Fatalf("%s %d %q", resp.Proto, resp.StatusCode, body)
			}
			if alt := resp.Header.Get("Alt-Svc"); version != "HTTP/3.0" && !strings.Contains(alt, `h3=":`+port+`"`) {
				t.Errorf("Alt-Svc: %q", alt)
			}
			if h := resp.Header.Get("Strict-Transport-Security"); h != "" {
				t.Errorf("HSTS was not asked for: %q", h)
			}
			if _, body := ask(t, c, "https://a.localhost/big.bin", ""); body != big {
				t.Errorf("the big one has %d of %d bytes", len(body), len(big))
			}
			// Another host on the same connection, which is none of ours.
			if resp, _ := ask(t, c, "https://a.localhost/", "www.example.org"); resp.StatusCode != 421 {
				t.Errorf("another host: %d", resp.StatusCode)
			}
		})
	}
}

func TestNoHandshakeForWhatIsNotASite(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	b.deploy("gone.localhost", "d1", nil)
	b.putJSON(site.RouteKey("gone.localhost"), site.Route{Host: "gone.localhost", Project: "p1", Gone: true, Generation: 9})
	r, config := secure(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}, MetricsListen: "127.0.0.1:0"})
	for name, outcome := range map[string]string{
		"b.localhost": "no_site", "gone.localhost": "no_site", "www.example.org": "no_site",
		"a.a.localhost": "bad_name", "localhost": "bad_name", "": "bad_name",
	} {
		config := config.Clone()
		config.ServerName = name
		config.InsecureSkipVerify = true
		if c, err := tls.Dial("tcp", r.HTTPSAddr().String(), config); err == nil {
			c.Close()
			t.Errorf("%q got a certificate", name)
		}
		if n, _ := strconv.Atoi(metric(t, r.MetricsAddr().String(), fmt.Sprintf(`mini_vercel_edge_certificate_decisions_total{outcome="%s"}`, outcome))); n == 0 {
			t.Errorf("%q is not counted as %s", name, outcome)
		}
	}
}

func TestHSTSIsSentOverHTTPSAlone(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	r, config := secure(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}, HTTPS: caddymodule.HTTPS{HSTS: 365 * 24 * time.Hour}})
	resp, _ := ask(t, browser(t, "HTTP/2.0", r.HTTPSAddr().String(), config), "https://a.localhost/", "")
	if got := resp.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("over HTTPS: %q", got)
	}
	resp, _ = ask(t, http.DefaultClient, "http://"+r.Addr().String(), "a.localhost")
	if got := resp.Header.Get("Strict-Transport-Security"); resp.StatusCode != 200 || got != "" {
		t.Errorf("over HTTP: %d %q", resp.StatusCode, got)
	}
}

func TestHTTPIsSentOnToHTTPS(t *testing.T) {
	b := newBucket(t)
	for port, want := range map[int]string{443: "https://a.localhost/x%20y?q=1&r", 8443: "https://a.localhost:8443/x%20y?q=1&r"} {
		t.Run(strconv.Itoa(port), func(t *testing.T) {
			r, _ := secure(t, caddymodule.Options{App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}}, HTTPS: caddymodule.HTTPS{RedirectPort: port}})
			c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			resp, _ := ask(t, c, "http://"+r.Addr().String()+"/x%20y?q=1&r", "a.localhost:8001")
			if got := resp.Header.Get("Location"); resp.StatusCode != 308 || got != want {
				t.Errorf("%d to %q, want %q", resp.StatusCode, got, want)
			}
		})
	}
}

// fetch is ask for goroutines.
func fetch(c *http.Client, url string) (status int, body string, err error) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// closeTransport closes what a browser has open.
func closeTransport(c *http.Client) {
	if closer, ok := c.Transport.(io.Closer); ok {
		closer.Close()
	}
	c.CloseIdleConnections()
}
