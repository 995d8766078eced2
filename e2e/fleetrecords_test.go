//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// records watches what control planes publish: no record goes back to an earlier
// generation, and none is written a second time.
type records struct {
	f      *fleet
	bucket *blob.S3
	seen   map[string]record // by key
	writes int
	end    context.CancelFunc
	ended  sync.WaitGroup
}

type record struct {
	etag, body string
	number     int64
}

func (f *fleet) watchRecords() *records {
	f.t.Helper()
	bucket, err := blob.OpenS3(f.t.Context(), f.bucket)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	r := &records{f: f, bucket: bucket, seen: map[string]record{}, end: cancel}
	r.ended.Go(func() {
		for ctx.Err() == nil {
			if err := r.look(ctx); err != nil && ctx.Err() == nil {
				f.t.Errorf("look at what is published: %v", err)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	f.t.Cleanup(func() { r.stop(); bucket.Close() })
	return r
}

// stop ends it, and returns how many writes it has seen.
func (r *records) stop() int {
	r.end()
	r.ended.Wait()
	return r.writes
}

func (r *records) look(ctx context.Context) error {
	if err := r.read(ctx, site.HeadKey, ""); err != nil {
		return err
	}
	for info, err := range r.bucket.List(ctx, site.RoutesPrefix, blob.ListOptions{}) {
		if err != nil {
			return err
		}
		if err := r.read(ctx, info.Key, info.ETag); err != nil {
			return err
		}
		var route site.Route
		if json.Unmarshal([]byte(r.seen[info.Key].body), &route) == nil && route.Project != "" {
			if err := r.read(ctx, site.ProjectKey(route.Project), ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// read compares a record with what it was.
func (r *records) read(ctx context.Context, key, etag string) error {
	was, known := r.seen[key]
	if known && was.etag == etag {
		return nil
	}
	o, err := r.bucket.Get(ctx, key, blob.GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer o.Body.Close()
	body, err := io.ReadAll(o.Body)
	if err != nil {
		return err
	}
	var is struct{ Generation, Seq int64 }
	if err := json.Unmarshal(body, &is); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	now := record{etag: o.ETag, body: string(body), number: is.Generation + is.Seq}
	switch {
	case known && now.number < was.number:
		r.f.t.Errorf("%s went back from %d to %d:\n%s\n%s", key, was.number, now.number, was.body, now.body)
	case known && now.number == was.number && now.body != was.body:
		r.f.t.Errorf("%s was written twice:\n%s\n%s", key, was.body, now.body)
	case !known || now.number > was.number:
		r.writes++
	}
	r.seen[key] = now
	return nil
}
