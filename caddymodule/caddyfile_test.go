package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	_ "github.com/mini-vercel/mini-vercel/caddymodule"
)

var update = flag.Bool("update", false, "write what is adapted into testdata")

func adapt(text string) ([]byte, error) {
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	encoded, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
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

// TestTheRepositorysCaddyfile adapts the one that ships.
func TestTheRepositorysCaddyfile(t *testing.T) {
	content, err := os.ReadFile("../Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUCKET_DIR", "/srv/bucket")
	t.Setenv("EDGE_PORT", "8123")
	got, err := adapt(string(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"directory": "/srv/bucket"`, `"base_domain": "localhost"`, `"cache_memory": 268435456`, `127.0.0.1:8123`, `127.0.0.1:9464`, `"disabled": true`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
}
