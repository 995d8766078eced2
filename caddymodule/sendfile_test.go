package caddymodule_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mini-vercel/mini-vercel/caddymodule"
)

func init() { caddy.RegisterModule(connectionType{}) }

// connectionType is a handler that answers with the type of the connection.
type connectionType struct{}

func (connectionType) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_connection_type", New: func() caddy.Module { return new(connectionType) }}
}

func (connectionType) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ caddyhttp.Handler) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%T", conn)
	fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	return conn.Close()
}

// TestConnectionsCanBeSentFiles looks at what the handler writes to: the kernel
// sends a file to a connection that nothing is wrapped around, and to no other.
func TestConnectionsCanBeSentFiles(t *testing.T) {
	b := newBucket(t)
	o := caddymodule.Options{Listen: "127.0.0.1:0", DataDir: t.TempDir(), App: caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, BaseDomain: "localhost", StateDir: t.TempDir()}}
	start(t, o)
	addrs := load(t, o, func(config map[string]any) {
		servers(config)["edge"].(map[string]any)["routes"] = []any{map[string]any{"handle": []any{map[string]any{"handler": "test_connection_type"}}}}
	})
	if _, got := get(t, addrs["edge"], "localhost", "/"); got != fmt.Sprintf("%T", (*net.TCPConn)(nil)) {
		t.Errorf("the connection is a %s", got)
	}
}

// TestALargeFileComesFromDisk serves a file that memory does not hold.
func TestALargeFileComesFromDisk(t *testing.T) {
	var text strings.Builder
	for n := 0; text.Len() < 20<<20; n++ {
		text.WriteString(strings.Repeat(string(rune('a'+n%26)), 1000+n))
	}
	big := text.String()
	b := newBucket(t)
	b.deploy("a.localhost", "d1", map[string]string{"/big.bin": big})
	r := start(t, caddymodule.Options{
		MetricsListen: "127.0.0.1:0",
		App:           caddymodule.App{Bucket: caddymodule.Bucket{Directory: b.dir}, CacheMemory: 16 << 20},
	})
	for range 2 {
		if status, body := get(t, r.Addr().String(), "a.localhost", "/big.bin"); status != 200 || body != big {
			t.Fatalf("got %d, %d bytes", status, len(body))
		}
		eventually(t, "it is on disk", func() bool {
			return metric(t, r.MetricsAddr().String(), `mini_vercel_edge_cache_entries{cache="disk"}`) == "21"
		})
	}
	if hits := metric(t, r.MetricsAddr().String(), `mini_vercel_edge_cache_hits_total{cache="disk"}`); hits == "0" {
		t.Error("it was read from the bucket again")
	}
}
