package controlplane_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// readAll takes a follower's events until it ends, or until enough.
func readAll(t *testing.T, events <-chan controlplane.LogEvent, enough func(lines []string, states []controlplane.Status) bool) (lines []string, states []controlplane.Status, last string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return lines, states, last
			}
			last = e.ID
			switch {
			case e.Line != nil:
				lines = append(lines, e.Line.Text)
			case e.State != nil:
				states = append(states, e.State.Status)
			}
			if enough != nil && enough(lines, states) {
				return lines, states, last
			}
		case <-timeout:
			t.Fatalf("after 20 s: %d lines, states %v", len(lines), states)
		}
	}
}

func TestFollowerGetsEachLineOnce(t *testing.T) {
	t.Parallel()
	const total = 3000
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	want := make([]string, total)
	for i := range want {
		want[i] = fmt.Sprint("line ", i)
	}
	for i := 0; i < 500; i += 5 {
		b.report(lines(want[i : i+5]...))
	}
	type result struct {
		lines  []string
		states []controlplane.Status
	}
	results, written := make(chan result), make(chan struct{})
	follow := func(slow bool) {
		events, err := p.FollowLogs(t.Context(), p.me, d.ID, "")
		if err != nil {
			t.Error(err)
			results <- result{}
			return
		}
		n := 0
		got, states, _ := readAll(t, events, func([]string, []controlplane.Status) bool {
			if n++; slow && n == 600 {
				<-written // far more than the buffer holds
			}
			return false
		})
		results <- result{got, states}
	}
	go follow(false)
	go follow(true)
	for i := 500; i < total; i += 5 {
		b.report(lines(want[i : i+5]...))
	}
	close(written)
	b.report(lines("the end"), site.Event{Type: site.EventFailed, Reason: "done"})
	for range 2 {
		r := <-results
		if len(r.lines) != total+1 {
			t.Fatalf("%d lines of %d", len(r.lines), total+1)
		}
		for i, text := range r.lines[:total] {
			if text != want[i] {
				t.Fatalf("line %d is %q", i, text)
			}
		}
		if s := r.states; s[0] != controlplane.StatusInProgress || s[len(s)-1] != controlplane.StatusFail {
			t.Errorf("states: %v", s)
		}
	}
}

func TestFollowerResumesBehindItsCursor(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	b.report(lines("a", "b", "c"))
	ctx, cancel := context.WithCancel(t.Context())
	events, err := p.FollowLogs(ctx, p.me, d.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	_, _, last := readAll(t, events, func(lines []string, _ []controlplane.Status) bool { return len(lines) == 2 })
	cancel()
	if last != "1-2" {
		t.Fatalf("cursor %s", last)
	}
	b.report(lines("d"), site.Event{Type: site.EventFailed, Reason: "done"})
	if events, err = p.FollowLogs(t.Context(), p.me, d.ID, last); err != nil {
		t.Fatal(err)
	}
	got, states, _ := readAll(t, events, nil)
	if fmt.Sprint(got) != "[c d]" || states[len(states)-1] != controlplane.StatusFail {
		t.Errorf("%v %v", got, states)
	}
}

func TestFollowerSeesDeploymentGoLive(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	events, err := p.FollowLogs(t.Context(), p.me, d.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	b := p.claim(p.next())
	var builder sync.WaitGroup
	builder.Go(func() {
		b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseUpload}, lines("uploading"))
		b.finish(page)
	})
	defer builder.Wait()
	var last *controlplane.Deployment
	for e := range events {
		if e.State != nil {
			last = e.State
		}
	}
	if last.Status != controlplane.StatusReady || last.LiveAt == nil || last.URL == "" {
		t.Errorf("last state: %+v", last)
	}
}

func TestFollowersEndWithTheService(t *testing.T) {
	p := newPlane(t).start()
	d := p.deploy(p.project("repo").ID, "")
	events, err := p.FollowLogs(t.Context(), p.me, d.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := p.Changes(t.Context(), p.me)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for range events {
	}
	for range changes {
	}
	_, err = p.FollowLogs(t.Context(), p.me, d.ID, "")
	wantCode(t, err, controlplane.CodeUnavailable)
}

func TestChangesAreOnesOwn(t *testing.T) {
	p := newPlane(t).start()
	mine, err := p.Changes(t.Context(), p.me)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	others, err := p.Changes(ctx, controlplane.Principal{UserID: "other", Scope: controlplane.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	project := p.project("repo")
	p.deployFiles(project.ID, "", page)
	seen := map[string]bool{}
	for !seen["deployment READY"] {
		select {
		case c := <-mine:
			seen[c.Type+" "+string(c.Status)] = true
		case <-time.After(10 * time.Second):
			t.Fatalf("seen: %v", seen)
		}
	}
	cancel()
	for c := range others {
		t.Errorf("another's change: %+v", c)
	}
}

// TestFollowerMissesNoLineOfAnotherControlPlane has a builder report to two
// control planes in turn, without a stream that both read.
func TestFollowerMissesNoLineOfAnotherControlPlane(t *testing.T) {
	const total = 20
	p := newPlane(t, func(p *plane) { p.config.Exclusive = false }).start()
	d := p.deploy(p.project("repo").ID, "")
	b := p.claim(p.next())
	both := []*controlplane.Service{p.service(p.runner, p.logs, stream.NewDirect(p.logs)), p.Service}
	f := follow(t, p.Service, p, d.ID)
	f.until("its state", func() bool { return len(f.said) > 0 })
	for i := range total {
		p.Service = both[i%2]
		b.report(lines(fmt.Sprint("line ", i)))
	}
	b.report(site.Event{Type: site.EventFailed, Reason: "done"})
	f.until("the end", func() bool { return f.end })
	if want := numbered(0, total); !slices.Equal(f.lines, want) {
		t.Errorf("%d lines of %d: %v", len(f.lines), total, f.lines)
	}
}
