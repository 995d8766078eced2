package controlplane_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestWorkIsMeasured(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	p.deployFiles(project.ID, "", version(1))
	p.deploy(project.ID, "main")
	b := p.claim(p.next())
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}, lines("one", "two"), site.Event{Type: site.EventFailed, Reason: "x"})
	got := p.measured()
	// The production host may have been written once or twice.
	if n := got["records_published_total"]; n != 3 && n != 4 {
		t.Errorf("%v records were published", n)
	}
	for name, want := range map[string]float64{
		"deployments_ended_total " + string(controlplane.KindFiles) + " READY": 1, "deployments_ended_total git FAIL": 1,
		"phase_duration_seconds build": 1, "phase_duration_seconds upload": 1, "publish_duration_seconds": 1, "queue_duration_seconds": 1, "builder_start_duration_seconds": 1,
		"attempts_lost_total": 0, "log_lines_total": 2, "queued": 0, "builders": 1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}

// measured gathers the metrics by their names without prefix and their labels'
// values.
func (p *plane) measured() map[string]float64 {
	p.t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range p.Collectors() {
		registry.MustRegister(c)
	}
	families, err := registry.Gather()
	if err != nil {
		p.t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()[len("mini_vercel_controlplane_"):]
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				got[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				got[name] = m.GetGauge().GetValue()
			default:
				got[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return got
}

func TestBacklogIsMeasured(t *testing.T) {
	p := newPlane(t, func(p *plane) { p.config.MaxBuilds = 1 })
	p.age(0)
	p.start()
	project := p.project("repo")
	p.deploy(project.ID, "main")
	b := p.claim(p.next())
	p.deploy(project.ID, "next")
	eventually(t, "published", p.nothingDirty)
	p.clock.Advance(90 * time.Second)
	got := p.measured()
	if got["queued"] != 1 || got["queue_oldest_seconds"] < 90 || got["unpublished"] != 0 || got["unpublished_oldest_seconds"] != 0 || got["backup_timestamp_seconds"] != 0 {
		t.Errorf("%v", got)
	}
	p.clock.Advance(-90 * time.Second)
	p.backup()
	if at := p.measured()["backup_timestamp_seconds"]; at < float64(p.clock.Now().Add(-time.Minute).Unix()) {
		t.Errorf("last backup at %v", at)
	}
	b.report(site.Event{Type: site.EventFailed, Reason: "x"})

	// A record that can't be written is the oldest, whatever else is.
	p.kill()
	stuck := &deafBucket{Store: p.raw}
	p.bucket = stuck
	p.open()
	p.start()
	stuckProject := p.project("stuck")
	p.clock.Advance(45 * time.Second)
	p.kill() // nobody has asked for the metrics yet, and another process is asked
	p.open()
	p.start()
	p.project("another")
	name := "renamed" // what waits already goes on to
	if _, err := p.UpdateProject(t.Context(), p.me, stuckProject.ID, controlplane.ProjectPatch{Name: &name}); err != nil {
		t.Fatal(err)
	}
	if got := p.measured(); got["unpublished"] < 4 || got["unpublished_oldest_seconds"] < 45 || got["unpublished_oldest_seconds"] > 60 {
		t.Errorf("%v wait, the oldest for %v s", got["unpublished"], got["unpublished_oldest_seconds"])
	}
	stuck.hear()
	eventually(t, "nothing waits", func() bool { return p.measured()["unpublished_oldest_seconds"] == 0 })
	if lease := p.measured()["publisher_lease_seconds"]; lease <= 0 {
		t.Errorf("the publisher's lease is good for %v s", lease)
	}
	p.kill()
	if got := p.measured(); got["queued"] != -1 {
		t.Errorf("%v", got["queued"])
	} else if _, told := got["queue_oldest_seconds"]; told {
		t.Error("a database that does not answer has an age of the queue")
	}
}

// deafBucket takes no writes until it hears.
type deafBucket struct {
	blob.Store
	heard atomic.Bool
}

func (b *deafBucket) hear() { b.heard.Store(true) }

func (b *deafBucket) Put(ctx context.Context, key string, body io.Reader, size int64, opts blob.PutOptions) (blob.Info, error) {
	if !b.heard.Load() {
		return blob.Info{}, errors.New("the bucket takes nothing")
	}
	return b.Store.Put(ctx, key, body, size, opts)
}
