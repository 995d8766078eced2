package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CopyProgress says how far a copy is.
type CopyProgress struct {
	Table       string
	Rows, Total int64
}

// progressRows is how many rows are copied between two reports.
const progressRows = 10_000

// CopyToPostgres copies every row of a SQLite database that nobody else has open
// to a PostgreSQL one without rows, all or nothing, and compares the numbers.
// Text that PostgreSQL can't keep is mended as for any write.
func (s *Store) CopyToPostgres(ctx context.Context, o PostgresOptions, report func(CopyProgress)) (err error) {
	if s.postgres != nil {
		return errors.New("only a SQLite database can be copied")
	}
	o.Migrate = true
	target, err := OpenPostgres(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	p := target.postgres
	conn, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	from, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	defer from.Rollback()
	tables, err := tablesOf(ctx, from)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	to, err := conn.Begin(ctx)
	if err != nil {
		return p.explain(err)
	}
	defer to.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it was committed, or the connection is closed next
	// While this reads, the server shall not take it for one that hangs.
	if _, err := to.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		return p.explain(err)
	}
	if err := lockEmpty(ctx, to, tables); err != nil {
		return p.named(err)
	}
	for _, t := range tables {
		if err := t.copy(ctx, from, to, report); err != nil {
			return p.named(fmt.Errorf("copy table %s: %w", t.name, err))
		}
	}
	if err := to.Commit(ctx); err != nil {
		return p.named(fmt.Errorf("commit the copy: %w", err))
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return p.explain(err)
	}
	return nil
}

// table is a table of the SQLite database.
type table struct {
	name    string
	columns []string
}

// tablesOf lists the tables, each behind those that it refers to.
func tablesOf(ctx context.Context, db *sql.Tx) ([]table, error) {
	names, err := textColumn(ctx, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name")
	if err != nil {
		return nil, err
	}
	var tables []table
	var add func(name string) error
	add = func(name string) error {
		if slices.ContainsFunc(tables, func(t table) bool { return t.name == name }) {
			return nil
		}
		parents, err := textColumn(ctx, db, `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1) WHERE "table" <> $1`, name)
		if err != nil {
			return err
		}
		for _, parent := range parents {
			if err := add(parent); err != nil {
				return err
			}
		}
		columns, err := textColumn(ctx, db, "SELECT name FROM pragma_table_info($1) ORDER BY cid", name)
		tables = append(tables, table{name, columns})
		return err
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

func textColumn(ctx context.Context, db *sql.Tx, query string, args ...any) ([]string, error) {
	return collect(&tx{ctx: ctx, tx: db}, scanString, query, args...)
}

// lockEmpty keeps others from writing to the tables, and refuses any that has
// rows.
func lockEmpty(ctx context.Context, to pgx.Tx, tables []table) error {
	for _, t := range tables {
		name := pgx.Identifier{t.name}.Sanitize()
		if _, err := to.Exec(ctx, "LOCK TABLE "+name+" IN EXCLUSIVE MODE"); err != nil {
			return err
		}
		var full bool
		if err := to.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+name+")").Scan(&full); err != nil {
			return err
		}
		if full {
			return fmt.Errorf("it has rows already, in the table %s: nothing was copied; name an empty database", t.name)
		}
	}
	return nil
}

func (t table) copy(ctx context.Context, from *sql.Tx, to pgx.Tx, report func(CopyProgress)) error {
	progress := CopyProgress{Table: t.name}
	if err := from.QueryRowContext(ctx, `SELECT COUNT(*) FROM "`+t.name+`"`).Scan(&progress.Total); err != nil {
		return err
	}
	rows, err := from.QueryContext(ctx, `SELECT "`+strings.Join(t.columns, `", "`)+`" FROM "`+t.name+`"`)
	if err != nil {
		return err
	}
	defer rows.Close()
	next := func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		values := make([]any, len(t.columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i, v := range values {
			switch v := v.(type) {
			case string:
				values[i] = text(v)
			case []byte:
				values[i] = text(string(v))
			}
		}
		if progress.Rows++; progress.Rows%progressRows == 0 {
			report(progress)
		}
		return values, nil
	}
	if _, err := to.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(next)); err != nil {
		return err
	}
	var have int64
	if err := to.QueryRow(ctx, "SELECT COUNT(*) FROM "+pgx.Identifier{t.name}.Sanitize()).Scan(&have); err != nil {
		return err
	}
	if have != progress.Total {
		return fmt.Errorf("%d of %d rows arrived: nothing was copied", have, progress.Total)
	}
	if progress.Rows%progressRows != 0 || progress.Rows == 0 {
		report(progress)
	}
	return nil
}
