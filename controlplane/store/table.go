package store

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// tables lists all tables, each behind those that it refers to, with their
// primary keys. A test compares it with the schema.
var tables = []struct {
	controlplane.Table
	key []string
}{
	{controlplane.Table{Name: "counters"}, []string{"name"}},
	{controlplane.Table{Name: "facts", Passing: true}, []string{"name"}},
	{controlplane.Table{Name: "leases", Passing: true}, []string{"name"}},
	{controlplane.Table{Name: "users"}, []string{"id"}},
	{controlplane.Table{Name: "sessions", Passing: true}, []string{"hash"}},
	{controlplane.Table{Name: "codes", Passing: true}, []string{"hash"}},
	{controlplane.Table{Name: "tokens"}, []string{"id"}},
	{controlplane.Table{Name: "projects"}, []string{"id"}},
	{controlplane.Table{Name: "project_locks", Passing: true}, []string{"project_id"}},
	{controlplane.Table{Name: "env_vars"}, []string{"project_id", "key"}},
	{controlplane.Table{Name: "domains"}, []string{"project_id", "host"}},
	{controlplane.Table{Name: "deployments"}, []string{"id"}},
	{controlplane.Table{Name: "hosts"}, []string{"host"}},
	{controlplane.Table{Name: "claims", Passing: true}, []string{"hash"}},
	{controlplane.Table{Name: "detections", Passing: true}, []string{"id"}},
	{controlplane.Table{Name: "supabase_keys", Passing: true}, []string{"issuer"}},
	{controlplane.Table{Name: "reports", Passing: true}, []string{"name"}},
}

// rowsAtOnce is how many rows one statement reads: none takes for long, however
// slow their reader is.
const rowsAtOnce = 1000

// Tables implements [controlplane.TableRows].
func (t *tx) Tables() []controlplane.Table {
	var out []controlplane.Table
	for _, table := range tables {
		out = append(out, table.Table)
	}
	return out
}

// EachRow implements [controlplane.TableRows].
func (t *tx) EachRow(name string, show func([]string, []any) error) error {
	key, err := keyOf(name)
	if err != nil {
		return err
	}
	if err := t.rest(); err != nil {
		return err
	}
	after, params := []any(nil), make([]string, len(key))
	for i := range params {
		params[i] = fmt.Sprintf("$%d", i+2)
	}
	for {
		where := ""
		if after != nil {
			where = " WHERE (" + strings.Join(key, ", ") + ") > (" + strings.Join(params, ", ") + ")"
		}
		columns, rows, err := t.wholeRows("SELECT * FROM "+name+where+" ORDER BY "+strings.Join(key, ", ")+" LIMIT $1", append([]any{rowsAtOnce}, after...)...)
		if err != nil {
			return fmt.Errorf("read table %s: %w", name, err)
		}
		for _, row := range rows {
			if err := show(columns, row); err != nil {
				return err
			}
		}
		if len(rows) < rowsAtOnce {
			return nil
		}
		last := rows[len(rows)-1]
		after = make([]any, len(key))
		for i, k := range key {
			after[i] = last[slices.Index(columns, k)]
		}
	}
}

// restTime is how long a transaction may rest while what it read is shown: who
// takes a backup over a slow wire reads for longer than others may rest.
const restTime = 10 * time.Minute

// rest lets the transaction rest for longer. It then only holds up the server's
// tidying up.
func (t *tx) rest() error {
	if t.postgres == nil {
		return nil
	}
	ctx, cancel := t.statement()
	defer cancel()
	_, err := t.tx.ExecContext(ctx, fmt.Sprintf("SET LOCAL idle_in_transaction_session_timeout = %d", restTime.Milliseconds()))
	return t.note(err)
}

// wholeRows reads rows whatever their columns are: texts, whole numbers, NULL.
func (t *tx) wholeRows(query string, args ...any) (columns []string, out [][]any, err error) {
	ctx, cancel := t.statement()
	defer cancel()
	rows, err := t.tx.QueryContext(ctx, query, arguments(args)...)
	if err != nil {
		return nil, nil, t.note(err)
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil {
		return nil, nil, t.note(err)
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, t.note(err)
		}
		for i, v := range values {
			switch v := v.(type) {
			case nil, string, int64:
			case []byte:
				values[i] = string(v)
			default:
				return nil, nil, fmt.Errorf("column %s holds %T", columns[i], v)
			}
		}
		out = append(out, values)
	}
	return columns, out, t.note(rows.Err())
}

// InsertRow implements [controlplane.TableRows].
func (t *tx) InsertRow(table string, columns []string, values []any) error {
	if _, err := keyOf(table); err != nil {
		return err
	}
	params := make([]string, len(columns))
	for i, c := range columns {
		// Names come from a file: they are written into the statement.
		if c == "" || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return fmt.Errorf("table %s has no column %q", table, c)
		}
		params[i] = fmt.Sprintf("$%d", i+1)
	}
	_, err := t.exec("INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES ("+strings.Join(params, ", ")+")", values...)
	if err != nil {
		return fmt.Errorf("insert into table %s: %w", table, err)
	}
	return nil
}

// ClearTable implements [controlplane.TableRows].
func (t *tx) ClearTable(table string) error {
	if _, err := keyOf(table); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM " + table); err != nil {
		return fmt.Errorf("clear table %s: %w", table, err)
	}
	return nil
}

// keyOf is the primary key of a table.
func keyOf(name string) ([]string, error) {
	for _, t := range tables {
		if t.Name == name {
			return t.key, nil
		}
	}
	return nil, fmt.Errorf("there is no table %q", name)
}

// Schema implements [controlplane.TableRows].
func (t *tx) Schema() (n int64, err error) {
	err = t.row("SELECT MAX(version_id) FROM goose_db_version WHERE is_applied").Scan(&n)
	return n, err
}
