// Package logstest is the suite that every implementation of
// [controlplane.LogStore] passes.
package logstest

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Run tests a log store. Each call of open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) controlplane.LogStore) {
	for _, test := range []struct {
		name string
		f    func(*testing.T, controlplane.LogStore)
	}{
		{"lines keep every field", testFields},
		{"lines are in the order of attempt and seq", testOrder},
		{"lines are kept once", testOnce},
		{"pages go on behind a cursor", testPages},
		{"a search finds text in any case", testSearch},
		{"the extent is bytes and the last line", testExtent},
		{"deletion takes one deployment's lines", testDelete},
		{"many deployments write at once", testConcurrent},
		{"text of any kind is kept", testText},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.f(t, s)
		})
	}
}

var now = time.Date(2026, 5, 4, 3, 2, 1, 987654000, time.UTC)

func line(attempt int, seq int64, text string) controlplane.LogLine {
	return controlplane.LogLine{Attempt: attempt, Seq: seq, Time: now.Add(time.Duration(seq)), Stream: site.Stdout, Phase: site.PhaseBuild, Text: text}
}

func write(t *testing.T, s controlplane.LogStore, deployment string, lines ...controlplane.LogLine) {
	t.Helper()
	if err := s.Append(t.Context(), deployment, lines); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s controlplane.LogStore, deployment string, after controlplane.Cursor, limit int, query string) []controlplane.LogLine {
	t.Helper()
	lines, err := s.Lines(t.Context(), deployment, after, limit, query)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func texts(lines []controlplane.LogLine) (out []string) {
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func testFields(t *testing.T, s controlplane.LogStore) {
	l := controlplane.LogLine{Attempt: 2, Seq: 7, Time: now.Truncate(time.Microsecond), Stream: site.Stderr, Phase: site.PhaseInstall, Text: "text"}
	write(t, s, "d", l)
	same(t, "line", read(t, s, "d", controlplane.Cursor{}, 9, ""), []controlplane.LogLine{l})
	same(t, "of another", len(read(t, s, "e", controlplane.Cursor{}, 9, "")), 0)
}

func testOrder(t *testing.T, s controlplane.LogStore) {
	write(t, s, "d", line(2, 1, "c"), line(1, 10, "b"), line(1, 9, "a"))
	write(t, s, "d", line(10, 1, "d"))
	same(t, "order", texts(read(t, s, "d", controlplane.Cursor{}, 9, "")), []string{"a", "b", "c", "d"})
}

func testOnce(t *testing.T, s controlplane.LogStore) {
	write(t, s, "d", line(1, 1, "first"))
	write(t, s, "d", line(1, 1, "second"), line(1, 2, "third"))
	same(t, "lines", texts(read(t, s, "d", controlplane.Cursor{}, 9, "")), []string{"first", "third"})
	write(t, s, "d")
}

func testPages(t *testing.T, s controlplane.LogStore) {
	for n := range int64(25) {
		write(t, s, "d", line(1+int(n/10), 1+n%10, fmt.Sprint(n)))
	}
	var all []string
	after := controlplane.Cursor{}
	for {
		page := read(t, s, "d", after, 10, "")
		if len(page) == 0 {
			break
		}
		all = append(all, texts(page)...)
		last := page[len(page)-1]
		after = controlplane.Cursor{Attempt: last.Attempt, Seq: last.Seq}
	}
	var want []string
	for n := range 25 {
		want = append(want, fmt.Sprint(n))
	}
	same(t, "pages", all, want)
}

func testSearch(t *testing.T, s controlplane.LogStore) {
	write(t, s, "d", line(1, 1, "An ERROR here"), line(1, 2, "nothing"), line(1, 3, "100 % of_it"), line(2, 1, "errors: ÄÖ"))
	for query, want := range map[string][]string{
		"error": {"An ERROR here", "errors: ÄÖ"},
		"% of_": {"100 % of_it"},
		"x%y":   nil,
		"äö":    {"errors: ÄÖ"},
		"other": nil,
	} {
		same(t, query, texts(read(t, s, "d", controlplane.Cursor{}, 9, query)), want)
	}
	same(t, "a page of it", texts(read(t, s, "d", controlplane.Cursor{}, 1, "error")), []string{"An ERROR here"})
	same(t, "behind a cursor", texts(read(t, s, "d", controlplane.Cursor{Attempt: 1, Seq: 1}, 9, "error")), []string{"errors: ÄÖ"})
}

func testExtent(t *testing.T, s controlplane.LogStore) {
	extent := func() []any {
		bytes, last, err := s.Extent(t.Context(), "d")
		if err != nil {
			t.Fatal(err)
		}
		return []any{bytes, last}
	}
	same(t, "none", extent(), []any{int64(0), controlplane.Cursor{}})
	write(t, s, "d", line(1, 50, "aä"), line(2, 3, "bc"))
	write(t, s, "e", line(3, 3, "other"))
	same(t, "some", extent(), []any{int64(5), controlplane.Cursor{Attempt: 2, Seq: 3}})
}

func testDelete(t *testing.T, s controlplane.LogStore) {
	for _, d := range []string{"a", "b", "c"} {
		write(t, s, d, line(1, 1, d))
	}
	if err := s.Delete(t.Context(), "a", "c", "unknown"); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[string]int{"a": 0, "b": 1, "c": 0} {
		same(t, d, len(read(t, s, d, controlplane.Cursor{}, 9, "")), want)
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testConcurrent(t *testing.T, s controlplane.LogStore) {
	var all sync.WaitGroup
	for d := range 4 {
		all.Go(func() {
			for n := range int64(50) {
				if err := s.Append(t.Context(), fmt.Sprint(d), []controlplane.LogLine{line(1, 2*n+1, "x"), line(1, 2*n+2, "y")}); err != nil {
					t.Error(err)
				}
				if got, err := s.Lines(t.Context(), fmt.Sprint(d), controlplane.Cursor{Attempt: 1, Seq: 2 * n}, 9, ""); err != nil || len(got) != 2 {
					t.Errorf("%d lines behind %d, %v", len(got), 2*n, err)
				}
			}
		})
	}
	all.Wait()
}

func testText(t *testing.T, s controlplane.LogStore) {
	want := []string{"", " ", "\x1b[31mred\x1b[0m", "tab\tand\rreturn", "ä € 😀", `"quoted" \n`, "\ufffd"}
	for i, text := range want {
		write(t, s, "d", line(1, int64(i+1), text))
	}
	same(t, "texts", texts(read(t, s, "d", controlplane.Cursor{}, 99, "")), want)
}
