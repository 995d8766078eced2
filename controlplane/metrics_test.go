package controlplane_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestWorkIsMeasured(t *testing.T) {
	p := newPlane(t).start()
	project := p.project("repo")
	p.deployFiles(project.ID, "", version(1))
	p.deploy(project.ID, "main")
	b := p.claim(p.next())
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}, lines("one", "two"), site.Event{Type: site.EventFailed, Reason: "x"})
	registry := prometheus.NewPedanticRegistry()
	for _, c := range p.Collectors() {
		registry.MustRegister(c)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
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
	// The production host may have been written once or twice.
	if n := got["records_published_total"]; n != 3 && n != 4 {
		t.Errorf("%v records were published", n)
	}
	for name, want := range map[string]float64{
		"deployments_ended_total " + string(controlplane.KindFiles) + " READY": 1, "deployments_ended_total git FAIL": 1,
		"phase_duration_seconds build": 1, "phase_duration_seconds upload": 1, "publish_duration_seconds": 1, "queue_duration_seconds": 1,
		"attempts_lost_total": 0, "log_lines_total": 2, "queued": 0, "builders": 1,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
}
