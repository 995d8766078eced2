package logs_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/logs/logstest"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// optionsFor open a store in a database of its own.
func optionsFor(s *clickhousetest.Server) logs.ClickHouseOptions {
	return logs.ClickHouseOptions{
		Host: s.Host, Port: s.Port, Username: s.Username, Password: s.Password, Database: s.NewDatabase(),
		Interval: time.Nanosecond, EraseInterval: time.Nanosecond,
	}
}

func openClickHouse(t testing.TB, o logs.ClickHouseOptions) *logs.ClickHouse {
	t.Helper()
	c, err := logs.OpenClickHouse(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestClickHouse(t *testing.T) {
	server := clickhousetest.Start(t)
	logstest.Run(t, func(t *testing.T) controlplane.LogStore { return openClickHouse(t, optionsFor(server)) })
}

// TestClickHouseReadsOneLogAlone counts the rows that the server reads for one
// log among many, of the same day and of others.
func TestClickHouseReadsOneLogAlone(t *testing.T) {
	c := openClickHouse(t, optionsFor(clickhousetest.Start(t)))
	const (
		perLog  = 5000
		granule = 1024
	)
	day := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	log := func(n int) controlplane.LogRef {
		return controlplane.LogRef{Deployment: fmt.Sprintf("deployment-%02d", n), Created: day.AddDate(0, 0, n%3)}
	}
	for part := range 2 {
		var batches []controlplane.LogBatch
		for n := range 30 {
			batches = append(batches, controlplane.LogBatch{LogRef: log(n), Lines: numbered(1, part*perLog/2, perLog/2)})
		}
		if err := c.Append(t.Context(), batches...); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(t.Context(), log(7)); err != nil {
		t.Fatal(err)
	}
	var rows atomic.Uint64
	ctx := clickhouse.Context(t.Context(), clickhouse.WithProgress(func(p *clickhouse.Progress) { rows.Add(p.Rows) }))
	reads := func(name string, most uint64, read func() (int, error), want int) {
		t.Helper()
		rows.Store(0)
		got, err := read()
		if err != nil || got != want {
			t.Errorf("%s: %d, want %d, %v", name, got, want, err)
		}
		if n := rows.Load(); n > most {
			t.Errorf("%s: %d rows were read, more than %d", name, n, most)
		}
	}
	lines := func(n, after, limit int, query string) func() (int, error) {
		return func() (int, error) {
			got, err := c.Lines(ctx, log(n), controlplane.Cursor{Attempt: 1, Seq: int64(after)}, limit, query)
			return len(got), err
		}
	}
	// Both ends of what is asked for may be in the middle of a granule, in each
	// of the two parts; the deleted logs are looked at besides.
	const edges = 2*2*granule + 1
	reads("a page in the middle", 2*100+edges, lines(13, 1000, 100, ""), 100)
	reads("the end", 2*100+2*edges, lines(13, perLog-10, 100, ""), 10)
	reads("behind the end", 2*100+2*edges, lines(13, perLog, 100, ""), 0)
	reads("a search", perLog+edges, lines(13, 0, 5000, "LINE 49"), 111)
	reads("a deleted log", perLog+2*edges, lines(7, 0, 100, ""), 0)
	reads("the extent", perLog+edges, func() (int, error) {
		_, last, err := c.Extent(ctx, log(13))
		return int(last.Seq), err
	}, perLog)
	reads("of another day", edges, func() (int, error) {
		got, err := c.Lines(ctx, controlplane.LogRef{Deployment: log(13).Deployment, Created: day.AddDate(0, 0, 9)}, controlplane.Cursor{}, 100, "")
		return len(got), err
	}, 0)
}

// numbered makes lines of an attempt with the seqs behind one.
func numbered(attempt, after, n int) []controlplane.LogLine {
	lines := make([]controlplane.LogLine, n)
	for i := range lines {
		seq := after + i + 1
		lines[i] = controlplane.LogLine{Attempt: attempt, Seq: int64(seq), Time: time.UnixMicro(int64(seq)), Stream: site.Stdout, Phase: site.PhaseBuild, Text: fmt.Sprint("line ", seq)}
	}
	return lines
}

// TestClickHouseGathersSmallAppends has many builders append at once.
func TestClickHouseGathersSmallAppends(t *testing.T) {
	o := optionsFor(clickhousetest.Start(t))
	o.Interval = time.Hour // so none but the first small ones are stored
	c := openClickHouse(t, o)
	log := func(n int) controlplane.LogRef {
		return controlplane.LogRef{Deployment: fmt.Sprint(n), Created: time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)}
	}
	if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: log(0), Lines: numbered(1, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	// They wait for each other, until they are as many lines as an insert needs.
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: log(n), Lines: numbered(1, 1, 100)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := inserts(t, c); got != 2 {
		t.Errorf("%d inserts", got)
	}
	for n := range 100 {
		if got, err := c.Lines(t.Context(), log(n), controlplane.Cursor{Attempt: 1, Seq: 1}, 1000, ""); err != nil || len(got) != 100 {
			t.Errorf("log %d: %d lines, %v", n, len(got), err)
		}
	}
}

// TestClickHouseBoundsAnInsert appends as many lines, bytes and days as one
// insert may have, and one more.
func TestClickHouseBoundsAnInsert(t *testing.T) {
	server := clickhousetest.Start(t)
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	large := func(n int) (lines []controlplane.LogLine) {
		for _, l := range numbered(1, 0, n) {
			l.Text = strings.Repeat("x", 1<<20)
			lines = append(lines, l)
		}
		return lines
	}
	for _, test := range []struct {
		name  string
		lines []controlplane.LogLine
		days  int
		want  int
	}{
		{"lines at", numbered(1, 0, 100_000), 1, 1},
		{"lines above", numbered(1, 0, 100_001), 1, 2},
		{"bytes at", large(32), 1, 1},
		{"bytes above", large(33), 1, 2},
		{"days at", numbered(1, 0, 1), 50, 1},
		{"days above", numbered(1, 0, 1), 51, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := openClickHouse(t, optionsFor(server))
			var batches []controlplane.LogBatch
			for n := range test.days {
				batches = append(batches, controlplane.LogBatch{LogRef: controlplane.LogRef{Deployment: "d", Created: day.AddDate(0, 0, n)}, Lines: test.lines})
			}
			if err := c.Append(t.Context(), batches...); err != nil {
				t.Fatal(err)
			}
			if got := inserts(t, c); got != test.want {
				t.Errorf("%d inserts, want %d", got, test.want)
			}
			last := batches[test.days-1].LogRef
			if _, end, err := c.Extent(t.Context(), last); err != nil || end.Seq != int64(len(test.lines)) {
				t.Errorf("the last log ends at %v, %v", end, err)
			}
		})
	}
}

// inserts reads from the metrics how many were stored.
func inserts(t *testing.T, c *logs.ClickHouse) int {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "mini_vercel_controlplane_log_batches_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == "stored" {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// TestClickHouseErasesWhatIsDeleted looks behind the scenes: nothing of a
// deleted log is left, also of what comes after that.
func TestClickHouseErasesWhatIsDeleted(t *testing.T) {
	server := clickhousetest.Start(t)
	o := optionsFor(server)
	o.EraseInterval = time.Hour
	c, behind := openClickHouse(t, o), server.Connect(t)
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	gone, kept := controlplane.LogRef{Deployment: `it's \ gone`, Created: day}, controlplane.LogRef{Deployment: "kept", Created: day}
	fill := func() {
		if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: gone, Lines: numbered(1, 0, 100)}, controlplane.LogBatch{LogRef: kept, Lines: numbered(1, 0, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	fill()
	if err := c.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	count := func(query string) (n uint64) {
		t.Helper()
		if err := behind.QueryRow(t.Context(), strings.ReplaceAll(query, "DB", o.Database)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	expire := func(c *logs.ClickHouse) {
		t.Helper()
		if err := c.Expire(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the mutations are done", func() bool {
			return count("SELECT count() FROM system.mutations WHERE database = 'DB' AND is_done = 0") == 0
		})
	}
	left := func(want, mutations uint64) {
		t.Helper()
		if n := count("SELECT count() FROM DB.log_lines WHERE deployment LIKE '%gone'"); n != want {
			t.Errorf("%d lines are left, want %d", n, want)
		}
		if n := count("SELECT count() FROM DB.log_lines WHERE deployment = 'kept'"); n < 100 {
			t.Errorf("%d lines of another are left", n)
		}
		if n := count("SELECT count() FROM system.mutations WHERE database = 'DB'"); n != mutations {
			t.Errorf("%d mutations, want %d", n, mutations)
		}
	}
	left(100, 0)
	expire(c)
	left(0, 1)
	fill() // comes late
	expire(c)
	left(100, 1) // not again within the hour
	o.EraseInterval = time.Nanosecond
	expire(openClickHouse(t, o))
	left(0, 2)
	expire(openClickHouse(t, o))
	left(0, 2) // nothing to do
}

// TestClickHouseDropsDays looks behind the scenes: the partitions are gone.
func TestClickHouseDropsDays(t *testing.T) {
	server := clickhousetest.Start(t)
	o := optionsFor(server)
	c, behind := openClickHouse(t, o), server.Connect(t)
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	for n := range 60 {
		log := controlplane.LogRef{Deployment: fmt.Sprint(n), Created: day.AddDate(0, 0, n)}
		if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: log, Lines: numbered(1, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), log); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Expire(t.Context(), day.AddDate(0, 0, 40)); err != nil {
		t.Fatal(err)
	}
	var first, months string
	if err := behind.QueryRow(t.Context(), "SELECT min(partition) FROM system.parts WHERE active AND table = 'log_lines' AND database = $1", o.Database).Scan(&first); err != nil {
		t.Fatal(err)
	}
	if err := behind.QueryRow(t.Context(), "SELECT min(partition) FROM system.parts WHERE active AND table = 'log_deleted' AND database = $1", o.Database).Scan(&months); err != nil {
		t.Fatal(err)
	}
	if first != "2026-06-13" || months != "202606" {
		t.Errorf("the first day is %s, the first month of the deleted %s", first, months)
	}
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !f(); time.Sleep(10 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestClickHouseLeavesOutNoLineThatComesWhileAPageIsRead appends lines between
// the queries of one page.
func TestClickHouseLeavesOutNoLineThatComesWhileAPageIsRead(t *testing.T) {
	c := openClickHouse(t, optionsFor(clickhousetest.Start(t)))
	log := controlplane.LogRef{Deployment: "growing", Created: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	grow := func(from, n int) {
		if err := c.Append(t.Context(), controlplane.LogBatch{LogRef: log, Lines: numbered(1, from, n)}); err != nil {
			t.Error(err)
		}
	}
	grow(0, 10)
	queries := 0
	c.BeforeQueries(func() {
		if queries++; queries == 2 {
			grow(10, 1000)
		}
	})
	got, err := c.Lines(t.Context(), log, controlplane.Cursor{Attempt: 1}, 100, "")
	if err != nil {
		t.Fatal(err)
	}
	if queries != 2 || len(got) != 100 {
		t.Errorf("%d lines, %d queries", len(got), queries)
	}
	for i, l := range got {
		if l.Seq != int64(i)+1 {
			t.Fatalf("line %d of the page has the number %d", i, l.Seq)
		}
	}
}
