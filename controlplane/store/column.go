package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// column ties a column of a table to a field of a row. The value is a pointer:
// it is read when the row is written, and written when the row is read.
type column struct {
	name  string
	value any
}

// names lists columns for SELECT and INSERT, qualified where a table is named.
func names(columns []column, table string) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		if out[i] = c.name; table != "" {
			out[i] = table + "." + c.name
		}
	}
	return strings.Join(out, ", ")
}

// values returns the pointers, for Scan and as arguments.
func values(columns []column) []any {
	out := make([]any, len(columns))
	for i, c := range columns {
		out[i] = c.value
	}
	return out
}

// insert makes the INSERT of a whole row.
func insert(table string, columns []column) string {
	params := make([]string, len(columns))
	for i := range params {
		params[i] = fmt.Sprintf("$%d", i+1)
	}
	return "INSERT INTO " + table + " (" + names(columns, "") + ") VALUES (" + strings.Join(params, ", ") + ")"
}

// assignments makes the SET list of an UPDATE; parameters are numbered from 1.
func assignments(columns []column) string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = fmt.Sprintf("%s = $%d", c.name, i+1)
	}
	return strings.Join(out, ", ")
}

// list makes "$n, $n+1, …" for an IN of all keys, and the keys as arguments.
func list(first int, keys []string) (params string, args []any) {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = fmt.Sprintf("$%d", first+i)
		args = append(args, k)
	}
	return strings.Join(out, ", "), args
}

// flag keeps a bool as 0 or 1.
type flag struct{ v *bool }

func (f flag) Value() (driver.Value, error) {
	if *f.v {
		return int64(1), nil
	}
	return int64(0), nil
}

func (f flag) Scan(src any) error {
	n, ok := src.(int64)
	*f.v = n != 0
	return wrong(ok, src)
}

// instant keeps a time as microseconds, 0 for none.
type instant struct{ v *time.Time }

func (i instant) Value() (driver.Value, error) { return micros(*i.v), nil }

func (i instant) Scan(src any) error {
	n, ok := src.(int64)
	*i.v = moment(n)
	return wrong(ok, src)
}

// maybeInstant keeps a time that may be nil as microseconds, 0 for none.
type maybeInstant struct{ v **time.Time }

func (i maybeInstant) Value() (driver.Value, error) {
	if *i.v == nil {
		return int64(0), nil
	}
	return micros(**i.v), nil
}

func (i maybeInstant) Scan(src any) error {
	n, ok := src.(int64)
	*i.v = nil
	if n != 0 {
		t := moment(n)
		*i.v = &t
	}
	return wrong(ok, src)
}

// document keeps a value as JSON.
type document struct{ v any }

func (d document) Value() (driver.Value, error) {
	b, err := json.Marshal(d.v)
	return string(b), err
}

func (d document) Scan(src any) error {
	switch s := src.(type) {
	case string:
		return json.Unmarshal([]byte(s), d.v)
	case []byte:
		return json.Unmarshal(s, d.v)
	}
	return wrong(false, src)
}

func wrong(ok bool, src any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("a column holds %T", src)
}
