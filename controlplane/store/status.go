package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// Status is what an operator asks of a database.
type Status struct {
	Engine         string // "SQLite" or "PostgreSQL", and its version
	Place          string // a file, or a server and a database
	Version        int64
	Latest         int64    // version that this program makes of it
	Pending        []string // migrations that are missing
	SizeBytes      int64
	Connections    int // all, and those of control planes; 0 of SQLite
	Own            int
	MaxConnections int
	MasterKey      string // fingerprint of the key it is tied to, if it is
}

// factsVersion is the migration that makes the table of facts.
const factsVersion = 6

// FileStatus looks at a SQLite database and changes nothing.
func FileStatus(ctx context.Context, path string) (*Status, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database %s", path)
	}
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	st := &Status{Place: path, SizeBytes: info.Size()}
	if log, err := os.Stat(path + "-wal"); err == nil {
		st.SizeBytes += log.Size()
	}
	var version string
	var migrated bool
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version(), EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'goose_db_version')").Scan(&version, &migrated); err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	st.Engine = "SQLite " + version
	if err := st.migrations(ctx, goose.DialectSQLite3, db, migrated); err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	return st, nil
}

// PostgresStatus looks at a PostgreSQL database and changes nothing.
func PostgresStatus(ctx context.Context, o PostgresOptions) (*Status, error) {
	p, err := newPostgres(o)
	if err != nil {
		return nil, err
	}
	defer p.close() //nolint:errcheck // nothing was written
	conn, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := p.checkServer(conn.PgConn()); err != nil {
		return nil, err
	}
	st := &Status{Engine: "PostgreSQL " + conn.PgConn().ParameterStatus("server_version"), Place: p.place()}
	var migrated bool
	err = conn.QueryRow(ctx, `
		SELECT to_regclass('goose_db_version') IS NOT NULL, pg_database_size(current_database()), current_setting('max_connections')::int,
		       COUNT(*), COUNT(*) FILTER (WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid())
		FROM pg_stat_activity WHERE datname = current_database()`).Scan(&migrated, &st.SizeBytes, &st.MaxConnections, &st.Connections, &st.Own)
	if err != nil {
		return nil, p.explain(err)
	}
	return st, p.named(st.migrations(ctx, goose.DialectPostgres, p.db, migrated))
}

// migrations finds out which ones were made.
func (st *Status) migrations(ctx context.Context, dialect goose.Dialect, db *sql.DB, migrated bool) error {
	provider, err := newProvider(dialect, db)
	if err != nil {
		return err
	}
	made := map[string]bool{}
	if migrated { // else to look would make a table
		if st.Version, _, err = provider.GetVersions(ctx); err != nil {
			return err
		}
		all, err := provider.Status(ctx)
		if err != nil {
			return err
		}
		for _, one := range all {
			made[one.Source.Path] = one.State == goose.StateApplied
		}
	}
	if st.Version >= factsVersion {
		err := db.QueryRowContext(ctx, "SELECT value FROM facts WHERE name = 'master_key'").Scan(&st.MasterKey)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	for _, source := range provider.ListSources() {
		st.Latest = max(st.Latest, source.Version)
		if !made[source.Path] {
			st.Pending = append(st.Pending, filepath.Base(source.Path))
		}
	}
	return nil
}
