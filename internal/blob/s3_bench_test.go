package blob_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// BenchmarkS3Get shows what reading a chunk costs in allocations.
func BenchmarkS3Get(b *testing.B) {
	body := make([]byte, 64<<10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Content-Range", "bytes 0-65535/65536")
		w.Header().Set("Content-Length", "65536")
		w.WriteHeader(206)
		w.Write(body)
	}))
	defer server.Close()
	s, err := blob.OpenS3(b.Context(), blob.S3Options{Bucket: "b", Endpoint: server.URL, AccessKeyID: "k", SecretAccessKey: "s", MaxAttempts: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, len(body))
	b.ReportAllocs()
	for b.Loop() {
		o, err := s.Get(b.Context(), "projects/p/blobs/0123", blob.GetOptions{Length: int64(len(body))})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(o.Body, buf); err != nil {
			b.Fatal(err)
		}
		o.Body.Close()
	}
}
