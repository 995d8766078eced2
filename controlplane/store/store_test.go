package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
	"github.com/mini-vercel/mini-vercel/internal/pgtest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) []controlplane.Store {
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "a folder with % and ?.db"))
		if err != nil {
			t.Fatal(err)
		}
		return []controlplane.Store{s}
	})
}

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) []controlplane.Store {
		address := pgtest.Database(t)
		return []controlplane.Store{openPostgres(t, address), openPostgres(t, address)}
	})
}

func openPostgres(t testing.TB, address string) *store.Store {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), store.PostgresOptions{URL: address, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMain(m *testing.M) {
	if address := os.Getenv(markVariable); address != "" {
		if err := markAllDirty(address); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	store.SetDirtyPage(2) // so that tests have several
	code := m.Run()
	pgtest.Stop()
	os.Exit(code)
}

func TestNobodyElseReadsTheFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
}

// TestWhoLeavesIsToldSo: the transaction is gone before it is committed.
func TestWhoLeavesIsToldSo(t *testing.T) {
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 200 {
		ctx, leave := context.WithCancel(t.Context())
		err := s.Update(ctx, func(controlplane.Tx) error {
			leave()
			runtime.Gosched() // who rolls back may come first
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestOpenAgainKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	for n := int64(1); n <= 2; n++ {
		s, err := store.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(tx controlplane.Tx) error {
			got, err := tx.Next("n", 1)
			if got != n {
				t.Errorf("drew %d, want %d", got, n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenMigratesWhatAnEarlierVersionWrote: what is there stays and gets the
// defaults of columns that are new.
func TestOpenMigratesWhatAnEarlierVersionWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`
		INSERT INTO projects VALUES ('p', 1, 'u', 'Site', 'site', '', '', 'main', 'null', '{}', 'active', 0, 7, 7, 0, 1, 1);
		INSERT INTO hosts VALUES ('site.example.test', 'p', 'u', 'production', '', 'd', 'null', 1, 0, 0, 8, 8, 1)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(t.Context(), func(tx controlplane.Tx) error {
		p, err := tx.Project("p")
		if err != nil {
			return err
		}
		h, err := tx.Host("site.example.test")
		if err != nil {
			return err
		}
		if p.Name != "Site" || p.Generation != 7 || p.Protection != nil || h.Deployment != "d" || h.RedirectTo != "" {
			t.Errorf("%+v, %+v", p, h)
		}
		return tx.InsertDomain(&controlplane.DomainRow{ProjectID: "p", Host: "www.example.test"})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every table is in backups, or said not to be worth it.
func TestEveryTableIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.db")
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	there := columnOf(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'goose_db_version' ORDER BY name")
	var named []string
	err = s.View(t.Context(), func(tx controlplane.Tx) error {
		for _, table := range tx.Tables() {
			named = append(named, table.Name)
		}
		return nil
	})
	slices.Sort(named)
	if err != nil || !slices.Equal(there, named) {
		t.Errorf("the database has %v, Tables lists %v: %v", there, named, err)
	}
}

// BenchmarkNextQueued asks who is next where 10,000 deployments wait.
func BenchmarkNextQueued(b *testing.B) {
	for _, row := range []struct {
		name     string
		projects int
	}{{"one project", 1}, {"2,000 projects", 2000}} {
		b.Run(row.name, func(b *testing.B) {
			s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "control.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			storetest.Queue(b, s, 10_000, row.projects, 100)
			for b.Loop() {
				err := s.View(b.Context(), func(tx controlplane.Tx) error {
					d, err := tx.NextQueued(time.Now(), controlplane.QueueLimits{Total: 9, Project: 1})
					if err == nil && d == nil {
						err = errors.New("nobody is next")
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
