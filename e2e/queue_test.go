//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestAHundredDeploymentsAtOnce queues ten branches of each of ten projects:
// none is lost, none runs twice, and each project's are built in their order,
// one at a time.
func TestAHundredDeploymentsAtOnce(t *testing.T) {
	const projects, branches = 10, 10
	p := start(t, "BUILD_COUNT=2")
	dir, url := repository(t, map[string]string{"index.html": "hello"})
	for b := range branches {
		git(t, dir, "branch", fmt.Sprintf("b%d", b))
	}
	var ids []string
	for i := range projects {
		var created struct{ ID string }
		if code := p.call(http.MethodPost, "/projects", map[string]any{"name": fmt.Sprintf("queue-%d", i), "gitURL": url, "productionBranch": "main"}, &created); code/100 != 2 {
			t.Fatalf("POST /projects: %d", code)
		}
		for b := range branches {
			var d deployment
			if code := p.call(http.MethodPost, "/deploy", map[string]any{"projectId": created.ID, "branch": fmt.Sprintf("b%d", b)}, &d); code != http.StatusAccepted {
				t.Fatalf("POST /deploy: %d", code)
			}
			ids = append(ids, d.ID)
		}
	}

	type ended struct {
		Status             string
		Attempt            int
		StartedAt, EndedAt *time.Time
	}
	begun, over := map[time.Time]int{}, []time.Time(nil)
	for i := range projects {
		var before time.Time
		for b := range branches {
			var d ended
			p.eventually("every deployment ends", func() bool {
				p.call(http.MethodGet, "/deployments/"+ids[i*branches+b], nil, &d)
				return d.EndedAt != nil
			})
			if d.Status != "READY" || d.Attempt != 1 {
				t.Errorf("project %d, branch %d: %s, attempt %d", i, b, d.Status, d.Attempt)
			}
			if d.StartedAt.Before(before) {
				t.Errorf("project %d, branch %d began at %v, before the one ahead of it ended at %v", i, b, d.StartedAt, before)
			}
			before = *d.EndedAt
			begun[*d.StartedAt]++
			over = append(over, *d.EndedAt)
		}
	}
	var times []time.Time
	for at := range begun {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	slices.SortFunc(over, time.Time.Compare)
	running, most := 0, 0
	for _, at := range times {
		for len(over) > 0 && !over[0].After(at) {
			over, running = over[1:], running-1
		}
		running += begun[at]
		most = max(most, running)
	}
	if most > 2 {
		t.Errorf("%d builds ran at once, the limit is 2", most)
	}
}
