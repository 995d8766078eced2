package supabase

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the verifier measures.
type metrics struct {
	tokens  *prometheus.CounterVec
	fetches *prometheus.CounterVec
	age     prometheus.GaugeFunc
}

func newMetrics(k *keys) *metrics {
	const prefix = "mini_vercel_supabase_"
	m := &metrics{
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "tokens_total", Help: "Tokens that were verified, by result: ok, expired, refused, unknown_key or unavailable.",
		}, []string{"result"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "key_fetches_total", Help: "Fetches of Supabase's keys, by result: ok or failed.",
		}, []string{"result"}),
		age: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: prefix + "keys_age_seconds", Help: "Time since Supabase's keys were fetched last; -1: not since the start.",
		}, func() float64 {
			at, _ := k.state()
			if at.IsZero() {
				return -1
			}
			return k.config.Now().Sub(at).Seconds()
		}),
	}
	for _, result := range []string{"ok", "expired", "refused", "unknown_key", "unavailable"} {
		m.tokens.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "failed"} {
		m.fetches.WithLabelValues(result)
	}
	return m
}

// Collectors returns what to register with a Prometheus registry.
func (v *Verifier) Collectors() []prometheus.Collector {
	return []prometheus.Collector{v.metrics.tokens, v.metrics.fetches, v.metrics.age}
}

// outcome is the label of how something ended.
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrExpired):
		return "expired"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrUnknownKey):
		return "unknown_key"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	}
	return "failed"
}
