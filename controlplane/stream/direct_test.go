package stream_test

import (
	"path/filepath"
	"testing"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/logs"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
)

func openLogs(t *testing.T) controlplane.LogStore {
	t.Helper()
	l, err := logs.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "logs.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestDirect(t *testing.T) {
	streamtest.Run(t, openLogs, func(_ *testing.T, logs controlplane.LogStore) controlplane.Stream { return stream.NewDirect(logs) })
}
