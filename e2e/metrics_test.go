//go:build e2e

package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program finds what a test drives; the test is skipped without it.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(name + " is not installed")
	}
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestEveryPanelHasData has a real Prometheus scrape a running platform, which is
// deployed to and visited, and asks it what the dashboard's panels ask.
func TestEveryPanelHasData(t *testing.T) {
	server, promtool := program(t, "prometheus"), program(t, "promtool")
	metrics, https := freeAddress(t), freeAddress(t)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	p := start(t, "METRICS_ADDR="+metrics, "EDGE_HTTPS_PORT="+https[strings.LastIndexByte(https, ':')+1:], "RATE_DEPLOY=1000",
		"CERTS_DIR="+t.TempDir(), "EDGE_SECRET="+base64.StdEncoding.EncodeToString(secret), "EDGE_METRICS_PROJECTS=1")
	prometheus := startPrometheus(t, server, metrics)
	prometheus.eventually("the platform is scraped", func() bool { return prometheus.ask(`mini_vercel_edge_build_info`) })

	dir := folder(t, map[string]string{"index.html": "<h1>home</h1>", "app.js": "1"})
	pending := panelQueries(t, "../deploy/grafana/mini-vercel.json")
	round := 0
	prometheus.eventually("every panel has data", func() bool {
		// A deployment, and visitors: of what is there and what is not, and over TLS.
		round++
		if err := os.WriteFile(filepath.Join(dir, "index.html"), fmt.Appendf(nil, "<h1>home %d</h1>", round), 0o644); err != nil {
			t.Fatal(err)
		}
		site := p.deploy(0, dir, "--project", "measured", "--prod").URL
		for range 5 {
			p.get(site, "/")
			p.get(site, "/app.js")
			p.get(site, "/nothing")
		}
		p.get(fmt.Sprintf("nobody%d.localhost", round), "/")
		for _, name := range []string{"measured.localhost", fmt.Sprintf("nobody%d.localhost", round)} {
			if c, err := tls.Dial("tcp", https, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err == nil {
				c.Close()
			}
		}
		pending = slices.DeleteFunc(pending, func(q panelQuery) bool { return prometheus.ask(q.query) })
		return len(pending) == 0
	}, func() string { return fmt.Sprintf("no data: %v", pending) })

	scrape, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer scrape.Body.Close()
	text, err := io.ReadAll(scrape.Body)
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = bytes.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

type panelQuery struct{ panel, query string }

// panelQueries reads the queries of a dashboard, as Grafana would send them for
// all instances and a short time.
func panelQueries(t *testing.T, file string) (all []panelQuery) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %s asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			all = append(all, panelQuery{panel.Title, strings.NewReplacer("$__rate_interval", "30s", "$instance", ".*").Replace(target.Expr)})
		}
	}
	if len(all) < 40 {
		t.Fatalf("%d queries", len(all))
	}
	return all
}

// promServer is a Prometheus of the test's own.
type promServer struct {
	t       *testing.T
	address string
	out     *transcript
}

func startPrometheus(t *testing.T, program, target string) *promServer {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs:
  - job_name: mini-vercel
    static_configs: [{targets: [%q]}]
`, target), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &promServer{t, freeAddress(t), &transcript{}}
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+s.address)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return s
}

func (s *promServer) eventually(what string, holds func() bool, explain ...func() string) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(200 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			for _, e := range explain {
				s.t.Log(e())
			}
			s.t.Fatalf("never happened: %s\n%s", what, s.out.tail(3000))
		}
	}
}

// ask reports whether a query returns at least one number.
func (s *promServer) ask(query string) bool {
	resp, err := http.Get("http://" + s.address + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return false // it is starting
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusServiceUnavailable {
		return false // it is starting
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Status != "success" {
		s.t.Fatalf("%s: %d %v %s", query, resp.StatusCode, err, answer.Error)
	}
	return slices.ContainsFunc(answer.Data.Result, func(r struct{ Value [2]any }) bool { return r.Value[1] != "NaN" })
}
