// Package logstest is the suite that every implementation of
// [controlplane.LogStore] passes.
package logstest

import (
	"fmt"
	"reflect"
	"strings"
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
		{"a line is kept once", testOnce},
		{"a line that many write at once is kept once", testOnceConcurrently},
		{"one call writes many logs", testMany},
		{"pages go on behind a cursor", testPages},
		{"a cursor may be anywhere", testCursors},
		{"a search finds text in any case", testSearch},
		{"a search is by the lower case of any letter", testSearchLetters},
		{"a search pages through what it finds", testSearchPages},
		{"the extent is bytes and the last line", testExtent},
		{"deletion takes one deployment's lines", testDelete},
		{"what is deleted stays so", testDeleteIsForGood},
		{"logs expire by the day of their deployment", testExpire},
		{"many deployments write at once", testConcurrent},
		{"text of any kind is kept", testText},
		{"a log of the greatest size is kept", testLarge},
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

// ref names a log; every deployment of the suite was created now, or days before.
func ref(deployment string) controlplane.LogRef {
	return controlplane.LogRef{Deployment: deployment, Created: now}
}

func batch(deployment string, lines ...controlplane.LogLine) controlplane.LogBatch {
	return controlplane.LogBatch{LogRef: ref(deployment), Lines: lines}
}

func write(t *testing.T, s controlplane.LogStore, deployment string, lines ...controlplane.LogLine) {
	t.Helper()
	if err := s.Append(t.Context(), batch(deployment, lines...)); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s controlplane.LogStore, deployment string, after controlplane.Cursor, limit int, query string) []controlplane.LogLine {
	t.Helper()
	return readLog(t, s, ref(deployment), after, limit, query)
}

func readLog(t *testing.T, s controlplane.LogStore, log controlplane.LogRef, after controlplane.Cursor, limit int, query string) []controlplane.LogLine {
	t.Helper()
	lines, err := s.Lines(t.Context(), log, after, limit, query)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func textsOf(lines []controlplane.LogLine) (out []string) {
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
	same(t, "order", textsOf(read(t, s, "d", controlplane.Cursor{}, 9, "")), []string{"a", "b", "c", "d"})
}

func testOnce(t *testing.T, s controlplane.LogStore) {
	write(t, s, "d", line(1, 1, "first"))
	write(t, s, "d", line(1, 1, "first"), line(1, 2, "second"))
	write(t, s, "d", line(1, 2, "second"), line(1, 2, "second"), line(2, 1, "third"))
	want := []string{"first", "second", "third"}
	same(t, "lines", textsOf(read(t, s, "d", controlplane.Cursor{}, 9, "")), want)
	same(t, "found", textsOf(read(t, s, "d", controlplane.Cursor{}, 9, "S")), want[:2])
	for limit := range 4 {
		same(t, "page", len(read(t, s, "d", controlplane.Cursor{}, limit, "")), limit)
	}
	bytes, last, err := s.Extent(t.Context(), ref("d"))
	same(t, "extent", []any{bytes, last, err}, []any{int64(len("firstsecondthird")), controlplane.Cursor{Attempt: 2, Seq: 1}, error(nil)})
	write(t, s, "d")
	if err := s.Append(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testOnceConcurrently(t *testing.T, s controlplane.LogStore) {
	var lines []controlplane.LogLine
	for n := range int64(300) {
		lines = append(lines, line(1, n+1, fmt.Sprint(n)))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := 0; i < len(lines); i += 50 {
				if err := s.Append(t.Context(), batch("d", lines[i:i+50]...), batch("e", lines[i])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := read(t, s, "d", controlplane.Cursor{}, 9999, "")
	same(t, "lines", len(got), len(lines))
	for i, l := range got {
		if l.Seq != int64(i+1) || l.Text != fmt.Sprint(i) {
			t.Fatalf("line %d: %+v", i, l)
		}
	}
	same(t, "of another", len(read(t, s, "e", controlplane.Cursor{}, 9999, "")), 6)
}

// testMany writes logs of many days at once, as after a long outage.
func testMany(t *testing.T, s controlplane.LogStore) {
	const total = 130
	var batches []controlplane.LogBatch
	log := func(n int) controlplane.LogRef {
		return controlplane.LogRef{Deployment: fmt.Sprint("d", n), Created: now.AddDate(0, 0, -n%65)}
	}
	for n := range total {
		batches = append(batches,
			controlplane.LogBatch{LogRef: log(n), Lines: []controlplane.LogLine{line(1, 1, fmt.Sprint(n))}},
			controlplane.LogBatch{LogRef: log(total - 1 - n), Lines: []controlplane.LogLine{line(1, 2, fmt.Sprint(total-1-n))}})
	}
	if err := s.Append(t.Context(), batches...); err != nil {
		t.Fatal(err)
	}
	for n := range total {
		same(t, log(n).Deployment, textsOf(readLog(t, s, log(n), controlplane.Cursor{}, 9, "")), []string{fmt.Sprint(n), fmt.Sprint(n)})
	}
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
		all = append(all, textsOf(page)...)
		last := page[len(page)-1]
		after = controlplane.Cursor{Attempt: last.Attempt, Seq: last.Seq}
	}
	var want []string
	for n := range 25 {
		want = append(want, fmt.Sprint(n))
	}
	same(t, "pages", all, want)
}

func testCursors(t *testing.T, s controlplane.LogStore) {
	const high = 1<<40 - 1
	write(t, s, "d", line(1, 5, "a"), line(2, 1, "b"), line(2, high, "c"), line(65535, high, "d"))
	for _, test := range []struct {
		after controlplane.Cursor
		want  []string
	}{
		{controlplane.Cursor{}, []string{"a", "b", "c", "d"}},
		{controlplane.Cursor{Attempt: 1}, []string{"a", "b", "c", "d"}},
		{controlplane.Cursor{Attempt: 1, Seq: 4}, []string{"a", "b", "c", "d"}},
		{controlplane.Cursor{Attempt: 1, Seq: 5}, []string{"b", "c", "d"}},
		{controlplane.Cursor{Attempt: 1, Seq: 1 << 62}, []string{"b", "c", "d"}},
		{controlplane.Cursor{Attempt: 2, Seq: high - 1}, []string{"c", "d"}},
		{controlplane.Cursor{Attempt: 2, Seq: high}, []string{"d"}},
		{controlplane.Cursor{Attempt: 3}, []string{"d"}},
		{controlplane.Cursor{Attempt: 65535, Seq: high}, nil},
		{controlplane.Cursor{Attempt: 1 << 30, Seq: 1}, nil},
	} {
		same(t, test.after.String(), textsOf(read(t, s, "d", test.after, 9, "")), test.want)
	}
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
		same(t, query, textsOf(read(t, s, "d", controlplane.Cursor{}, 9, query)), want)
	}
	same(t, "a page of it", textsOf(read(t, s, "d", controlplane.Cursor{}, 1, "error")), []string{"An ERROR here"})
	same(t, "behind a cursor", textsOf(read(t, s, "d", controlplane.Cursor{Attempt: 1, Seq: 1}, 9, "error")), []string{"errors: ÄÖ"})
}

// testSearchLetters has letters whose cases differ in bytes, are no pair, or are
// ASCII in one case alone.
func testSearchLetters(t *testing.T, s controlplane.LogStore) {
	texts := []string{
		"plain", "FEHLER: Ärger mit der Größe", "GRÖẞE", "größe", "Ошибка СБОРКИ", "ΣΊΣΥΦΟΣ", "σίσυφος", "300 \u212A", "300 K",
		"\u0130stanbul", "istanbul", "ISTANBUL", "ıstanbul", "ȺȾ", "ⱥⱦ", "日本語のエラー", "𐐀𐐁", "𐐨𐐩", "ǅ", "a\\b'c\"d`e", "100%_$1?@x{y:String}", "e\u0301", "",
	}
	for i, text := range texts {
		write(t, s, "d", line(1, int64(i+1), text))
	}
	for _, query := range append(texts, "ärger", "ÄRGER", "größe", "GRÖSSE", "ошибка", "сборки", "σ", "ς", "k", "K", "\u212A", "i", "I", "\u0130", "0 k", "ⱥ", "Ⱥ", "エラー", "𐐀", "ǆ", "Ǆ", "b'C", "\\", "?", "$1", "@x", "É", "e", "r mit der g", "\xff") {
		if query == "" {
			continue
		}
		want := []string{}
		for _, text := range texts {
			if strings.Contains(strings.ToLower(text), strings.ToLower(query)) {
				want = append(want, text)
			}
		}
		same(t, fmt.Sprintf("%q", query), append([]string{}, textsOf(read(t, s, "d", controlplane.Cursor{}, 99, query))...), want)
	}
}

// testSearchPages finds the same by pages of several sizes, among more lines
// than a store reads at once.
func testSearchPages(t *testing.T, s controlplane.LogStore) {
	var lines []controlplane.LogLine
	var want []string
	for n := range int64(21_000) {
		text := fmt.Sprint(n)
		if n%7_000 == 6_999 {
			text += " Wärme"
			want = append(want, text)
		}
		lines = append(lines, line(1+int(n/10_000), 1+n, text))
	}
	write(t, s, "d", lines...)
	for query, limit := range map[string]int{"Ä": 1, "WÄR": 3, "rm": 2, "ärm": 4} {
		got, after := []string{}, controlplane.Cursor{}
		for {
			page := read(t, s, "d", after, limit, query)
			got = append(got, textsOf(page)...)
			if len(page) < limit {
				break
			}
			last := page[len(page)-1]
			after = controlplane.Cursor{Attempt: last.Attempt, Seq: last.Seq}
		}
		same(t, fmt.Sprintf("%s by %d", query, limit), got, want)
	}
}

func testExtent(t *testing.T, s controlplane.LogStore) {
	extent := func() []any {
		bytes, last, err := s.Extent(t.Context(), ref("d"))
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
	if err := s.Delete(t.Context(), ref("a"), ref("c"), ref("unknown")); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[string]int{"a": 0, "b": 1, "c": 0} {
		same(t, d, len(read(t, s, d, controlplane.Cursor{}, 9, "")), want)
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testDeleteIsForGood(t *testing.T, s controlplane.LogStore) {
	write(t, s, "d", line(1, 1, "before"))
	write(t, s, "other", line(1, 1, "before"))
	for range 2 {
		if err := s.Delete(t.Context(), ref("d"), ref("never written")); err != nil {
			t.Fatal(err)
		}
		late := []controlplane.LogLine{line(1, 1, "before"), line(1, 2, "after")}
		if err := s.Append(t.Context(), batch("d", late...), batch("other", late...), batch("never written", late...)); err != nil {
			t.Fatal(err)
		}
		if err := s.Expire(t.Context(), time.Time{}); err != nil { // frees what is deleted
			t.Fatal(err)
		}
		for d, want := range map[string]int64{"d": 0, "never written": 0, "other": 2} {
			same(t, d, len(read(t, s, d, controlplane.Cursor{}, 9, "")), int(want))
			same(t, d+" searched", len(read(t, s, d, controlplane.Cursor{}, 9, "e")), int(want))
			if _, last, err := s.Extent(t.Context(), ref(d)); err != nil || last.Seq != want {
				t.Errorf("extent of %s: %v %v", d, last, err)
			}
		}
	}
}

func testExpire(t *testing.T, s controlplane.LogStore) {
	midnight := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	logs := []controlplane.LogRef{
		{Deployment: "long before", Created: midnight.AddDate(-1, 0, 0)},
		{Deployment: "just before", Created: midnight.Add(-time.Microsecond)},
		// The same day in UTC, though not where it was written.
		{Deployment: "at midnight", Created: midnight.In(time.FixedZone("", -5*3600))},
		{Deployment: "late that day", Created: midnight.Add(24*time.Hour - time.Microsecond)},
		{Deployment: "the day after", Created: midnight.Add(24 * time.Hour)},
	}
	fill := func() {
		for _, log := range logs {
			if err := s.Append(t.Context(), controlplane.LogBatch{LogRef: log, Lines: []controlplane.LogLine{line(1, 1, "a"), line(1, 2, "b")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	for _, test := range []struct {
		name   string
		before time.Time
		gone   int
	}{
		{"none", time.Time{}, 0},
		{"below", midnight.Add(-time.Microsecond), 1},
		{"at", midnight, 2},
		{"above", midnight.Add(time.Microsecond), 2},
		{"the end of the day", midnight.Add(24*time.Hour - time.Microsecond), 2},
		{"the next day", midnight.Add(24 * time.Hour), 4},
		{"again", midnight.Add(24 * time.Hour), 4},
	} {
		if err := s.Expire(t.Context(), test.before); err != nil {
			t.Fatal(err)
		}
		for i, log := range logs {
			want := 2
			if i < test.gone {
				want = 0
			}
			same(t, test.name+": "+log.Deployment, len(readLog(t, s, log, controlplane.Cursor{}, 9, "")), want)
		}
	}
	fill() // as a retry does that comes very late; it goes the next time
	if err := s.Expire(t.Context(), midnight.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		same(t, "at last: "+log.Deployment, len(readLog(t, s, log, controlplane.Cursor{}, 9, "")), 0)
	}
}

func testConcurrent(t *testing.T, s controlplane.LogStore) {
	var all sync.WaitGroup
	for d := range 4 {
		all.Go(func() {
			for n := range int64(50) {
				if err := s.Append(t.Context(), batch(fmt.Sprint(d), line(1, 2*n+1, "x"), line(1, 2*n+2, "y"))); err != nil {
					t.Error(err)
				}
				if got, err := s.Lines(t.Context(), ref(fmt.Sprint(d)), controlplane.Cursor{Attempt: 1, Seq: 2 * n}, 9, ""); err != nil || len(got) != 2 {
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
	same(t, "texts", textsOf(read(t, s, "d", controlplane.Cursor{}, 99, "")), want)
}

// testLarge keeps 16 MiB, in lines of 16 KiB, and reads them by pages.
func testLarge(t *testing.T, s controlplane.LogStore) {
	const lines, size = 1024, 16 << 10
	text := func(n int64) string {
		return strings.Repeat(fmt.Sprintf("%8d", n), size/8)
	}
	for n := int64(0); n < lines; n += 64 {
		var some []controlplane.LogLine
		for i := range int64(64) {
			some = append(some, line(1, n+i+1, text(n+i)))
		}
		write(t, s, "d", some...)
	}
	bytes, last, err := s.Extent(t.Context(), ref("d"))
	same(t, "extent", []any{bytes, last, err}, []any{int64(lines * size), controlplane.Cursor{Attempt: 1, Seq: lines}, error(nil)})
	after := controlplane.Cursor{}
	for n := int64(0); n < lines; {
		page := read(t, s, "d", after, 500, "")
		if len(page) == 0 {
			t.Fatalf("the log ends behind %d lines", n)
		}
		for _, l := range page {
			if l.Seq != n+1 || l.Text != text(n) {
				t.Fatalf("line %d has seq %d and %d bytes", n, l.Seq, len(l.Text))
			}
			n++
		}
		after.Attempt, after.Seq = 1, n
	}
	same(t, "found", len(read(t, s, "d", controlplane.Cursor{}, 9, "  1023")), 1)
}
