// Package logs measures how fast lines of builds are kept, and how soon they are
// shown.
package logs

import (
	"fmt"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// clickHouse opens a log store on a server of its own, as a control plane does.
func clickHouse(b *testing.B) *logs.ClickHouse {
	b.Helper()
	server := clickhousetest.Start(b)
	store, err := logs.OpenClickHouse(logs.ClickHouseOptions{Host: server.Host, Port: server.Port, Username: server.Username, Password: server.Password})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	if err := store.Check(b.Context()); err != nil {
		b.Fatal(err)
	}
	return store
}

// builds print lines like those of an install and a bundler, 100 bytes on
// average, all at the same time.
type builds struct {
	created time.Time
	seq     int64
}

func (o *builds) batches(builds, lines int) []controlplane.LogBatch {
	out := make([]controlplane.LogBatch, builds)
	for n := range out {
		out[n].LogRef = controlplane.LogRef{Deployment: fmt.Sprintf("%08x-0000-4000-8000-000000000000", n), Created: o.created}
		for i := range int64(lines) {
			seq := o.seq + i + 1
			out[n].Lines = append(out[n].Lines, controlplane.LogLine{
				Attempt: 1, Seq: seq, Time: o.created.Add(time.Duration(seq) * time.Millisecond), Stream: site.Stdout, Phase: site.PhaseBuild,
				Text: fmt.Sprintf("dist/assets/chunk-%08x.js   %7.2f kB │ gzip: %6.2f kB │ map: %8.2f kB, module %d of build %d done", seq*2654435761%(1<<32), float64(seq%9973)/7, float64(seq%997)/7, float64(seq%99991)/7, seq, n),
			})
		}
	}
	o.seq += int64(lines)
	return out
}

// BenchmarkAppend stores 25,000 lines of 50 builds at a time.
func BenchmarkAppend(b *testing.B) {
	store, made := clickHouse(b), &builds{created: time.Now()}
	const builds, lines = 50, 500
	bytes := int64(0)
	for _, batch := range made.batches(builds, lines) {
		for _, l := range batch.Lines {
			bytes += int64(len(l.Text))
		}
	}
	b.SetBytes(bytes)
	for b.Loop() {
		b.StopTimer()
		batches := made.batches(builds, lines)
		b.StartTimer()
		if err := store.Append(b.Context(), batches...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*builds*lines)/b.Elapsed().Seconds(), "lines/s")
}

// BenchmarkRead reads a log of 100,000 lines beside 50 others, by pages and by
// searches.
func BenchmarkRead(b *testing.B) {
	store, made := clickHouse(b), &builds{created: time.Now()}
	for range 20 {
		if err := store.Append(b.Context(), made.batches(50, 1000)...); err != nil {
			b.Fatal(err)
		}
	}
	log := controlplane.LogRef{Deployment: "a-long-log", Created: made.created}
	for _, batch := range (&builds{created: made.created}).batches(1, 100_000) {
		batch.LogRef = log
		if err := store.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for _, test := range []struct {
		name  string
		after int64
		limit int
		query string
	}{
		{"first", 0, 500, ""}, {"middle", 50_000, 500, ""}, {"last", 99_500, 500, ""}, {"behind", 100_000, 500, ""},
		{"search-rare", 0, 500, "module 99999 "}, {"search-often", 0, 500, "CHUNK"}, {"search-none", 0, 500, "no such text"}, {"search-letters", 0, 500, "│ größe"},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := store.Lines(b.Context(), log, controlplane.Cursor{Attempt: 1, Seq: test.after}, test.limit, test.query); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("extent", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := store.Extent(b.Context(), log); err != nil {
				b.Fatal(err)
			}
		}
	})
}
