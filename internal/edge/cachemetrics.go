package edge

import "github.com/prometheus/client_golang/prometheus"

// cacheMetrics are what the caches count besides what each of them counts
// itself.
type cacheMetrics struct {
	coalesced   prometheus.Counter
	diskDropped prometheus.Counter
	diskErrors  prometheus.Counter
	diskCorrupt prometheus.Counter
}

func newCacheMetrics(counter func(name, help string) prometheus.Counter) cacheMetrics {
	return cacheMetrics{
		coalesced:   counter("coalesced_total", "Requests that waited for a chunk which another request had begun to fetch."),
		diskDropped: counter("disk_dropped_total", "Chunks that were not kept on disk because too much waited to be written, or because writing failed shortly before."),
		diskErrors:  counter("disk_errors_total", "Reads, writes and removals of the chunks on disk that failed."),
		diskCorrupt: counter("disk_corrupt_total", "Files of chunks on disk whose bytes were not those of their sha256, and which were removed."),
	}
}

// caches are the edge's, by the name that they have in metrics.
func (e *Edge) caches() map[string]func() cacheStats {
	return map[string]func() cacheStats{
		"routes":    func() cacheStats { return e.resolver.hosts.stats() },
		"absent":    func() cacheStats { return e.resolver.absent.stats() },
		"manifests": func() cacheStats { return e.manifests.cache.stats() },
		"pages":     func() cacheStats { return e.pages.stats() },
		"elsewhere": func() cacheStats { return e.elsewhere.stats() },
		"chunks":    func() cacheStats { return e.chunks.memory.stats() },
		"large":     func() cacheStats { return e.chunks.passing.stats() },
		"disk":      func() cacheStats { return e.chunks.disk.stats() },
	}
}

// countsBytes tells caches that are bounded by bytes from those that are by their
// number of entries.
func countsBytes(name string) bool { return name != "routes" && name != "absent" }

// cacheCollectors are what is asked of the caches when metrics are scraped.
func (e *Edge) cacheCollectors(prefix string) (all []prometheus.Collector) {
	gauge := func(name, help, cache string, f func() float64) {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help, ConstLabels: prometheus.Labels{"cache": cache}}, f))
	}
	counter := func(name, help, cache string, f func() float64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: prefix + name, Help: help, ConstLabels: prometheus.Labels{"cache": cache}}, f))
	}
	for name, stats := range e.caches() {
		gauge("cache_entries", "What a cache holds: chunks of files in memory, of large files on their way through it, and on disk, among others.", name, func() float64 { return float64(stats().entries) })
		counter("cache_hits_total", "Look-ups that a cache could answer.", name, func() float64 { return float64(stats().hits) })
		counter("cache_misses_total", "Look-ups that a cache could not answer.", name, func() float64 { return float64(stats().misses) })
		counter("cache_evictions_total", "What left a cache because something else needed the room.", name, func() float64 { return float64(stats().evictions) })
		if countsBytes(name) {
			gauge("cache_bytes", "How many bytes a cache holds.", name, func() float64 { return float64(stats().cost) })
		}
	}
	return append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "disk_failing", Help: "1 while chunks can't be kept on disk."}, func() float64 {
		if e.chunks.disk.failing.Load() {
			return 1
		}
		return 0
	}))
}
