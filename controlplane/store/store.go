// Package store keeps the control plane's rows in SQLite or PostgreSQL. Its SQL
// is portable: numbered parameters, times as BIGINT microseconds, ON CONFLICT
// and RETURNING.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// Store is a database: one SQLite file, or PostgreSQL.
type Store struct {
	write, read *sql.DB // one and the same for PostgreSQL
	local       localLocks
	notes       noteHub   // of SQLite
	postgres    *postgres // what PostgreSQL needs besides; nil: SQLite
}

var _ controlplane.Store = (*Store)(nil)

// View implements [controlplane.Store].
func (s *Store) View(ctx context.Context, f func(controlplane.Tx) error) error {
	if s.postgres != nil {
		return s.postgres.view(ctx, f)
	}
	return within(ctx, s.read, f)
}

// Update implements [controlplane.Store].
func (s *Store) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	if s.postgres != nil {
		return s.postgres.update(ctx, f)
	}
	var notes []string
	err := within(ctx, s.write, func(t controlplane.Tx) error {
		err := f(t)
		notes = t.(*tx).notes
		return err
	})
	if err == nil {
		s.notes.pass(notes)
	}
	return err
}

// within is a transaction of SQLite.
func within(ctx context.Context, db *sql.DB, f func(controlplane.Tx) error) (err error) {
	defer func() {
		// It was rolled back when ctx ended, which database/sql does not always say.
		if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}()
	t, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer t.Rollback()
	if err := f(&tx{ctx: ctx, tx: t}); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Ping implements [controlplane.Store].
func (s *Store) Ping(ctx context.Context) error {
	if s.postgres != nil {
		return s.postgres.ping(ctx)
	}
	return s.read.PingContext(ctx)
}

// Collectors returns what to register with a Prometheus registry.
func (s *Store) Collectors() []prometheus.Collector {
	if s.postgres != nil {
		return s.postgres.metrics.collected
	}
	return newMetrics(func() sql.DBStats { return s.write.Stats() }).collected
}

// Close closes the database.
func (s *Store) Close() error {
	if s.postgres != nil {
		return s.postgres.close()
	}
	err := s.read.Close()
	if e := s.write.Close(); err == nil {
		err = e
	}
	return err
}
