package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// manifestCacheBytes bounds the decoded manifests that are kept in memory.
const manifestCacheBytes = 256 << 20

// manifestCache keeps decoded manifests by their bucket keys.
type manifestCache struct {
	writes uint64 // puts and drops, under mu
	mu     sync.Mutex
	lru    *simplelru.LRU[string, encodedManifest]
	bytes  int64
	limit  int64
}

// encodedManifest is a manifest with the sha256 of its encoding, which tells it
// from another that was handed in for the same deployment.
type encodedManifest struct {
	*site.Manifest
	hash site.Hash
}

func newManifestCache(limit int64) *manifestCache {
	c := &manifestCache{limit: limit}
	// The count never binds: bytes do. The error is for a size below 1.
	c.lru, _ = simplelru.NewLRU(1<<30, func(_ string, m encodedManifest) { c.bytes -= m.MemorySize() })
	return c
}

func (c *manifestCache) get(key string) (m encodedManifest, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

// put keeps what was written.
func (c *manifestCache) put(key string, m encodedManifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.add(key, m)
}

// putRead keeps what was read, unless something was written since the read
// began: it may be older than what is kept by now.
func (c *manifestCache) putRead(key string, m encodedManifest, writes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes == writes {
		c.add(key, m)
	}
}

// written counts the writes, for putRead.
func (c *manifestCache) written() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

func (c *manifestCache) add(key string, m encodedManifest) {
	c.lru.Remove(key)
	c.lru.Add(key, m)
	for c.bytes += m.MemorySize(); c.bytes > c.limit && c.lru.Len() > 1; {
		c.lru.RemoveOldest()
	}
}

func (c *manifestCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.lru.Remove(key)
}

// clear drops everything: another control plane may have written any of it.
func (c *manifestCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.lru.Purge()
}

// manifest returns a deployment's manifest, from memory or from the bucket.
func (s *Service) manifest(ctx context.Context, project, deployment string) (*site.Manifest, error) {
	m, err := s.cachedManifest(ctx, project, deployment)
	return m.Manifest, err
}

// handedIn returns the manifest that was handed in last for a deployment, and
// never an earlier one, whatever control plane took it.
func (s *Service) handedIn(ctx context.Context, d *DeploymentRow) (*site.Manifest, error) {
	for range 2 {
		m, err := s.cachedManifest(ctx, d.ProjectID, d.ID)
		if err != nil {
			return nil, err
		}
		if d.ManifestHash == "" || m.hash.String() == d.ManifestHash {
			return m.Manifest, nil
		}
		s.manifests.drop(site.ManifestKey(d.ProjectID, d.ID))
	}
	return nil, Errorf(CodeConflict, "Another manifest is being handed in: hand yours in again.")
}

func (s *Service) cachedManifest(ctx context.Context, project, deployment string) (m encodedManifest, err error) {
	key := site.ManifestKey(project, deployment)
	if m, ok := s.manifests.get(key); ok {
		return m, nil
	}
	writes := s.manifests.written()
	if m, err = s.readManifest(ctx, project, deployment); err != nil {
		return m, err
	}
	s.manifests.putRead(key, m, writes)
	return m, nil
}

// errManifest says that an object of the bucket is not the manifest that belongs
// there.
var errManifest = errors.New("damaged manifest")

// readManifest reads a manifest from the bucket, and keeps it nowhere.
func (s *Service) readManifest(ctx context.Context, project, deployment string) (m encodedManifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read manifest of deployment %s: %w", deployment, err)
		}
	}()
	o, err := s.bucket.Get(ctx, site.ManifestKey(project, deployment), blob.GetOptions{})
	if err != nil {
		return m, err
	}
	defer o.Body.Close()
	encoded, err := io.ReadAll(io.LimitReader(o.Body, site.MaxManifestSize+1))
	if err != nil {
		return m, err
	}
	m.hash = site.HashOf(encoded)
	if m.Manifest, err = site.DecodeManifest(encoded); err != nil {
		return m, fmt.Errorf("%w: %w", errManifest, err)
	}
	return m, nil
}
