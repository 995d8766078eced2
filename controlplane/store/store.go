// Package store keeps the control plane's rows in SQLite. Its SQL is portable:
// numbered parameters, times as BIGINT microseconds, ON CONFLICT and RETURNING.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/mini-vercel/mini-vercel/controlplane"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a database in one SQLite file. Writes go through one connection, one
// transaction after the other, while readers see the state before.
type Store struct {
	write, read *sql.DB

	mu    sync.Mutex
	locks map[string]*projectLock
}

type projectLock struct {
	held    chan struct{} // holds one element while the lock is taken
	waiting int           // holder included
}

var _ controlplane.Store = (*Store)(nil)

// Open opens the database at path, makes it where there is none, and brings its
// tables up to date. No other process may have it open.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{locks: map[string]*projectLock{}}
	var err error
	// Committed means on the disk (synchronous FULL): what was answered READY
	// is not forgotten when the power fails.
	if s.write, err = open(path, "_txlock=immediate&_pragma=synchronous(FULL)"); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if s.read, err = open(path, "_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(max(4, runtime.NumCPU()))
	return s, nil
}

func open(path, options string) (*sql.DB, error) {
	// SQLite gives its other files the permissions of this one. A file that is
	// there is left alone: to close it would end the locks that this process has.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	name := "file:" + (&url.URL{Path: path}).EscapedPath()
	return sql.Open("sqlite", name+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=foreign_keys(1)&"+options)
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// View implements [controlplane.Store].
func (s *Store) View(ctx context.Context, f func(controlplane.Tx) error) error {
	return within(ctx, s.read, f)
}

// Update implements [controlplane.Store].
func (s *Store) Update(ctx context.Context, f func(controlplane.Tx) error) error {
	return within(ctx, s.write, f)
}

func within(ctx context.Context, db *sql.DB, f func(controlplane.Tx) error) error {
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

// LockProject implements [controlplane.Store]. One process has the database
// open, so a lock in memory is among all control planes.
func (s *Store) LockProject(ctx context.Context, project string) (func(), error) {
	s.mu.Lock()
	l := s.locks[project]
	if l == nil {
		l = &projectLock{held: make(chan struct{}, 1)}
		s.locks[project] = l
	}
	l.waiting++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(s.locks, project)
		}
	}
	select {
	case l.held <- struct{}{}:
		return sync.OnceFunc(func() { <-l.held; leave() }), nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("lock project %s: %w", project, ctx.Err())
	}
}

// Ping implements [controlplane.Store].
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// Close closes the database.
func (s *Store) Close() error {
	err := s.read.Close()
	if e := s.write.Close(); err == nil {
		err = e
	}
	return err
}

// tx is an open transaction; its methods stand beside the tables they are for.
type tx struct {
	ctx context.Context
	tx  *sql.Tx
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	r, err := t.tx.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (t *tx) row(query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(t.ctx, query, args...)
}

// collect reads all rows of a query.
func collect[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.tx.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// scanner is a row, alone or of several.
type scanner interface{ Scan(dest ...any) error }

func scanLog(row scanner) (l controlplane.LogRef, err error) {
	err = row.Scan(&l.Deployment, instant{&l.Created})
	return l, err
}

func scanString(row scanner) (s string, err error) { err = row.Scan(&s); return s, err }

// micros is a time as it is kept: 0 is none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the time that [micros] kept.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
