package blob_test

import (
	"testing"

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
