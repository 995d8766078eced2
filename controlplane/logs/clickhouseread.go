package logs

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	readTime = 15 * time.Second
	// searchBatch is how many lines a search reads at a time where the server
	// can't tell which ones it wants.
	searchBatch = 20_000
)

// where chooses one log: by its partition and the beginning of the key, so that
// no other is read, and none where it is deleted. $1 is the day, $2 the
// deployment.
func (t tables) where() string {
	return "day = $1 AND deployment = $2 AND deployment NOT IN (SELECT deployment FROM " + t.deleted + " WHERE day = $1 AND deployment = $2)"
}

func (t tables) selectLines(condition string) string {
	return "SELECT attempt, seq, time, stream, phase, text FROM " + t.lines + " FINAL WHERE " + t.where() + " AND " + condition + " ORDER BY attempt, seq"
}

// pageWithin reads what is behind a cursor in the same attempt up to a seq: next
// to nothing but the page is read.
func (t tables) pageWithin() string {
	return t.selectLines("attempt = $3 AND seq > $4 AND seq <= $5") + " LIMIT $6"
}

const behind = "(attempt > $3 OR attempt = $3 AND seq > $4)"

// pageBehind reads whatever is behind a cursor.
func (t tables) pageBehind() string { return t.selectLines(behind) + " LIMIT $5" }

// found reads those lines behind a cursor that have an ASCII text in any case,
// or a letter that is also one in ASCII.
func (t tables) found() string {
	return t.selectLines(behind+" AND (positionCaseInsensitive(text, $5) > 0 OR position(text, $6) > 0 OR position(text, $7) > 0)") + " LIMIT $8"
}

// extent reads no text.
func (t tables) extent() string {
	return "SELECT attempt, sum(size) AS bytes, max(seq) AS last_seq FROM " + t.lines + " FINAL WHERE " + t.where() + " GROUP BY attempt ORDER BY attempt"
}

// Lines implements [controlplane.LogStore].
func (c *ClickHouse) Lines(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int, query string) ([]controlplane.LogLine, error) {
	began := time.Now()
	operation, read := "page", c.page
	if query != "" {
		operation, read = "search", func(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int) ([]controlplane.LogLine, error) {
			return c.search(ctx, log, after, limit, newSearch(query))
		}
	}
	lines, err := read(ctx, log, after, limit)
	c.metrics.read(operation, time.Since(began), err)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", log.Deployment, err)
	}
	return lines, nil
}

// page looks first where the next lines are, as their numbers have few gaps. Where
// that does not fill it, one more look gives all of it: between the two, lines
// may have come that belong between what each has found.
func (c *ClickHouse) page(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int) ([]controlplane.LogLine, error) {
	day, to := storedDay(log).Format(time.DateOnly), after.Seq+2*int64(limit)
	lines, err := c.lines(ctx, c.tables.pageWithin(), day, log.Deployment, after.Attempt, after.Seq, to, limit)
	if err != nil || len(lines) == limit {
		return lines, err
	}
	return c.lines(ctx, c.tables.pageBehind(), day, log.Deployment, after.Attempt, after.Seq, limit)
}

// search lets the server choose by what is ASCII in the text, and looks itself
// at what it gets.
func (c *ClickHouse) search(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int, s search) ([]controlplane.LogLine, error) {
	day, found := storedDay(log).Format(time.DateOnly), []controlplane.LogLine{}
	for {
		var some []controlplane.LogLine
		var err error
		most := max(limit, 1)
		if ascii := s.ascii(); ascii != "" {
			some, err = c.lines(ctx, c.tables.found(), day, log.Deployment, after.Attempt, after.Seq, ascii, foldedToASCII[0], foldedToASCII[1], most)
		} else {
			most = searchBatch
			some, err = c.lines(ctx, c.tables.pageBehind(), day, log.Deployment, after.Attempt, after.Seq, most)
		}
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			if len(found) == limit {
				return found, nil
			}
			if s.finds(l.Text) {
				found = append(found, l)
			}
		}
		if len(some) < most || len(found) == limit {
			return found, nil
		}
		after.Attempt, after.Seq = some[most-1].Attempt, some[most-1].Seq
	}
}

// lines runs a query for lines.
func (c *ClickHouse) lines(ctx context.Context, query string, args ...any) (lines []controlplane.LogLine, err error) {
	err = c.query(ctx, query, args, func() { lines = []controlplane.LogLine{} }, func(rows driver.Rows) error {
		var l controlplane.LogLine
		var attempt uint32
		var micros int64
		var stream, phase string
		if err := rows.Scan(&attempt, &l.Seq, &micros, &stream, &phase, &l.Text); err != nil {
			return err
		}
		l.Attempt, l.Time, l.Stream, l.Phase = int(attempt), time.UnixMicro(micros).UTC(), site.Stream(stream), site.Phase(phase)
		lines = append(lines, l)
		return nil
	})
	return lines, err
}

// query runs a query and hands over its rows; begin is called before the first,
// each time that it is tried.
func (c *ClickHouse) query(ctx context.Context, query string, args []any, begin func(), row func(driver.Rows) error) error {
	return c.try(ctx, readTime, func(ctx context.Context) error {
		begin()
		rows, err := c.read.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() // reads the rest: the driver needs it read
		for rows.Next() {
			if err := row(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// Extent implements [controlplane.LogStore].
func (c *ClickHouse) Extent(ctx context.Context, log controlplane.LogRef) (bytes int64, last controlplane.Cursor, err error) {
	began := time.Now()
	err = c.query(ctx, c.tables.extent(), []any{storedDay(log).Format(time.DateOnly), log.Deployment}, func() { bytes, last = 0, controlplane.Cursor{} }, func(rows driver.Rows) error {
		var attempt uint32
		var sum uint64
		var seq int64
		if err := rows.Scan(&attempt, &sum, &seq); err != nil {
			return err
		}
		bytes += int64(sum)
		last = controlplane.Cursor{Attempt: int(attempt), Seq: seq}
		return nil
	})
	c.metrics.read("extent", time.Since(began), err)
	if err != nil {
		return 0, controlplane.Cursor{}, fmt.Errorf("measure log of %s: %w", log.Deployment, err)
	}
	return bytes, last, nil
}
