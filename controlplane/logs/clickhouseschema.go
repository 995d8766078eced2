package logs

import (
	"context"
	"fmt"
	"strings"
)

// tables are the names of the tables, with their database.
type tables struct {
	database, lines, deleted string
}

const (
	linesTable   = "log_lines"
	deletedTable = "log_deleted"
)

func tablesIn(database string) tables {
	return tables{database: database, lines: "`" + database + "`." + linesTable, deleted: "`" + database + "`." + deletedTable}
}

// schema makes what is missing. Each statement may be run again and by several
// control planes at once. They are of the language that ClickHouse 18.16 and
// current servers have in common.
//
// A line is found by (deployment, attempt, seq) within the day on which its
// deployment was created, which never changes: so a line that comes again comes
// into the same partition, where it replaces itself. What is not yet merged is
// replaced by every reader (FINAL). Granules are small, as readers take pages of
// some hundred lines, and lines may have 16 KiB.
//
// log_deleted hides deleted logs from readers until their lines are erased, and
// those that come late after that.
func (t tables) schema() []statement {
	return []statement{
		{table: linesTable, sql: `
			CREATE TABLE IF NOT EXISTS ` + t.lines + ` (
				day Date,
				deployment String,
				attempt UInt32,
				seq Int64,
				time Int64,
				stream String,
				phase String,
				size UInt32,
				text String
			) ENGINE = ReplacingMergeTree
			PARTITION BY day
			ORDER BY (deployment, attempt, seq)
			SETTINGS index_granularity = 1024`},
		{table: deletedTable, sql: `
			CREATE TABLE IF NOT EXISTS ` + t.deleted + ` (
				day Date,
				deployment String
			) ENGINE = ReplacingMergeTree
			PARTITION BY toYYYYMM(day)
			ORDER BY (day, deployment)`},
	}
}

type statement struct{ table, sql string }

// prepare makes the database and the tables where they are missing, once. A user
// who may not create them can use what is there.
func (c *ClickHouse) prepare(ctx context.Context) error {
	if c.prepared.Load() {
		return nil
	}
	select {
	case c.preparing <- struct{}{}:
		defer func() { <-c.preparing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.prepared.Load() {
		return nil
	}
	var databases uint64
	if err := c.write.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = $1", c.options.Database).Scan(&databases); err != nil {
		return err
	}
	if databases == 0 {
		if err := c.write.Exec(ctx, "CREATE DATABASE IF NOT EXISTS `"+c.options.Database+"`"); err != nil {
			return err
		}
	}
	for _, s := range c.tables.schema() {
		if there, err := c.hasTable(ctx, s.table); err != nil {
			return err
		} else if there {
			continue
		}
		if err := c.write.Exec(ctx, strings.TrimSpace(s.sql)); err != nil {
			// Another control plane may be at it.
			if there, e := c.hasTable(ctx, s.table); e != nil || !there {
				return err
			}
		}
	}
	c.prepared.Store(true)
	return nil
}

func (c *ClickHouse) hasTable(ctx context.Context, name string) (bool, error) {
	var n uint64
	err := c.write.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = $1 AND name = $2", c.options.Database, name).Scan(&n)
	return n > 0, err
}

// tryInsert begins an insert and ends it without a line, to see whether it may.
func (c *ClickHouse) tryInsert(ctx context.Context) error {
	batch, err := c.write.PrepareBatch(ctx, c.tables.insertLines())
	if err != nil {
		return err
	}
	return batch.Close()
}

func (t tables) insertLines() string {
	return fmt.Sprintf("INSERT INTO %s (day, deployment, attempt, seq, time, stream, phase, size, text)", t.lines)
}

func (t tables) insertDeleted() string {
	return fmt.Sprintf("INSERT INTO %s (day, deployment)", t.deleted)
}
