package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// TestTheDatabaseIsAway: requests are told so while PostgreSQL is killed, and
// served as soon as it is back, by the same process.
func TestTheDatabaseIsAway(t *testing.T) {
	server := pgtest.Start(t)
	p := newPlane(t, func(p *plane) { p.database, p.config.Exclusive = server.Database(t), false })
	owner := p.owner()
	create := func(name string) *response {
		return owner.do(http.MethodPost, "/projects", map[string]any{"name": name})
	}
	if got := create("before"); got.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", got.Status, got.body)
	}
	ready := func(status int) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) { // an answer counts for a second
			if got := p.anonymous().do(http.MethodGet, "/ready", nil); got.StatusCode == status {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("/ready does not become %d", status)
			}
		}
	}
	for range 2 {
		server.Kill()
		for _, got := range []*response{owner.do(http.MethodGet, "/projects", nil), create("during"), owner.do(http.MethodGet, "/deployments", nil)} {
			said := string(got.body)
			if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(said, "The database does not answer: try again in a moment.") ||
				got.Header.Get("Content-Type") != "application/problem+json" || got.Header.Get("Retry-After") == "" || strings.Contains(said, "127.0.0.1") {
				t.Errorf("%s: %s", got.Status, said)
			}
		}
		ready(http.StatusServiceUnavailable)
		server.Start(t)
		if got := owner.do(http.MethodGet, "/projects", nil); got.StatusCode != http.StatusOK || !strings.Contains(string(got.body), "before") || strings.Contains(string(got.body), "during") {
			t.Errorf("then: %s: %s", got.Status, got.body)
		}
		ready(http.StatusOK)
	}
	if got := create("after"); got.StatusCode != http.StatusCreated {
		t.Errorf("%s: %s", got.Status, got.body)
	}
	if log := p.log.String(); !strings.Contains(log, "request can't be served now") || !strings.Contains(log, "connection refused") || strings.Contains(log, "s3cret") {
		t.Error("the log does not say why, or says too much")
	}
}
