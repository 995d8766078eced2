package blob_test

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestDirConforms(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Target {
		d := openDir(t, t.TempDir())
		server := httptest.NewServer(d.Handler(slog.New(slog.DiscardHandler)))
		t.Cleanup(server.Close)
		return blobtest.Target{Store: d, BaseURL: server.URL}
	})
}

func openDir(t testing.TB, path string) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(path, blob.DirOptions{SigningKey: []byte("a key for tests")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
