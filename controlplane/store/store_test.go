package store_test

import (
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
