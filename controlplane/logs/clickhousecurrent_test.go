package logs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/clickhousetest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestStatementsOnACurrentClickHouse has the store work on the server that is
// installed, which is an old one, and runs the very statements that it sent on a
// current engine: both must take them, and give the same rows.
func TestStatementsOnACurrentClickHouse(t *testing.T) {
	python := chdb(t)
	server := clickhousetest.Start(t)
	sent := &statements{}
	o := optionsFor(server)
	o.LogStatements(slog.New(sent))
	c, behind := openClickHouse(t, o), server.Connect(t)

	var script []string // for the current engine
	expected := map[int][][]string{}
	take := func() (taken []string) {
		taken = sent.take()
		script = append(script, taken...)
		return taken
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// The driver sends rows beside the statement.
	insert := func(rows string) {
		t.Helper()
		last := len(script) - 1
		statement, native := strings.CutSuffix(script[last], " FORMAT Native")
		if !native {
			t.Fatalf("this is no insert: %s", script[last])
		}
		script[last] = statement + rows
	}
	appendAll := func(batches ...controlplane.LogBatch) {
		t.Helper()
		do(c.Append(t.Context(), batches...))
		take()
		insert(values(batches))
	}
	compare := func(sql string) {
		t.Helper()
		script = append(script, sql)
		expected[len(script)-1] = rowsOf(t, behind, sql)
	}

	day := created
	old := controlplane.LogRef{Deployment: "old", Created: day.AddDate(0, -2, 0)}
	texts := []string{"An ERROR here", `it's "quoted" \ and $1 ? @x {y:String}`, "Größe: 300 \u212A", "tab\tand\x1b[31m red", "", "日本語のエラー"}
	lines := func(attempt, after, n int) []controlplane.LogLine {
		lines := numbered(attempt, after, n)
		for i := range lines {
			lines[i].Text = fmt.Sprint(texts[(after+i)%len(texts)], " ", after+i)
			lines[i].Stream = site.Stderr
		}
		return lines
	}
	appendAll(controlplane.LogBatch{LogRef: old, Lines: lines(1, 0, 10)}, controlplane.LogBatch{LogRef: ref(`d'\ee`), Lines: lines(1, 0, 3000)}, controlplane.LogBatch{LogRef: ref("other"), Lines: lines(1, 0, 3000)})
	appendAll(controlplane.LogBatch{LogRef: ref(`d'\ee`), Lines: lines(1, 2000, 2000)}, controlplane.LogBatch{LogRef: ref(`d'\ee`), Lines: lines(2, 0, 10)})
	appendAll(controlplane.LogBatch{LogRef: ref("gone"), Lines: lines(1, 0, 100)})
	do(c.Delete(t.Context(), ref("gone"), ref("never written")))
	take()
	insert(fmt.Sprintf(" VALUES ('%[1]s', 'gone'), ('%[1]s', 'never written')", day.Format(time.DateOnly)))

	for _, deployment := range []string{`d'\ee`, "other", "gone", "unknown"} {
		for _, read := range []struct {
			after controlplane.Cursor
			limit int
			query string
		}{
			{controlplane.Cursor{}, 500, ""}, {controlplane.Cursor{Attempt: 1, Seq: 1990}, 500, ""}, {controlplane.Cursor{Attempt: 1, Seq: 3990}, 100, ""}, {controlplane.Cursor{Attempt: 2, Seq: 10}, 100, ""},
			{controlplane.Cursor{}, 100, "error"}, {controlplane.Cursor{Attempt: 1, Seq: 100}, 10, "k"}, {controlplane.Cursor{}, 5000, "ÖSS"}, {controlplane.Cursor{}, 10, `'S "q`}, {controlplane.Cursor{}, 10, `\ and $1 ? @x {y:`}, {controlplane.Cursor{}, 10, "エ"},
		} {
			_, err := c.Lines(t.Context(), ref(deployment), read.after, read.limit, read.query)
			do(err)
		}
		_, _, err := c.Extent(t.Context(), ref(deployment))
		do(err)
	}
	selects := sent.take()
	for _, sql := range selects {
		compare(sql)
	}
	if len(selects) < 50 {
		t.Fatalf("only %d reads were sent", len(selects))
	}

	do(c.Expire(t.Context(), day.AddDate(0, 0, -30)))
	var changes int
	for _, sql := range take() {
		if strings.HasPrefix(sql, "ALTER TABLE") {
			changes++
		}
	}
	if changes != 2 {
		t.Errorf("%d changes instead of a day that is dropped and a log that is erased", changes)
	}
	eventually(t, "the mutation is done", func() bool {
		return rowsOf(t, behind, "SELECT count() FROM system.mutations WHERE is_done = 0")[0][0] == "0"
	})
	compare("SELECT day, deployment, attempt, count(), min(seq), max(seq), sum(size) FROM `" + o.Database + "`.log_lines FINAL GROUP BY day, deployment, attempt ORDER BY day, deployment, attempt")
	compare("SELECT day, deployment FROM `" + o.Database + "`.log_deleted FINAL ORDER BY deployment")

	const granule = 1024
	for i, answer := range runCurrent(t, python, script) {
		// Of 8,000 rows in three parts, no more than those granules are read in
		// which an unknown log would be.
		if strings.Contains(script[i], "deployment = 'unknown'") && answer.Read > 3*granule+2 {
			t.Errorf("%s\nreads %d rows", script[i], answer.Read)
		}
		if answer.Error != "" {
			t.Errorf("%s\nfails: %s", script[i], answer.Error)
		} else if want, ok := expected[i]; ok && !reflect.DeepEqual(answer.Rows, want) {
			t.Errorf("%s\ngives %d rows, the old server %d: %.500v\nand %.500v", script[i], len(answer.Rows), len(want), answer.Rows, want)
		}
	}
}

// chdb finds the Python that has a current ClickHouse as a library.
func chdb(t *testing.T) string {
	t.Helper()
	for dir, err := os.Getwd(); err == nil && dir != "/"; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, ".cache", "chdb", "bin", "python")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	const missing = "chdb is not installed: `make engines` installs it"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

type currentAnswer struct {
	Rows  [][]string
	Read  int
	Error string
}

// runCurrent runs statements on the current engine and returns an answer each.
func runCurrent(t *testing.T, python string, script []string) []currentAnswer {
	t.Helper()
	input, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "testdata/current.py", t.TempDir())
	cmd.Env = []string{"TZ=UTC", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []currentAnswer
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var a currentAnswer
		if err := decoder.Decode(&a); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(script)+1 {
		t.Fatalf("%d answers to %d statements", len(answers), len(script)+1)
	}
	t.Logf("%d statements on ClickHouse %v", len(script), answers[0].Rows)
	return answers[1:]
}

// values writes lines as an insert may have them in its text.
func values(batches []controlplane.LogBatch) string {
	quote := func(text string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
	}
	var rows []string
	for _, b := range batches {
		for _, l := range b.Lines {
			rows = append(rows, fmt.Sprintf("(%s, %s, %d, %d, %d, %s, %s, %d, %s)", quote(b.Day().Format(time.DateOnly)), quote(b.Deployment),
				l.Attempt, l.Seq, l.Time.UnixMicro(), quote(string(l.Stream)), quote(string(l.Phase)), len(l.Text), quote(l.Text)))
		}
	}
	return " VALUES " + strings.Join(rows, ", ")
}

// rowsOf runs a query on the old server and returns its rows as text.
func rowsOf(t *testing.T, c driver.Conn, sql string) [][]string {
	t.Helper()
	result, err := c.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer result.Close()
	rows := [][]string{}
	for result.Next() {
		var values []any
		for _, column := range result.ColumnTypes() {
			values = append(values, reflect.New(column.ScanType()).Interface())
		}
		if err := result.Scan(values...); err != nil {
			t.Fatal(err)
		}
		var row []string
		for _, v := range values {
			v := reflect.ValueOf(v).Elem().Interface()
			if at, ok := v.(time.Time); ok {
				v = at.Format(time.DateOnly)
			}
			row = append(row, fmt.Sprint(v))
		}
		rows = append(rows, row)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// statements collects what the driver logs of its statements.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

func (s *statements) Enabled(context.Context, slog.Level) bool { return true }

func (s *statements) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "sending query" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sent = append(s.sent, strings.TrimSpace(a.Value.String()))
		}
		return true
	})
	return nil
}

func (s *statements) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *statements) WithGroup(string) slog.Handler      { return s }
