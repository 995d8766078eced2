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
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver

	"github.com/mini-vercel/mini-vercel/controlplane"
)

//go:embed sqlite/*.sql
var sqliteMigrations embed.FS

// SQLite is a log store in one SQLite file. It is a file of its own, so that a
// build that prints a lot never holds up the state of deployments.
type SQLite struct {
	write, read *sql.DB
}

var _ controlplane.LogStore = (*SQLite)(nil)

// OpenSQLite opens the log store at path and makes it where there is none.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	s := &SQLite{}
	var err error
	// A crash of the machine may cost the last lines, never the file.
	if s.write, err = openSQLite(path, "_txlock=immediate&_pragma=synchronous(NORMAL)"); err != nil {
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, s.write); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	if s.read, err = openSQLite(path, "_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open log store %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(4)
	return s, nil
}

func openSQLite(path, options string) (*sql.DB, error) {
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

func migrateSQLite(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(sqliteMigrations, "sqlite")
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
func (s *SQLite) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("append to logs: %w", err)
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, `
		INSERT INTO lines (deployment, attempt, seq, time, stream, phase, text) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (deployment, attempt, seq) DO NOTHING`)
	if err != nil {
		return fmt.Errorf("append to logs: %w", err)
	}
	defer insert.Close()
	for _, b := range batches {
		deleted, err := known(ctx, tx, b.LogRef)
		if err != nil {
			return fmt.Errorf("append to log of %s: %w", b.Deployment, err)
		}
		if deleted {
			continue
		}
		for _, l := range b.Lines {
			if _, err := insert.ExecContext(ctx, b.Deployment, l.Attempt, l.Seq, l.Time.UnixMicro(), l.Stream, l.Phase, l.Text); err != nil {
				return fmt.Errorf("append to log of %s: %w", b.Deployment, err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("append to logs: %w", err)
	}
	return nil
}

// known makes sure that a log has its row, and reports whether it is deleted.
func known(ctx context.Context, tx *sql.Tx, log controlplane.LogRef) (deleted bool, err error) {
	err = tx.QueryRowContext(ctx, "SELECT deleted FROM logs WHERE deployment = $1", log.Deployment).Scan(&deleted)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO logs (deployment, created) VALUES ($1, $2)", log.Deployment, log.Created.UnixMicro())
	}
	return deleted, err
}

// searchPage is how many lines a search reads at a time.
const searchPage = 2000

// Lines implements [controlplane.LogStore].
func (s *SQLite) Lines(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int, query string) ([]controlplane.LogLine, error) {
	if query == "" {
		return s.page(ctx, log.Deployment, after, limit)
	}
	search := newSearch(query)
	found := []controlplane.LogLine{}
	for {
		page, err := s.page(ctx, log.Deployment, after, searchPage)
		if err != nil {
			return nil, err
		}
		for _, l := range page {
			if !search.finds(l.Text) {
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

func (s *SQLite) page(ctx context.Context, deployment string, after controlplane.Cursor, limit int) ([]controlplane.LogLine, error) {
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
func (s *SQLite) Extent(ctx context.Context, log controlplane.LogRef) (bytes int64, last controlplane.Cursor, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(SUM(LENGTH(CAST(text AS BLOB))), 0) FROM lines WHERE deployment = $1", log.Deployment).Scan(&bytes)
	if err != nil {
		return 0, last, fmt.Errorf("measure log of %s: %w", log.Deployment, err)
	}
	err = s.read.QueryRowContext(ctx, "SELECT attempt, seq FROM lines WHERE deployment = $1 ORDER BY attempt DESC, seq DESC LIMIT 1", log.Deployment).
		Scan(&last.Attempt, &last.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, controlplane.Cursor{}, nil
	}
	if err != nil {
		return 0, last, fmt.Errorf("measure log of %s: %w", log.Deployment, err)
	}
	return bytes, last, nil
}

// Delete implements [controlplane.LogStore]. The bytes are free at once, for
// later lines; the file does not shrink.
func (s *SQLite) Delete(ctx context.Context, logs ...controlplane.LogRef) error {
	for _, log := range logs {
		if err := s.delete(ctx, log); err != nil {
			return fmt.Errorf("delete log of %s: %w", log.Deployment, err)
		}
	}
	return nil
}

func (s *SQLite) delete(ctx context.Context, log controlplane.LogRef) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	_, err = tx.ExecContext(ctx, `
		INSERT INTO logs (deployment, created, deleted) VALUES ($1, $2, 1)
		ON CONFLICT (deployment) DO UPDATE SET deleted = 1`, log.Deployment, log.Created.UnixMicro())
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM lines WHERE deployment = $1", log.Deployment); err != nil {
		return err
	}
	return tx.Commit()
}

// Expire implements [controlplane.LogStore]: one log at a time, so that builds
// which print wait for no more than one.
func (s *SQLite) Expire(ctx context.Context, before time.Time) error {
	day := controlplane.LogRef{Created: before}.Day()
	for {
		var deployment string
		err := s.read.QueryRowContext(ctx, "SELECT deployment FROM logs WHERE created < $1 ORDER BY created LIMIT 1", day.UnixMicro()).Scan(&deployment)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = s.forget(ctx, deployment)
		}
		if err != nil {
			return fmt.Errorf("expire logs of before %s: %w", day.Format(time.DateOnly), err)
		}
	}
}

// forget removes a log with its row.
func (s *SQLite) forget(ctx context.Context, deployment string) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for _, statement := range []string{"DELETE FROM lines WHERE deployment = $1", "DELETE FROM logs WHERE deployment = $1"} {
		if _, err := tx.ExecContext(ctx, statement, deployment); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Ping implements [controlplane.LogStore].
func (s *SQLite) Ping(ctx context.Context) error { return s.read.PingContext(ctx) }

// Close closes the file.
func (s *SQLite) Close() error {
	err := s.read.Close()
	if e := s.write.Close(); err == nil {
		err = e
	}
	return err
}
