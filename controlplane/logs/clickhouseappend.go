package logs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

const (
	appendTime = 20 * time.Second // until an append is said to have failed
	insertTime = 15 * time.Second // for one insert with all its tries

	// batchLines are enough for an insert of their own: they wait for no others.
	batchLines = 10_000
	// insertLines, insertBytes and insertDays bound one insert. Each day is a
	// part; servers refuse inserts of more than 100.
	insertLines = 100_000
	insertBytes = 32 << 20
	insertDays  = 50
)

var errClosed = errors.New("the log store is closed")

// appending is a call of Append that waits for its lines to be stored.
type appending struct {
	batches []controlplane.LogBatch
	lines   int
	done    chan error // has room for one
}

// Append implements [controlplane.LogStore]. What is appended by many at once
// goes into one insert; what is large goes at once.
func (c *ClickHouse) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	a := &appending{batches: batches, done: make(chan error, 1)}
	for _, b := range batches {
		a.lines += len(b.Lines)
	}
	if a.lines == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, appendTime)
	defer cancel()
	select {
	case c.queue <- a:
	case <-ctx.Done():
		return fmt.Errorf("append to logs: %w", c.explain(ctx.Err()))
	case <-c.working.Done():
		return fmt.Errorf("append to logs: %w", errClosed)
	}
	select {
	case err := <-a.done:
		if err != nil {
			return fmt.Errorf("append to logs: %w", err)
		}
		return nil
	case <-ctx.Done(): // its lines may be stored all the same
		return fmt.Errorf("append to logs: %w", c.explain(ctx.Err()))
	}
}

// insertInBatches stores what is appended, one insert after the other, until
// Close. Who appends waits: nothing is kept here but what is being inserted.
func (c *ClickHouse) insertInBatches() {
	defer close(c.stopped)
	var last time.Time
	for {
		var waiting []*appending
		select {
		case a := <-c.queue:
			waiting = c.gather(a, last.Add(c.options.Interval))
		case <-c.working.Done():
			return
		}
		last = time.Now()
		var batches []controlplane.LogBatch
		for _, a := range waiting {
			batches = append(batches, a.batches...)
		}
		err := c.insert(batches)
		for _, a := range waiting {
			a.done <- err
		}
	}
}

// gather collects appends until it is time, or there are enough.
func (c *ClickHouse) gather(a *appending, at time.Time) []*appending {
	waiting, lines := []*appending{a}, a.lines
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	for due := false; lines < batchLines; {
		if due { // only who waits already
			select {
			case a = <-c.queue:
			default:
				return waiting
			}
		} else {
			select {
			case a = <-c.queue:
			case <-timer.C:
				due = true
				continue
			case <-c.working.Done():
				return waiting
			}
		}
		waiting, lines = append(waiting, a), lines+a.lines
	}
	return waiting
}

// insert stores batches, in as few inserts as their bounds allow.
func (c *ClickHouse) insert(batches []controlplane.LogBatch) error {
	slices.SortStableFunc(batches, func(a, b controlplane.LogBatch) int { return a.Day().Compare(b.Day()) })
	rows := &lineColumns{}
	flush := func() error {
		if len(rows.seq) == 0 {
			return nil
		}
		began := time.Now()
		err := c.try(c.working, insertTime, func(ctx context.Context) error { return c.send(ctx, rows) })
		c.metrics.inserted(len(rows.seq), time.Since(began), err)
		rows.reset()
		return err
	}
	for _, b := range batches {
		for _, l := range b.Lines {
			if len(rows.seq) == insertLines || rows.bytes+len(l.Text) > insertBytes || rows.needsDay(b.Day()) && rows.days == insertDays {
				if err := flush(); err != nil {
					return err
				}
			}
			rows.add(b.LogRef, l)
		}
	}
	return flush()
}

func (c *ClickHouse) send(ctx context.Context, rows *lineColumns) error {
	batch, err := c.write.PrepareBatch(ctx, c.tables.insertLines())
	if err != nil {
		return err
	}
	for i, column := range rows.columns() {
		if err := batch.Column(i).Append(column); err != nil {
			return errors.Join(err, batch.Abort())
		}
	}
	return batch.Send()
}

// lineColumns are lines as an insert has them: by columns.
type lineColumns struct {
	day           []time.Time
	deployment    []string
	attempt       []uint32
	seq, time     []int64
	stream, phase []string
	size          []uint32
	text          []string

	bytes, days int
}

func (r *lineColumns) needsDay(day time.Time) bool {
	return len(r.day) == 0 || !r.day[len(r.day)-1].Equal(day)
}

func (r *lineColumns) add(log controlplane.LogRef, l controlplane.LogLine) {
	day := storedDay(log)
	if r.needsDay(day) {
		r.days++
	}
	r.day, r.deployment = append(r.day, day), append(r.deployment, log.Deployment)
	r.attempt, r.seq = append(r.attempt, uint32(l.Attempt)), append(r.seq, l.Seq)
	r.time = append(r.time, l.Time.UnixMicro())
	r.stream, r.phase = append(r.stream, string(l.Stream)), append(r.phase, string(l.Phase))
	r.size, r.text = append(r.size, uint32(len(l.Text))), append(r.text, l.Text)
	r.bytes += len(l.Text)
}

// columns are in the order of the insert.
func (r *lineColumns) columns() []any {
	return []any{r.day, r.deployment, r.attempt, r.seq, r.time, r.stream, r.phase, r.size, r.text}
}

func (r *lineColumns) reset() {
	*r = lineColumns{
		day: r.day[:0], deployment: r.deployment[:0], attempt: r.attempt[:0], seq: r.seq[:0], time: r.time[:0],
		stream: r.stream[:0], phase: r.phase[:0], size: r.size[:0], text: r.text[:0],
	}
}

// The first and last day that every server has.
var (
	firstDay = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2105, 12, 31, 0, 0, 0, 0, time.UTC)
)

// storedDay is the day by which a log is stored. One that is out of the range of
// the server's dates is stored as well as any: the deployment names the log.
func storedDay(log controlplane.LogRef) time.Time {
	switch day := log.Day(); {
	case day.Before(firstDay):
		return firstDay
	case day.After(lastDay):
		return lastDay
	default:
		return day
	}
}
