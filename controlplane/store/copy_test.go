package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// TestCopyToPostgres copies a database with rows in every table, and compares
// every value of every row.
func TestCopyToPostgres(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	from, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tables := columnOf(t, file, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name")
	if len(tables) < 14 {
		t.Fatal(tables)
	}
	columns := map[string][]string{}
	for _, table := range tables {
		columns[table] = fillTable(t, file, table)
	}
	address := pgtest.Database(t)
	last := map[string]store.CopyProgress{}
	reports := 0
	report := func(p store.CopyProgress) { last[p.Table] = p; reports++ }
	if err := from.CopyToPostgres(t.Context(), store.PostgresOptions{URL: address}, report); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, table := range tables {
		got, want := rowsOf(t, db, table, columns[table]), rowsOf(t, file, table, columns[table])
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows of %d, or they differ", table, len(got), len(want))
			for i := range min(len(got), len(want), 3) {
				t.Errorf("\n%.300q\n%.300q", got[i], want[i])
			}
		}
		if p := last[table]; p.Rows != int64(len(want)) || p.Total != p.Rows {
			t.Errorf("reported last: %+v", p)
		}
	}
	if reports <= len(tables) {
		t.Error("a large table was reported only once")
	}
	// It is a database that works, and that nothing is copied onto.
	s := openPostgres(t, address)
	defer s.Close()
	if err := s.Update(t.Context(), host("new")); err != nil {
		t.Error(err)
	}
	if err := from.CopyToPostgres(t.Context(), store.PostgresOptions{URL: address}, report); err == nil || !strings.Contains(err.Error(), "has rows already") {
		t.Errorf("copied twice: %v", err)
	}
}

// TestACopyIsAllOrNothing: the last table can't be copied.
func TestACopyIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	from, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Exec("INSERT INTO counters VALUES ('n', 1); INSERT INTO users (id, email, name, password_hash, admin, created_at) VALUES ('u', 'e', 'n', 'h', 'no number', 1)"); err != nil {
		t.Fatal(err)
	}
	address := pgtest.Database(t)
	if err := from.CopyToPostgres(t.Context(), store.PostgresOptions{URL: address}, func(store.CopyProgress) {}); err == nil || !strings.Contains(err.Error(), "users") {
		t.Fatalf("what PostgreSQL can't hold was copied: %v", err)
	}
	if n := query[int](t, address, "SELECT COUNT(*) FROM counters"); n != 0 {
		t.Errorf("%d rows are left of a copy that failed", n)
	}
	if _, err := file.Exec("UPDATE users SET admin = 1"); err != nil {
		t.Fatal(err)
	}
	if err := from.CopyToPostgres(t.Context(), store.PostgresOptions{URL: address}, func(store.CopyProgress) {}); err != nil {
		t.Errorf("once it is mended: %v", err)
	}
}

func columnOf(t *testing.T, db *sql.DB, query string, args ...any) (out []string) {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// fillTable makes rows whose every value is another one; those that refer to
// another table refer to its row of the same number.
func fillTable(t *testing.T, db *sql.DB, table string) (columns []string) {
	t.Helper()
	columns = columnOf(t, db, "SELECT name FROM pragma_table_info($1) ORDER BY cid", table)
	types := columnOf(t, db, "SELECT type FROM pragma_table_info($1) ORDER BY cid", table)
	foreign := columnOf(t, db, `SELECT "from" FROM pragma_foreign_key_list($1)`, table)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	rows := 7
	if table == "hosts" {
		rows = 25_001
	}
	for n := range rows {
		values := make([]any, len(columns))
		params := make([]string, len(columns))
		for i, c := range columns {
			params[i] = fmt.Sprintf("$%d", i+1)
			switch {
			case types[i] == "BIGINT":
				values[i] = int64(n)<<33 + int64(i)
			case c == "id" || slices.Contains(foreign, c):
				values[i] = fmt.Sprint("id-", n)
			default:
				values[i] = fmt.Sprintf("%s %d ä€😀 \t\n\\N \\. 'quoted' \"double\" ,", c, n)
			}
		}
		if _, err := tx.Exec("INSERT INTO "+table+" VALUES ("+strings.Join(params, ", ")+")", values...); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return columns
}

// rowsOf returns every row as text, in the order of bytes.
func rowsOf(t *testing.T, db *sql.DB, table string, columns []string) (out []string) {
	t.Helper()
	rows, err := db.Query("SELECT " + strings.Join(columns, ", ") + " FROM " + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%#v", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
