package edge

import (
	"runtime/debug"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestAHistogramCountsUpToAndWithItsBounds(t *testing.T) {
	h := newHistograms("x_seconds", "x", 1e9, 1_000_000, 60_000_000_000)
	for _, ns := range []int64{0, 999_999, 1_000_000, 1_000_001, 60_000_000_000, 60_000_000_001} {
		h.observe(ResultDisk, ns)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(h)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got *dto.Histogram
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == "disk" {
			got = m.GetHistogram()
		} else if m.GetHistogram().GetSampleCount() != 0 {
			t.Errorf("%v", m)
		}
	}
	buckets := map[float64]uint64{}
	for _, b := range got.GetBucket() {
		buckets[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	if got.GetSampleCount() != 6 || buckets[.001] != 3 || buckets[60] != 5 || len(buckets) != 2 || got.GetSampleSum() < 120 || got.GetSampleSum() > 120.01 {
		t.Errorf("%v", got)
	}
}

func TestTheVersionIsThatOfThisModule(t *testing.T) {
	ours := &debug.Module{Path: modulePath, Version: "v1.2.3"}
	for name, tt := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"of our own program":       {&debug.BuildInfo{Main: *ours}, "v1.2.3"},
		"in a Caddy":               {&debug.BuildInfo{Main: debug.Module{Path: "caddy", Version: "(devel)"}, Deps: []*debug.Module{ours}}, "v1.2.3"},
		"built from a checkout":    {&debug.BuildInfo{Main: debug.Module{Path: modulePath, Version: "(devel)"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}, "abc"},
		"built from a directory":   {&debug.BuildInfo{Main: debug.Module{Path: modulePath, Version: "(devel)"}}, "(devel)"},
		"of somebody else's build": {&debug.BuildInfo{}, "unknown"},
	} {
		if got := moduleVersion(tt.info); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestClassesAndProtocolsAreBounded(t *testing.T) {
	for status, want := range map[int]string{0: "2xx", 200: "2xx", 299: "2xx", 308: "3xx", 404: "4xx", 499: "4xx", 503: "5xx", 999: "5xx"} {
		if got := classOf(status).String(); got != want {
			t.Errorf("%d: %s", status, got)
		}
	}
	for major, want := range map[int]string{0: "h1", 1: "h1", 2: "h2", 3: "h3", 4: "h3"} {
		if got := protocolOf(major).String(); got != want {
			t.Errorf("%d: %s", major, got)
		}
	}
}
