package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// BenchmarkDirUpload is one upload of 4 KiB by a signed URL, client included,
// eight at once, and one sync at the end.
func BenchmarkDirUpload(b *testing.B) {
	d := openDir(b, b.TempDir())
	server := httptest.NewServer(d.Handler(slog.New(slog.DiscardHandler)))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var next atomic.Uint64
	b.SetParallelism(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		body := make([]byte, 4096)
		for pb.Next() {
			binary.LittleEndian.PutUint64(body, next.Add(1))
			sum := sha256.Sum256(body)
			u, err := d.SignPut(b.Context(), fmt.Sprintf("projects/p/blobs/%x", sum), int64(len(body)), sum, time.Hour)
			if err != nil {
				b.Error(err)
				return
			}
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPut, server.URL+u.URL, bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusCreated {
				b.Error(resp.Status)
				return
			}
		}
	})
	if err := d.Sync(b.Context()); err != nil {
		b.Error(err)
	}
}

// BenchmarkDirHandler is the server's part of one upload of 4 KiB.
func BenchmarkDirHandler(b *testing.B) {
	d := openDir(b, b.TempDir())
	handler := d.Handler(slog.New(slog.DiscardHandler))
	body := make([]byte, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		binary.LittleEndian.PutUint64(body, uint64(i))
		sum := sha256.Sum256(body)
		u, err := d.SignPut(b.Context(), fmt.Sprintf("projects/p/blobs/%x", sum), int64(len(body)), sum, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, u.URL, bytes.NewReader(body)))
		if w.Code != http.StatusCreated {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// BenchmarkDirList40k lists 40,000 blobs of one project.
func BenchmarkDirList40k(b *testing.B) {
	d := openDir(b, b.TempDir())
	handler := d.Handler(slog.New(slog.DiscardHandler))
	const count = 40_000
	for i := range count {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
		u, err := d.SignPut(b.Context(), fmt.Sprintf("projects/p/blobs/%x", sum), 0, sha256.Sum256(nil), time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, u.URL, http.NoBody))
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range d.List(b.Context(), "projects/p/blobs/", blob.ListOptions{}) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != count {
			b.Fatal(n)
		}
	}
}

// BenchmarkDirPoll is the edge's poll of the change log: a read that finds
// nothing new.
func BenchmarkDirPoll(b *testing.B) {
	d := openDir(b, b.TempDir())
	info, err := d.Put(b.Context(), "changes/head", bytes.NewReader(make([]byte, 4096)), 4096, blob.PutOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Get(b.Context(), "changes/head", blob.GetOptions{IfNoneMatch: info.ETag}); err == nil {
			b.Fatal("it changed")
		}
	}
}
