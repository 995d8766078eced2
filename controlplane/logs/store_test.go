package logs_test

import (
	"path/filepath"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/logs/logstest"
)

func TestSQLite(t *testing.T) {
	logstest.Run(t, func(t *testing.T) controlplane.LogStore {
		s, err := logs.Open(t.Context(), filepath.Join(t.TempDir(), "logs.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	})
}
