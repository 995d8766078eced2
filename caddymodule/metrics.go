package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// register puts collectors into a registry. The collectors belong to an edge
// that outlives configurations, while every configuration has a new registry;
// where one is there already, it stays.
func register(registry prometheus.Registerer, collectors []prometheus.Collector) error {
	for _, c := range collectors {
		err := registry.Register(c)
		if there := (prometheus.AlreadyRegisteredError{}); err != nil && !errors.As(err, &there) {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}
