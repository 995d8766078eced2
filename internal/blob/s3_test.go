package blob_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestS3Conforms(t *testing.T) {
	server := blobtest.StartS3(t)
	blobtest.Run(t, func(t *testing.T) blobtest.Target {
		return blobtest.Target{Store: openS3(t, server.NewBucket(t))}
	})
}

func openS3(t testing.TB, o blob.S3Options) *blob.S3 {
	t.Helper()
	s, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func signPut(t testing.TB, s blob.Store, key, body string) blob.SignedURL {
	t.Helper()
	u, err := s.SignPut(t.Context(), key, int64(len(body)), sha256.Sum256([]byte(body)), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
