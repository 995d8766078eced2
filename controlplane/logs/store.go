// Package logs keeps the lines of builds' logs in a SQLite file of their own, so
// that a build that prints a lot never holds up the state of deployments.
package logs

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/mini-vercel/mini-vercel/controlplane"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a log store in one SQLite file.
type Store struct {
	write, read *sql.DB
}

var _ controlplane.LogStore = (*Store)(nil)

// Open opens the log store at path and makes it where there is none.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{}
	var err error
	// A crash of the machine may cost the last lines, never the file.
	if s.write, err = open(path, "_txlock=immediate&_pragma=synchronous(NORMAL)"); err != nil {
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	if s.read, err = open(path, "_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(4)
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
	return sql.Open("sqlite", name+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&"+options)
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

// Append implements [controlplane.LogStore].
func (s *Store) Append(ctx context.Context, deployment string, lines []controlplane.LogLine) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("append to log of %s: %w", deployment, err)
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, `
		INSERT INTO lines (deployment, attempt, seq, time, stream, phase, text) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (deployment, attempt, seq) DO NOTHING`)
	if err != nil {
		return fmt.Errorf("append to log of %s: %w", deployment, err)
	}
	defer insert.Close()
	for _, l := range lines {
		if _, err := insert.ExecContext(ctx, deployment, l.Attempt, l.Seq, l.Time.UnixMicro(), l.Stream, l.Phase, l.Text); err != nil {
			return fmt.Errorf("append to log of %s: %w", deployment, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("append to log of %s: %w", deployment, err)
	}
	return nil
}

// searchPage is how many lines a search reads at a time.
const searchPage = 2000

// Lines implements [controlplane.LogStore].
func (s *Store) Lines(ctx context.Context, deployment string, after controlplane.Cursor, limit int, query string) ([]controlplane.LogLine, error) {
	if query == "" {
		return s.page(ctx, deployment, after, limit)
	}
	query = strings.ToLower(query)
	found := []controlplane.LogLine{}
	for {
		page, err := s.page(ctx, deployment, after, searchPage)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			if !strings.Contains(strings.ToLower(l.Text), query) {
				continue
			}
			if found = append(found, l); len(found) == limit {
				return found, nil
			}
		}
		if len(page) < searchPage {
			return found, nil
		}
		last := page[len(page)-1]
		after = controlplane.Cursor{Attempt: last.Attempt, Seq: last.Seq}
	}
}

func (s *Store) page(ctx context.Context, deployment string, after controlplane.Cursor, limit int) ([]controlplane.LogLine, error) {
	rows, err := s.read.QueryContext(ctx, `
		SELECT attempt, seq, time, stream, phase, text FROM lines
		WHERE deployment = $1 AND (attempt > $2 OR attempt = $2 AND seq > $3)
		ORDER BY attempt, seq LIMIT $4`, deployment, after.Attempt, after.Seq, limit)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", deployment, err)
	}
	defer rows.Close()
	lines := []controlplane.LogLine{}
	for rows.Next() {
		var l controlplane.LogLine
		var micros int64
		if err := rows.Scan(&l.Attempt, &l.Seq, &micros, &l.Stream, &l.Phase, &l.Text); err != nil {
			return nil, fmt.Errorf("read log of %s: %w", deployment, err)
		}
		l.Time = time.UnixMicro(micros).UTC()
		lines = append(lines, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read log of %s: %w", deployment, err)
	}
	return lines, nil
}

// Extent implements [controlplane.LogStore].
func (s *Store) Extent(ctx context.Context, deployment string) (bytes int64, last controlplane.Cursor, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(SUM(LENGTH(CAST(text AS BLOB))), 0) FROM lines WHERE deployment = $1", deployment).Scan(&bytes)
	if err != nil {
		return 0, last, fmt.Errorf("measure log of %s: %w", deployment, err)
	}
	err = s.read.QueryRowContext(ctx, "SELECT attempt, seq FROM lines WHERE deployment = $1 ORDER BY attempt DESC, seq DESC LIMIT 1", deployment).
		Scan(&last.Attempt, &last.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, controlplane.Cursor{}, nil
	}
	if err != nil {
		return 0, last, fmt.Errorf("measure log of %s: %w", deployment, err)
	}
	return bytes, last, nil
}

// Delete implements [controlplane.LogStore].
func (s *Store) Delete(ctx context.Context, deployments ...string) error {
	for _, d := range deployments {
		if _, err := s.write.ExecContext(ctx, "DELETE FROM lines WHERE deployment = $1", d); err != nil {
			return fmt.Errorf("delete log of %s: %w", d, err)
		}
	}
	return nil
}

// Ping implements [controlplane.LogStore].
func (s *Store) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// Close closes the file.
func (s *Store) Close() error {
	err := s.read.Close()
	if e := s.write.Close(); err == nil {
		err = e
	}
	return err
}
