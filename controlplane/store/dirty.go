package store

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// dirtyPage is how many rows one statement marks dirty: a million at once take
// longer than a statement may; a variable for tests.
var dirtyPage = 10_000

// MarkAllDirty implements [controlplane.ProjectRows]. The counter is raised in
// the transaction, so that whoever is interrupted, between two pages, too, begins
// anew, and at its end: a row that is held lets nobody draw. Whoever draws
// meanwhile has this transaction run again.
func (t *tx) MarkAllDirty(above int64, now time.Time) error {
	last, err := t.Counter(controlplane.CounterGeneration)
	if err != nil {
		return err
	}
	last = max(last, above)
	for _, table := range []struct{ name, key, where string }{{"projects", "id", "(state <> 'deleted' OR generation > published)"}, {"hosts", "host", "1 = 1"}} {
		if last, err = t.markDirty(table.name, table.key, table.where, last, now); err != nil {
			return fmt.Errorf("mark all %s dirty: %w", table.name, err)
		}
	}
	_, err = t.exec(`
		INSERT INTO counters (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = $2 WHERE counters.value < $2`, controlplane.CounterGeneration, last)
	if err != nil {
		return fmt.Errorf("raise counter %s: %w", controlplane.CounterGeneration, err)
	}
	return nil
}

// markDirty gives the rows of a table generations above one, page by page in the
// order of their keys, and returns the highest.
func (t *tx) markDirty(table, key, where string, last int64, now time.Time) (int64, error) {
	page := fmt.Sprintf("SELECT %[2]s AS name FROM %[1]s WHERE %[3]s AND %[2]s > $1 ORDER BY %[2]s LIMIT $2", table, key, where)
	for after := ""; ; {
		var end sql.NullString // by the database's order of text, which is not Go's
		if err := t.row("SELECT MAX(name) FROM ("+page+") page", after, dirtyPage).Scan(&end); err != nil || !end.Valid {
			return last, err
		}
		n, err := t.exec(fmt.Sprintf(`
			UPDATE %[1]s SET generation = CAST($3 AS BIGINT) + numbered.n,
				changed_at = CASE WHEN generation > published AND changed_at > 0 THEN changed_at ELSE CAST($4 AS BIGINT) END
			FROM (SELECT name, ROW_NUMBER() OVER (ORDER BY name) AS n FROM (%[3]s) page) numbered
			WHERE numbered.name = %[1]s.%[2]s`, table, key, page), after, dirtyPage, last, micros(now))
		if err != nil {
			return last, err
		}
		last, after = last+n, end.String
	}
}
