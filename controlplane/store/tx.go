package store

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// tx is an open transaction; its methods stand beside the tables they are for.
type tx struct {
	ctx   context.Context
	tx    *sql.Tx
	notes []string // for who listens; PostgreSQL keeps them itself

	// For PostgreSQL alone.
	postgres *postgres
	readOnly bool
	began    bool  // a statement was run: the transaction sees one state of the database
	wrote    bool  // a statement was run that may change it
	failed   error // the first statement's that failed: it ended the transaction
}

// statement bounds one statement. The server ends it by itself before, unless it
// is out of reach.
func (t *tx) statement() (context.Context, context.CancelFunc) {
	t.began = true
	if t.postgres == nil {
		return t.ctx, func() {}
	}
	return context.WithTimeout(t.ctx, t.postgres.statementTime+replyTime)
}

// note remembers the first failure, whatever becomes of it in the caller's hands.
func (t *tx) note(err error) error {
	if err != nil && t.failed == nil && !errors.Is(err, sql.ErrNoRows) {
		t.failed = err
	}
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	ctx, cancel := t.statement()
	defer cancel()
	t.wrote = true
	r, err := t.tx.ExecContext(ctx, query, arguments(args)...)
	if err != nil {
		return 0, t.note(err)
	}
	n, err := r.RowsAffected()
	return n, t.note(err)
}

// row reads one row. A query that changes something (RETURNING) goes through
// change.
func (t *tx) row(query string, args ...any) scanner {
	ctx, cancel := t.statement()
	return &oneRow{t: t, row: t.tx.QueryRowContext(ctx, query, arguments(args)...), done: cancel}
}

// change is row for a statement that changes what it returns.
func (t *tx) change(query string, args ...any) scanner {
	t.wrote = true
	return t.row(query, args...)
}

// oneRow is the row of a query, or none.
type oneRow struct {
	t    *tx
	row  *sql.Row
	done context.CancelFunc
}

func (r *oneRow) Scan(dest ...any) error {
	defer r.done()
	return r.t.note(r.row.Scan(dest...))
}

// collect reads all rows of a query.
func collect[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	ctx, cancel := t.statement()
	defer cancel()
	rows, err := t.tx.QueryContext(ctx, query, arguments(args)...)
	if err != nil {
		return nil, t.note(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, t.note(err)
		}
		out = append(out, v)
	}
	return out, t.note(rows.Err())
}

// scanner is a row, alone or of several.
type scanner interface{ Scan(dest ...any) error }

func scanLog(row scanner) (l controlplane.LogRef, err error) {
	err = row.Scan(&l.Deployment, instant{&l.Created})
	return l, err
}

func scanString(row scanner) (s string, err error) { err = row.Scan(&s); return s, err }

// arguments are the values behind the pointers and named types of args, as both
// drivers take them.
func arguments(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a
		v := reflect.ValueOf(a)
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.String:
			out[i] = text(v.String())
		case reflect.Int, reflect.Int64:
			out[i] = v.Int()
		}
	}
	return out
}

// text is what both engines can keep of s: PostgreSQL takes neither NUL nor what
// is not UTF-8. It is also what s is looked up by.
func text(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

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
