package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
)

// PostgresSettings say where PostgreSQL is.
type PostgresSettings struct {
	DatabaseURL         string        `env:"DATABASE_URL" secret:"true" help:"Address of a PostgreSQL database (13 or newer) instead of the file DATA_DIR/mini-vercel.db, such as postgres://user:password@host:5432/database?sslmode=verify-full. Needs MASTER_KEY. See docs/postgresql.md."`
	DatabaseConnections int           `env:"DATABASE_CONNECTIONS" default:"16" help:"Connections to PostgreSQL that one control plane has at most, at least 6."`
	DatabaseTimeout     time.Duration `env:"DATABASE_STATEMENT_TIMEOUT" default:"30s" help:"Longest time of one statement in PostgreSQL."`
}

func (s *Settings) checkPostgres() error {
	if s.DatabaseConnections < store.MinConnections || s.DatabaseConnections > 1000 {
		return fmt.Errorf("DATABASE_CONNECTIONS=%d: use %d to 1000", s.DatabaseConnections, store.MinConnections)
	}
	if s.DatabaseTimeout < time.Second {
		return fmt.Errorf("DATABASE_STATEMENT_TIMEOUT=%s: use at least 1s", s.DatabaseTimeout)
	}
	if s.DatabaseURL == "" {
		return nil
	}
	return store.CheckAddress(s.DatabaseURL)
}

func (s *PostgresSettings) postgres() store.PostgresOptions {
	return store.PostgresOptions{URL: s.DatabaseURL, Connections: s.DatabaseConnections, StatementTime: s.DatabaseTimeout}
}

var errNoMasterKey = errors.New("MASTER_KEY is not set, but DATABASE_URL is: all control planes of a database need the same key, such as `openssl rand -base64 32` prints")

// openStore opens the database that the settings name, brings it up to date, and
// makes sure that it belongs to the master key.
func (s *Settings) openStore(ctx context.Context, dir *dataDir) (*store.Store, error) {
	db, err := s.openAnyStore(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := s.bindMasterKey(ctx, dir, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openAnyStore does so whatever key it belongs to: an empty one is to be filled
// with what another key has sealed.
func (s *Settings) openAnyStore(ctx context.Context, dir *dataDir) (*store.Store, error) {
	if s.DatabaseURL == "" {
		return store.Open(ctx, dir.join(databaseName))
	}
	if s.MasterKey == "" {
		return nil, errNoMasterKey
	}
	o := s.postgres()
	o.Migrate = true
	return store.OpenPostgres(ctx, o)
}

func (s *Settings) bindMasterKey(ctx context.Context, dir *dataDir, db *store.Store) error {
	key, err := s.masterKey(dir)
	if err != nil {
		return err
	}
	return s.ofMasterKey(dir, db.BindMasterKey(ctx, controlplane.KeyFingerprint(key)))
}

// ofMasterKey names the key that a database does not belong to.
func (s *Settings) ofMasterKey(dir *dataDir, err error) error {
	if errors.Is(err, store.ErrMasterKey) {
		where := "MASTER_KEY"
		if s.MasterKey == "" {
			where = dir.join("master.key")
		}
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

// checkMasterKey compares the key with a database that is only looked at. A key
// that can't be read is another part's to tell.
func (s *Settings) checkMasterKey(st *store.Status) error {
	dir := &dataDir{path: s.DataDir}
	if s.MasterKey == "" {
		if _, err := os.Stat(dir.join("master.key")); err != nil {
			return nil //nolint:nilerr // it is not made here
		}
	}
	key, err := s.masterKey(dir)
	if err != nil {
		return nil //nolint:nilerr // told by the part "master key"
	}
	return s.ofMasterKey(dir, st.CheckMasterKey(controlplane.KeyFingerprint(key)))
}

// databasePart is the database of projects and deployments.
func (s *Settings) databasePart() part {
	if s.DatabaseURL == "" {
		path := filepath.Join(s.DataDir, databaseName)
		return part{"database", path, func(ctx context.Context) (string, error) {
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				return "SQLite, made at the first start", nil
			}
			st, err := store.FileStatus(ctx, path)
			if err != nil {
				return "", fmt.Errorf("DATA_DIR: %w", err)
			}
			return inWords(st), s.checkMasterKey(st)
		}}
	}
	where, err := store.Place(s.DatabaseURL)
	if err != nil {
		where = "DATABASE_URL"
	}
	return part{"database", where, func(ctx context.Context) (string, error) {
		if s.MasterKey == "" {
			return "", errNoMasterKey
		}
		st, err := store.PostgresStatus(ctx, s.postgres())
		if err != nil {
			return "", err // names the variable
		}
		return inWords(st), s.checkMasterKey(st)
	}}
}

func inWords(st *store.Status) string {
	if n := len(st.Pending); n > 0 {
		return fmt.Sprintf("%s, %d migrations that the next start makes", st.Engine, n)
	}
	return st.Engine
}
