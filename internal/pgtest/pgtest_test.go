package pgtest_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

// TestKillAndStart: what was committed is there after the server was killed, and
// its connections are gone with it.
func TestKillAndStart(t *testing.T) {
	s := pgtest.Start(t)
	address := s.Database(t)
	name := pgtest.Name(address)
	if err := s.Exec(name, "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection has outlived its server")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := pgx.Connect(ctx, address); err == nil {
		t.Error("a server that was killed answers")
	}
	s.Start(t)
	if conn, err = pgx.Connect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT n FROM t").Scan(&n); err != nil || n != 7 {
		t.Errorf("%d %v", n, err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	var dir string
	t.Run("server", func(t *testing.T) {
		s := pgtest.Start(t)
		dir = s.Dir
		s.Shutdown()
	})
	if left, err := filepath.Glob(dir); err != nil || dir != "" && len(left) > 0 {
		t.Errorf("%s is left: %v", dir, err)
	}
	if _, err := os.Stat(dir); dir != "" && !os.IsNotExist(err) {
		t.Error(err)
	}
}
