package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// tables lists all tables, each behind those that it refers to. A test compares
// it with the schema.
var tables = []controlplane.Table{
	{Name: "counters"},
	{Name: "leases", Passing: true},
	{Name: "users"},
	{Name: "sessions", Passing: true},
	{Name: "codes", Passing: true},
	{Name: "tokens"},
	{Name: "projects"},
	{Name: "env_vars"},
	{Name: "domains"},
	{Name: "deployments"},
	{Name: "hosts"},
	{Name: "claims", Passing: true},
	{Name: "detections", Passing: true},
	{Name: "reports", Passing: true},
}

// Tables implements [controlplane.TableRows].
func (t *tx) Tables() []controlplane.Table { return slices.Clone(tables) }

// EachRow implements [controlplane.TableRows].
func (t *tx) EachRow(table string, show func([]string, []any) error) error {
	if err := knownTable(table); err != nil {
		return err
	}
	rows, err := t.tx.QueryContext(t.ctx, "SELECT * FROM "+table)
	if err != nil {
		return fmt.Errorf("read table %s: %w", table, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return fmt.Errorf("read table %s: %w", table, err)
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read table %s: %w", table, err)
		}
		for i, v := range values {
			switch v := v.(type) {
			case nil, string, int64:
			case []byte:
				values[i] = string(v)
			default:
				return fmt.Errorf("read table %s: column %s holds %T", table, columns[i], v)
			}
		}
		if err := show(columns, values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// InsertRow implements [controlplane.TableRows].
func (t *tx) InsertRow(table string, columns []string, values []any) error {
	if err := knownTable(table); err != nil {
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
	if err := knownTable(table); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM " + table); err != nil {
		return fmt.Errorf("clear table %s: %w", table, err)
	}
	return nil
}

func knownTable(name string) error {
	if !slices.ContainsFunc(tables, func(t controlplane.Table) bool { return t.Name == name }) {
		return fmt.Errorf("there is no table %q", name)
	}
	return nil
}

// Schema implements [controlplane.TableRows].
func (t *tx) Schema() (n int64, err error) {
	err = t.row("SELECT MAX(version_id) FROM goose_db_version WHERE is_applied").Scan(&n)
	return n, err
}
