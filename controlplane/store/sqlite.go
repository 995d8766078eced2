package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"runtime"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver
)

// Open opens the SQLite database at path, makes it where there is none, and
// brings its tables up to date. No other process may have it open. Writes go
// through one connection, one transaction after the other, while readers see the
// state before.
func Open(ctx context.Context, path string) (*Store, error) {
	s := &Store{}
	var err error
	// Committed means on the disk (synchronous FULL): what was answered READY
	// is not forgotten when the power fails.
	if s.write, err = openFile(path, "_txlock=immediate&_pragma=synchronous(FULL)"); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, s.write); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if s.read, err = openFile(path, "_pragma=query_only(1)"); err != nil {
		s.write.Close()
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s.read.SetMaxOpenConns(max(4, runtime.NumCPU()))
	return s, nil
}

func openFile(path, options string) (*sql.DB, error) {
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
