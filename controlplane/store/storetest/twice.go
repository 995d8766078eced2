package storetest

import (
	"context"
	"errors"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Twice is a store that runs the function of every Update twice, as PostgreSQL
// does where two of them did not go together: what the first run did to the
// database is undone, what it did to anything else is not.
type Twice struct{ controlplane.Store }

var errFirstRun = errors.New("the first of two runs")

// Update implements [controlplane.Store].
func (s Twice) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	err := s.Store.Update(ctx, func(tx controlplane.Tx) error {
		_ = f(tx) // what comes of the second run counts
		return errFirstRun
	})
	if !errors.Is(err, errFirstRun) {
		return err
	}
	return s.Store.Update(ctx, f)
}
