package edge_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
	"github.com/mini-vercel/mini-vercel/internal/edge"
)

// BenchmarkPublishToApplied is a deployment of one page from the moment it is
// published until an edge shows it, with a control plane and an edge as they
// are run: on a directory, which is looked at every 100 ms, and on an S3
// service, where head is written and read once a second.
func BenchmarkPublishToApplied(b *testing.B) {
	b.Run("directory", func(b *testing.B) {
		dir, err := blob.OpenDir(filepath.Join(b.TempDir(), "bucket"), blob.DirOptions{SigningKey: bytes.Repeat([]byte{9}, 32)})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { dir.Close() })
		blobs := httptest.NewServer(dir.Handler(slog.New(slog.DiscardHandler)))
		b.Cleanup(blobs.Close)
		publishToApplied(b, dir, blobs.URL, 0, 100*time.Millisecond)
	})
	b.Run("s3", func(b *testing.B) {
		publishToApplied(b, openS3(b, blobtest.StartS3(b).NewBucket(b)), "", time.Second, time.Second)
	})
}

func publishToApplied(b *testing.B, bucket blob.Store, blobs string, head, poll time.Duration) {
	p := &publishing{t: b, dir: b.TempDir(), bucket: bucket, blobs: blobs, head: head, me: controlplane.Principal{UserID: "me", Scope: controlplane.ScopeAdmin}}
	p.start()
	defer func() { p.end() }()
	project, err := p.CreateProject(b.Context(), p.me, controlplane.ProjectInput{Name: "site"})
	if err != nil {
		b.Fatal(err)
	}
	e := newEdge(b, bucket, func(c *edge.Config) { c.Pace = edge.Pace{Poll: poll} })
	var all []time.Duration
	for n := 0; b.Loop(); n++ {
		want := fmt.Sprint("version ", n)
		id := p.upload(project.ID, want)
		time.Sleep(rand.N(poll)) // at any moment between two looks
		start := time.Now()
		if _, err := p.Publish(b.Context(), controlplane.Actor{Principal: &p.me}, id); err != nil {
			b.Fatal(err)
		}
		for lookFor(b.Context(), b, e, hostName, "/").body != want {
			if time.Sleep(time.Millisecond); time.Since(start) > time.Minute {
				b.Fatalf("%s is not shown within a minute", want)
			}
		}
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	at := func(percent int) float64 {
		return float64(all[min(len(all)*percent/100, len(all)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
	b.ReportMetric(at(100), "most-ms")
}
