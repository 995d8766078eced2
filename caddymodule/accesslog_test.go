package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/caddymodule"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// logged is a line of the access log.
type logged struct {
	Logger     string
	Status     int
	Project    string
	Deployment string
	Cache      string
	Request    struct {
		Host, URI string
		Headers   http.Header
	}
	Headers http.Header `json:"resp_headers"`
}

func readLog(t *testing.T, file string) (text string, lines []logged) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var l logged
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		lines = append(lines, l)
	}
	return string(content), lines
}

// visit asks for a page as somebody does who has a share link and a cookie.
func visit(t *testing.T, client *http.Client, address, host string) int {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Cookie", "mv_access=the-cookie")
	r.Header.Set("Referer", "https://elsewhere.test/?mv_share=the-token&x=1")
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func TestTheAccessLogSaysWhatAnsweredAndNoSecret(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	b.putJSON(site.RouteKey("old.localhost"), site.Route{Host: "old.localhost", Project: "p1", RedirectTo: "a.localhost", Environment: site.Production, Generation: 1})
	file := filepath.Join(t.TempDir(), "access.log")
	r := start(t, caddymodule.Options{
		MetricsListen: "127.0.0.1:0", AccessLog: caddymodule.AccessLog{Output: "file", File: file},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}},
	})
	defer noRedirects.CloseIdleConnections()
	address := "http://" + r.Addr().String()
	visit(t, noRedirects, address+"/?a=1&mv_share=the-token&b=2", "a.localhost")
	visit(t, noRedirects, address+"//x:y/?mv_share=the-token", "a.localhost") // not a URL in everybody's eyes
	visit(t, noRedirects, address+"/?mv_share=the-token", "old.localhost")
	visit(t, noRedirects, address+"/", "nobody.localhost")
	visit(t, noRedirects, address+"/?to=%2F%3Fmv_share%3dthe-token%26c&next=%252F%253Fmv_share%253Dthe-token", "a.localhost")
	get(t, r.MetricsAddr().String(), "localhost", "/metrics")

	var text string
	var lines []logged
	eventually(t, "five lines", func() bool { text, lines = readLog(t, file); return len(lines) == 5 })
	for _, secret := range []string{"the-token", "the-cookie"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in the log:\n%s", secret, text)
		}
	}
	first := lines[0]
	if first.Request.URI != "/?a=1&mv_share=REDACTED&b=2" || first.Request.Host != "a.localhost" || first.Status != 200 || first.Project != "p1" || first.Deployment != "d1" || first.Cache != "origin" || first.Logger != "http.log.access.edge" {
		t.Errorf("%+v", first)
	}
	if got := first.Request.Headers.Get("Referer"); got != "https://elsewhere.test/?mv_share=REDACTED&x=1" {
		t.Errorf("Referer: %s", got)
	}
	if got := lines[2].Headers.Get("Location"); lines[2].Status != 308 || !strings.HasSuffix(got, "/?mv_share=REDACTED") {
		t.Errorf("the redirect: %d to %q", lines[2].Status, got)
	}
	if last := lines[3]; last.Status != 404 || last.Project != "" || last.Deployment != "" || last.Cache != "negative" {
		t.Errorf("%+v", last)
	}
}

func TestEveryLogLeavesTokensOut(t *testing.T) {
	for _, access := range []string{"", "off", "stdout", "stderr", "file"} {
		o := caddymodule.Options{
			Listen: ":8001", LogFormat: "json", HTTPS: caddymodule.HTTPS{Listen: ":8443"},
			AccessLog: caddymodule.AccessLog{Output: access, File: "/srv/access.log"},
			App:       caddymodule.App{Bucket: caddymodule.Bucket{Directory: "/srv/bucket"}, BaseDomain: "example.test"},
		}
		encoded, err := caddymodule.Config(o)
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Logging struct {
				Logs map[string]struct{ Encoder map[string]any }
			}
			Apps struct {
				HTTP struct {
					Servers map[string]struct{ Logs any }
				}
			}
		}
		if err := json.Unmarshal(encoded, &config); err != nil {
			t.Fatal(err)
		}
		on := access != "" && access != "off"
		if _, ok := config.Logging.Logs["access"]; ok != on {
			t.Errorf("%q: access log: %v", access, ok)
		}
		for name, l := range config.Logging.Logs {
			fields, _ := l.Encoder["fields"].(map[string]any)
			if l.Encoder["format"] != "filter" || fields["request>uri"] == nil || fields["resp_headers>Location"] == nil {
				t.Errorf("%q: the log %s shows tokens: %v", access, name, l.Encoder)
			}
		}
		for name, server := range config.Apps.HTTP.Servers {
			if (server.Logs != nil) != on {
				t.Errorf("%q: server %s: %v", access, name, server.Logs)
			}
		}
	}
	for _, wrong := range []caddymodule.AccessLog{{Output: "syslog"}, {Output: "file"}} {
		if _, err := caddymodule.Config(caddymodule.Options{Listen: ":8001", AccessLog: wrong}); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
