package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/mini-vercel/mini-vercel/caddymodule"
)

var update = flag.Bool("update", false, "write what is adapted into testdata")

func adapt(text string) ([]byte, error) { return adaptFile("Caddyfile", text) }

// adaptFile is adapt for a text that imports what is next to its file.
func adaptFile(name, text string) ([]byte, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	encoded, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": name})
	if err != nil {
		return nil, err
	}
	var pretty bytes.Buffer
	err = json.Indent(&pretty, encoded, "", "\t")
	return pretty.Bytes(), err
}

// TestCaddyfile adapts the first half of each file and expects the second: the
// JSON, or what an error says.
func TestCaddyfile(t *testing.T) {
	names, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(names) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(content), "----------\n")
			got, err := adapt(input)
			if message, ok := strings.CutPrefix(strings.TrimSpace(want), "error: "); ok {
				if err == nil || !strings.Contains(err.Error(), message) {
					t.Fatalf("got %v, want it to say %q", err, message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name, []byte(input+"----------\n"+string(got)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if strings.TrimSpace(want) != string(got) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestTheRepositorysCaddyfile adapts the one that ships, as production has it.
func TestTheRepositorysCaddyfile(t *testing.T) {
	content, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDGE_PORT", "8123")
	t.Setenv("ACME_EMAIL", "ops@example.com")
	t.Setenv("BASE_DOMAIN", "example.test")
	for name, want := range map[string][]string{
		"/dev/null": {
			`"directory": "{env.BUCKET_DIR}"`, `"endpoint": "{env.R2_ENDPOINT}"`, `"base_domain": "example.test"`, `"cache_memory": 268435456`, `"cache_disk": 1073741824`, `":8123"`, `":443"`, `127.0.0.1:9464`,
			`"redirect_port": 443`, `"ca": "https://acme-v02.api.letsencrypt.org/directory"`, `"email": "ops@example.com"`, `"module": "mini_vercel"`, `"on_demand": true`, `"request\u003euri"`,
		},
		"Caddyfile.wildcard":     {`"*.example.test"`, `"name": "test"`, `"token": "{env.TOKEN}"`},
		"Caddyfile.certificates": {`"module": "bucket"`, `"name": "{env.CERTS_BUCKET_NAME}"`},
	} {
		t.Run(name, func(t *testing.T) {
			variable := "EDGE_WILDCARD"
			if strings.HasSuffix(name, ".certificates") {
				variable = "EDGE_CERTIFICATES"
			}
			t.Setenv(variable, name)
			t.Setenv("EDGE_DNS", "test {env.TOKEN}")
			got, err := adaptFile("../Caddyfile", string(content))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range want {
				if !strings.Contains(string(got), w) {
					t.Errorf("%s is missing in\n%s", w, got)
				}
			}
		})
	}
}

// dnsProvider stands for a plug-in that xcaddy.sh builds in.
type dnsProvider struct {
	Token string `json:"token"`
}

func init() { caddy.RegisterModule(dnsProvider{}) }

func (dnsProvider) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "dns.providers.test", New: func() caddy.Module { return new(dnsProvider) }}
}

func (p *dnsProvider) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&p.Token) {
		return d.ArgErr()
	}
	return nil
}
