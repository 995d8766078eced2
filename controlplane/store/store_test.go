package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/store"
	"github.com/mini-vercel/mini-vercel/controlplane/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) controlplane.Store {
		s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "a folder with % and ?.db"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
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
