package caddymodule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

// patient waits for as long as clients that ask all the time need to move over,
// however busy the machine is.
const patient = caddy.Duration(20 * time.Second)

// TestReloadsUnderLoadDropNothing reloads while clients ask over TCP (what crosses
// a GOAWAY of HTTP/3 is for the client to send again): nobody gets an error, the caches and certificates stay, and nothing is
// left of the configurations in between.
func TestReloadsUnderLoadDropNothing(t *testing.T) {
	b := newBucket(t)
	big := strings.Repeat("0123456789abcdef", 20_000)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home", "/big.bin": big})
	dir, ports := t.TempDir(), []int{freePort(t), freePort(t)}
	o := caddymodule.Options{
		Listen: local(ports[0]), MetricsListen: "127.0.0.1:0", DataDir: dir,
		HTTPS: caddymodule.HTTPS{Listen: local(ports[1])},
		App:   caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir(), HandOver: patient},
	}
	startIn(t, dir, o)
	config := trust(t, dir)

	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	var answers, failures atomic.Int64
	var each []*atomic.Int64
	keepAsking := func(c *http.Client, url string) {
		own := new(atomic.Int64)
		each = append(each, own)
		clients.Go(func() {
			for ctx.Err() == nil {
				status, body, err := fetch(c, url+"/big.bin")
				if err != nil || status != 200 || body != big {
					failures.Add(1)
					t.Errorf("%s: %d, %d of %d bytes, %v", url, status, len(body), len(big), err)
					return
				}
				answers.Add(1)
				own.Add(1)
			}
		})
	}
	plain := browser(t, "HTTP/1.1", local(ports[0]), config)
	keepAsking(plain, "http://a.localhost")
	keepAsking(plain, "http://a.localhost")
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		c := browser(t, version, local(ports[1]), config)
		keepAsking(c, "https://a.localhost")
		keepAsking(c, "https://a.localhost")
	}

	for n := range 100 {
		o.App.CacheMemory = int64(n+64) << 20 // or it is the same configuration
		addrs := load(t, o, nil)
		sofar := answers.Load()
		eventually(t, "answers go on", func() bool { return answers.Load() > sofar || failures.Load() > 0 })
		if failures.Load() > 0 {
			t.Fatalf("after reload %d", n)
		}
		if n != 99 {
			continue
		}
		for name, want := range map[string]string{
			`mini_vercel_edge_origin_read_duration_seconds_count{object="chunk"}`: "1",
			`mini_vercel_edge_certificate_decisions_total{outcome="new"}`:         "1",
		} {
			if got := metric(t, addrs["metrics"], name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
	}
	for i, own := range each {
		if own.Load() < 10 {
			t.Errorf("client %d got only %d answers", i, own.Load())
		}
	}
}

// TestReloadsLeaveNoGoroutine reloads an edge that serves HTTPS.
func TestReloadsLeaveNoGoroutine(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	dir, port := t.TempDir(), freePort(t)
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: dir, HTTPS: caddymodule.HTTPS{Listen: local(port)},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir(), HandOver: patient},
	}
	startIn(t, dir, o)
	config := trust(t, dir)
	var before int
	for n := range 30 {
		o.App.CacheMemory = int64(n+1) << 20
		load(t, o, nil)
		for _, version := range []string{"HTTP/2.0", "HTTP/3.0"} {
			c := browser(t, version, local(port), config)
			if status, body, err := fetch(c, "https://a.localhost/"); status != 200 || body != "home" {
				t.Fatalf("reload %d, %s: %d %q %v", n, version, status, body, err)
			}
			closeTransport(c)
		}
		if n == 5 {
			before = runtime.NumGoroutine()
		}
	}
	eventually(t, fmt.Sprintf("no more than %d goroutines", before+10), func() bool { return runtime.NumGoroutine() <= before+10 })
}

// TestABadConfigurationLeavesHTTPSAsItWas loads one that can't be.
func TestABadConfigurationLeavesHTTPSAsItWas(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/index.html": "home"})
	b.deploy("b.localhost", "d2", map[string]string{"/index.html": "other"})
	dir, port := t.TempDir(), freePort(t)
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", DataDir: dir, HTTPS: caddymodule.HTTPS{Listen: local(port)},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir(), HandOver: patient},
	}
	startIn(t, dir, o)
	config := trust(t, dir)
	for name, change := range map[string]func(o *caddymodule.Options){
		"more previews than there is": func(o *caddymodule.Options) {
			o.HTTPS.Permission = caddymodule.Permission{PerWeek: 5, PreviewsPerWeek: 6}
		},
		"a negative limit":              func(o *caddymodule.Options) { o.HTTPS.Permission = caddymodule.Permission{PerMinute: -1} },
		"a file of roots that is not":   func(o *caddymodule.Options) { o.HTTPS.ACME = &caddymodule.ACME{RootFile: "/nowhere/root.pem"} },
		"an HSTS of less than a second": func(o *caddymodule.Options) { o.App.HSTS = 1 },
		"no base domain":                func(o *caddymodule.Options) { o.App.BaseDomain = "" },
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			change(&o)
			encoded, err := caddymodule.Config(o)
			if err != nil {
				t.Fatal(err)
			}
			if err := caddy.Load(encoded, true); err == nil {
				t.Fatal("it was taken")
			}
			// One certificate is there, one is made now.
			for host, want := range map[string]string{"a.localhost": "home", "b.localhost": "other"} {
				c := browser(t, "HTTP/2.0", local(port), config)
				if status, body, err := fetch(c, "https://"+host+"/"); status != 200 || body != want {
					t.Errorf("%s: %d %q %v", host, status, body, err)
				}
			}
		})
	}
}

// TestTheWildcardCertificateCoversHostsBelowTheBaseDomain gets one at the start,
// and none for each host.
func TestTheWildcardCertificateCoversHostsBelowTheBaseDomain(t *testing.T) {
	b := newBucket(t)
	b.deploy("a.wild.test", "d1", map[string]string{"/index.html": "home"})
	b.deploy("www.wild.example", "d2", map[string]string{"/index.html": "own"})
	dir, port := t.TempDir(), freePort(t)
	o := caddymodule.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", DataDir: dir, HTTPS: caddymodule.HTTPS{Listen: local(port)},
		App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "wild.test", StateDir: t.TempDir(), HandOver: patient},
	}
	startIn(t, dir, o)
	addrs := load(t, o, func(config map[string]any) {
		app := config["apps"].(map[string]any)["tls"].(map[string]any)
		app["certificates"] = map[string]any{"automate": []string{"*.wild.test"}}
		automation := app["automation"].(map[string]any)
		automation["policies"] = append([]any{map[string]any{
			"subjects": []string{"*.wild.test"}, "issuers": []any{map[string]any{"module": "internal"}},
		}}, automation["policies"].([]any)...)
	})
	config := trust(t, dir)
	for host, want := range map[string]string{"a.wild.test": "*.wild.test", "www.wild.example": "www.wild.example"} {
		// The wildcard's comes in the background.
		eventually(t, host+" has a certificate", func() bool {
			c := browser(t, "HTTP/2.0", local(port), config)
			defer closeTransport(c)
			resp, err := c.Get("https://" + host + "/")
			if err != nil {
				return false
			}
			resp.Body.Close()
			if got := resp.TLS.PeerCertificates[0].DNSNames; len(got) != 1 || got[0] != want {
				t.Fatalf("%s got the certificate of %v", host, got)
			}
			return true
		})
	}
	if got := metric(t, addrs["metrics"], `mini_vercel_edge_certificate_decisions_total{outcome="new"}`); got != "1" {
		t.Errorf("%s certificates on demand", got)
	}
}

// TestTheConfigurationOfACA is that of a CA by ACME, as Caddy reads it.
func TestTheConfigurationOfACA(t *testing.T) {
	encoded, err := caddymodule.Config(caddymodule.Options{
		Listen: ":8001", App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: "/b"}, BaseDomain: "localhost"},
		HTTPS: caddymodule.HTTPS{Listen: ":8443", ACME: &caddymodule.ACME{Email: "ops@example.com"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Apps struct {
			TLS struct {
				Automation struct {
					Policies []struct{ Issuers []json.RawMessage }
				}
			}
		}
	}
	if err := json.Unmarshal(encoded, &config); err != nil {
		t.Fatal(err)
	}
	want := `{"ca":"https://acme-v02.api.letsencrypt.org/directory","challenges":{"http":{"alternate_port":8001},"tls-alpn":{"alternate_port":8443}},"email":"ops@example.com","module":"acme"}`
	if got := string(config.Apps.TLS.Automation.Policies[0].Issuers[0]); got != want {
		t.Errorf("got %s", got)
	}
	for _, listen := range []string{"127.0.0.1:0", "127.0.0.1", ":https"} {
		if _, err := caddymodule.Config(caddymodule.Options{Listen: ":8001", HTTPS: caddymodule.HTTPS{Listen: listen}}); err == nil {
			t.Errorf("%s was taken", listen)
		}
	}
}
