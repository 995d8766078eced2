package logs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	changeTime = 30 * time.Second
	// eraseLogs is how many logs one mutation erases at most.
	eraseLogs = 1000
)

// Delete implements [controlplane.LogStore]. Readers see nothing of the logs any
// more; the lines are erased by the next Expire that may.
func (c *ClickHouse) Delete(ctx context.Context, logs ...controlplane.LogRef) error {
	for some := range slices.Chunk(logs, 10_000) {
		days, deployments := make([]time.Time, len(some)), make([]string, len(some))
		for i, log := range some {
			days[i], deployments[i] = storedDay(log), log.Deployment
		}
		err := c.try(ctx, changeTime, func(ctx context.Context) error {
			batch, err := c.write.PrepareBatch(ctx, c.tables.insertDeleted())
			if err != nil {
				return err
			}
			for i, column := range []any{days, deployments} {
				if err := batch.Column(i).Append(column); err != nil {
					return fmt.Errorf("%w, %w", err, batch.Abort())
				}
			}
			return batch.Send()
		})
		if err != nil {
			return fmt.Errorf("delete logs: %w", err)
		}
	}
	return nil
}

// Expire implements [controlplane.LogStore]: it drops whole days, and begins to
// erase what is deleted.
func (c *ClickHouse) Expire(ctx context.Context, before time.Time) error {
	// Days are compared as the server writes them; months too, which sort alike.
	day := storedDay(controlplane.LogRef{Created: before})
	if err := c.drop(ctx, linesTable, c.tables.lines, day.Format(time.DateOnly)); err != nil {
		return fmt.Errorf("expire logs of before %s: %w", day.Format(time.DateOnly), err)
	}
	if err := c.drop(ctx, deletedTable, c.tables.deleted, day.Format("200601")); err != nil {
		return fmt.Errorf("expire logs of before %s: %w", day.Format(time.DateOnly), err)
	}
	if err := c.erase(ctx); err != nil {
		return fmt.Errorf("erase deleted logs: %w", err)
	}
	return nil
}

// drop drops a table's partitions whose names sort before one.
func (c *ClickHouse) drop(ctx context.Context, name, table, before string) error {
	var partitions []string
	err := c.query(ctx, "SELECT DISTINCT partition FROM system.parts WHERE database = $1 AND table = $2 AND active ORDER BY partition",
		[]any{c.options.Database, name}, func() { partitions = nil }, func(rows driver.Rows) error {
			var p string
			err := rows.Scan(&p)
			partitions = append(partitions, p)
			return err
		})
	if err != nil {
		return err
	}
	for _, p := range partitions {
		if p >= before {
			return nil
		}
		value := p
		if strings.Contains(p, "-") {
			value = quote(p) // a date
		}
		if err := c.change(ctx, "ALTER TABLE "+table+" DROP PARTITION "+value); err != nil {
			return err
		}
	}
	return nil
}

// erase has the server write the parts anew that hold lines of deleted logs,
// without them. It does so rarely, and never while it still does: such a
// mutation costs as much as the parts are large.
func (c *ClickHouse) erase(ctx context.Context) error {
	var days, deployments []string
	err := c.query(ctx, c.tables.left(), nil, func() { days, deployments = nil, nil }, func(rows driver.Rows) error {
		var day time.Time
		var deployment string
		err := rows.Scan(&day, &deployment)
		days, deployments = append(days, quote(day.Format(time.DateOnly))), append(deployments, quote(deployment))
		return err
	})
	if err != nil || len(days) == 0 {
		return err
	}
	var mutations uint64
	err = c.query(ctx, "SELECT count() FROM system.mutations WHERE database = $1 AND table = $2 AND (is_done = 0 OR create_time > now() - $3)",
		[]any{c.options.Database, linesTable, int(c.options.EraseInterval.Seconds())}, func() {}, func(rows driver.Rows) error { return rows.Scan(&mutations) })
	if err != nil || mutations > 0 {
		return err
	}
	slices.Sort(days)
	return c.change(ctx, "ALTER TABLE "+c.tables.lines+" DELETE WHERE day IN ("+strings.Join(slices.Compact(days), ", ")+") AND deployment IN ("+strings.Join(deployments, ", ")+")")
}

// left finds deleted logs that still have lines. The partitions and the key are
// used: what is not deleted is hardly read.
func (t tables) left() string {
	return fmt.Sprintf("SELECT DISTINCT day, deployment FROM %s WHERE day IN (SELECT day FROM %s) AND (day, deployment) IN (SELECT day, deployment FROM %s) ORDER BY day, deployment LIMIT %d",
		t.lines, t.deleted, t.deleted, eraseLogs)
}

func (c *ClickHouse) change(ctx context.Context, sql string) error {
	return c.try(ctx, changeTime, func(ctx context.Context) error { return c.write.Exec(ctx, sql) })
}

var quoted = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// quote writes a text as SQL, where no parameter can stand.
func quote(text string) string { return "'" + quoted.Replace(text) + "'" }
