package edge_test

import (
	"context"
	"sync"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// The first visitor of a host waits for its route, then for the project's record
// and the manifest together, then for the file.
func TestAFirstVisitorWaitsForTheRecordAndTheManifestTogether(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	asked := make(chan struct{})
	var once sync.Once
	b.breaks(func(ctx context.Context, key string) error {
		switch key {
		case site.ManifestKey(projectID, "d1"):
			once.Do(func() { close(asked) })
		case site.ProjectKey(projectID):
			select {
			case <-asked:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	c := newClient(t, newEdge(t, b))
	if got := c.get("/"); got.StatusCode != 200 || got.body != "home" {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
	if n := b.reads(site.ManifestKey(projectID, "d1")); n != 1 {
		t.Errorf("the manifest was read %d times", n)
	}
}
