package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/api"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
)

// TestClickHouseIsAwayForAWhile kills the server that keeps logs while a build
// prints: whoever asks is told, the build goes on, and no line is missing when
// it is back.
func TestClickHouseIsAwayForAWhile(t *testing.T) {
	server := clickhousetest.Start(t)
	p := newPlane(t, func(p *plane) {
		store, err := logs.OpenClickHouse(logs.ClickHouseOptions{Host: server.Host, Port: server.Port, Username: server.Username, Password: server.Password})
		if err != nil {
			t.Fatal(err)
		}
		p.logs = store
	})
	owner := p.owner()
	d, builder, job := owner.build(owner.project("printing").ID)
	var texts []string
	for n := range 100 {
		texts = append(texts, fmt.Sprint("line ", n))
	}
	builder.report(job, 1, lines(texts[:50]...))
	path := "/deployments/" + d.ID + "/logs"
	var page api.Page[controlplane.LogLine]
	if owner.do("GET", path, nil).is(http.StatusOK).into(&page); len(page.Items) != 50 {
		t.Fatalf("%d lines", len(page.Items))
	}
	ready := func(want int) *response {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // what it said counts for a second
			r := p.anonymous().do("GET", "/ready", nil)
			if r.StatusCode == want || time.Now().After(deadline) {
				return r.is(want)
			}
		}
	}
	ready(http.StatusOK)

	server.Kill()
	for _, q := range []string{"", "?q=line", "?format=text"} {
		away := owner.do("GET", path+q, nil).is(http.StatusServiceUnavailable)
		if !strings.Contains(string(away.body), "The log store does not answer") || strings.Contains(string(away.body), fmt.Sprint(server.Port)) {
			t.Errorf("%s: %s", q, away.body)
		}
	}
	ready(http.StatusServiceUnavailable).field("logs")
	p.anonymous().do("GET", "/ready?part=database", nil).is(http.StatusOK)
	p.anonymous().do("GET", "/ready?part=database&part=logs", nil).is(http.StatusServiceUnavailable)

	server.Start(t)
	builder.report(job, 51, lines(texts[50:]...))
	if owner.do("GET", path, nil).is(http.StatusOK).into(&page); len(page.Items) != 100 {
		t.Fatalf("%d lines", len(page.Items))
	}
	for i, l := range page.Items {
		if l.Text != texts[i] {
			t.Fatalf("line %d is %q", i, l.Text)
		}
	}
	ready(http.StatusOK)
}
