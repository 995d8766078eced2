package logs_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// TestCopy copies a log that takes several rounds, twice.
func TestCopy(t *testing.T) {
	open := func(name string) *logs.SQLite {
		s, err := logs.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	from, to := open("from.db"), open("to.db")
	now := time.Date(2026, 5, 4, 3, 2, 1, 987654000, time.UTC)
	log := controlplane.LogRef{Deployment: "d", Created: now}
	batch := controlplane.LogBatch{LogRef: log}
	const lines = 12_345
	for n := range lines {
		batch.Lines = append(batch.Lines, controlplane.LogLine{Attempt: 1 + n/10_000, Seq: int64(n + 1), Time: now, Stream: site.Stdout, Phase: site.PhaseBuild, Text: fmt.Sprint("line ", n)})
	}
	if err := from.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := logs.Copy(t.Context(), from, to, log); n != lines || err != nil {
			t.Fatalf("%d lines: %v", n, err)
		}
	}
	got, err := to.Lines(t.Context(), log, controlplane.Cursor{}, 2*lines, "")
	if err != nil || !reflect.DeepEqual(got, batch.Lines) {
		t.Errorf("%d lines arrived, or they differ: %v", len(got), err)
	}
	if n, err := logs.Copy(t.Context(), from, to, controlplane.LogRef{Deployment: "none", Created: now}); n != 0 || err != nil {
		t.Errorf("a log that is not there: %d lines, %v", n, err)
	}
	if err := to.Delete(t.Context(), log); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.Copy(t.Context(), from, to, log); err == nil {
		t.Error("lines that did not arrive are not noticed")
	}
}
