package logs_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/logs/logstest"
)

func TestSQLite(t *testing.T) {
	logstest.Run(t, func(t *testing.T) controlplane.LogStore {
		s, err := logs.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "logs.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}

// TestSQLiteOfAnOlderVersion opens a file from before logs had a day.
func TestSQLiteOfAnOlderVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs.db")
	schema, err := os.ReadFile("testdata/sqlite-0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(string(schema)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := logs.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	day := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)
	old, young := controlplane.LogRef{Deployment: "old", Created: day.Add(-time.Hour)}, controlplane.LogRef{Deployment: "young", Created: day.Add(time.Hour)}
	count := func(log controlplane.LogRef) int {
		lines, err := s.Lines(t.Context(), log, controlplane.Cursor{}, 9, "")
		if err != nil {
			t.Fatal(err)
		}
		return len(lines)
	}
	if count(old) != 2 || count(young) != 1 {
		t.Errorf("%d and %d lines", count(old), count(young))
	}
	if err := s.Expire(t.Context(), day); err != nil {
		t.Fatal(err)
	}
	if count(old) != 0 || count(young) != 1 {
		t.Errorf("after the old one's day: %d and %d lines", count(old), count(young))
	}
}
