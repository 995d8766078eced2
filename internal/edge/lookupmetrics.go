package edge

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// lookup is how a look-up of a host's route ended.
type lookup uint8

const (
	lookupMemory lookup = iota // asked of the cache of routes, which counts its hits itself
	lookupDisk
	lookupOrigin
	lookupNegative // there is none
	lookupRefused  // beyond the budget of look-ups of unknown hosts
	lookupError
	lookupCount
)

func (l lookup) String() string {
	return [...]string{"memory", "disk", "origin", "negative", "refused", "error"}[l]
}

func lookupOpts(prefix string, l lookup) prometheus.CounterOpts {
	return prometheus.CounterOpts{
		Name: prefix + "route_lookups_total", Help: "Look-ups of hosts' routes for requests and handshakes, by where the route was or why there is none.",
		ConstLabels: prometheus.Labels{"result": l.String()},
	}
}

// newLookups makes all counters but the one for memory.
func newLookups(prefix string, add func(prometheus.Collector)) (all [lookupCount]prometheus.Counter) {
	for l := lookupMemory + 1; l < lookupCount; l++ {
		all[l] = prometheus.NewCounter(lookupOpts(prefix, l))
		add(all[l])
	}
	return all
}

// lookedUp counts a look-up of a host that is not in memory.
func (m *Metrics) lookedUp(from Result, err error) {
	l := lookupError
	switch {
	case errors.Is(err, errNoRoute):
		l = lookupNegative
	case errors.Is(err, errBusy):
		l = lookupRefused
	case err != nil:
	case from == ResultDisk:
		l = lookupDisk
	default:
		l = lookupOrigin
	}
	m.lookups[l].Inc()
}
