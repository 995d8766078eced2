//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/supabase/supabasetest"
)

// TestSupabaseInABrowser signs up by supabase-js in Chromium, confirms, deploys,
// resets the password, and goes on while Supabase is away and changes its keys.
func TestSupabaseInABrowser(t *testing.T) {
	program := chromium(t)
	server := supabasetest.Start(t)
	p := start(t, "SUPABASE_URL="+server.URL, "SUPABASE_ANON_KEY="+supabasetest.AnonKey)
	_, url := repository(t, script("for i in 1 2 3 4 5; do echo step $i; sleep 0.3; done; mkdir dist && echo '<h1>by Supabase</h1>' > dist/index.html"))

	// What the script can't do from a browser.
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mail":
			link, err := server.Mail(r.Context(), r.URL.Query().Get("to"))
			if err != nil {
				return
			}
			fmt.Fprint(w, link)
		case "/rotate":
			server.Publish(server.Rotate()) // the one before is revoked
		case "/stop":
			server.Stop()
		case "/start":
			server.Start()
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(control.Close)

	cmd := browse("supabase.mjs", "CHROMIUM="+program, "SETUP="+p.setup, "REPOSITORY="+url, "CONTROL="+control.URL,
		"SCREENSHOTS="+os.Getenv("SCREENSHOTS"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	p.serves("by-supabase.localhost", "/", "<h1>by Supabase</h1>")

	// Programs go on as they did.
	var projects struct{ Items []struct{ Name string } }
	if code := p.call(http.MethodGet, "/projects", nil, &projects); code != http.StatusOK || len(projects.Items) != 1 {
		t.Errorf("up's own token: %d %+v", code, projects)
	}
	_, stderr, code := p.run("login", "--url", p.api, "--email", "ada@example.com")
	if code == 0 || !strings.Contains(stderr, "Supabase") || !strings.Contains(stderr, "API token") {
		t.Errorf("login by a password: %d %s", code, stderr)
	}
	if strings.Contains(p.out.String(), "eyJ") {
		t.Error("the log has a token")
	}

	// A start while Supabase is away.
	server.Stop()
	p.interrupt()
	p.up()
	if p.setup != "" {
		t.Errorf("a setup link after the setup: %s", p.setup)
	}
}
