package edge

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// modulePath is this module's, whatever it is built into.
const modulePath = "github.com/mini-vercel/mini-vercel"

// linkedVersion is set by the linker where `make build` runs it.
var linkedVersion string

// newBuildInfo is a metric that says what runs: 1, with the version of this
// module and of Go.
func newBuildInfo(prefix string) prometheus.Collector {
	version := linkedVersion
	if version == "" {
		version = "unknown"
		if info, ok := debug.ReadBuildInfo(); ok {
			version = moduleVersion(info)
		}
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
}

// moduleVersion finds this module in a binary: it is the main one, or part of a
// Caddy. What was built from a directory has its commit instead of a version.
func moduleVersion(info *debug.BuildInfo) string {
	version := "unknown"
	if info.Main.Path == modulePath {
		version = info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == modulePath {
			version = m.Version
		}
	}
	if version == "(devel)" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return version
}
