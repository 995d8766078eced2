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
	lru    *simplelru.LRU[string, *site.Manifest]
	bytes  int64
	limit  int64
}

func newManifestCache(limit int64) *manifestCache {
	c := &manifestCache{limit: limit}
	// The count never binds: bytes do. The error is for a size below 1.
	c.lru, _ = simplelru.NewLRU(1<<30, func(_ string, m *site.Manifest) { c.bytes -= m.MemorySize() })
	return c
}

func (c *manifestCache) get(key string) *site.Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, _ := c.lru.Get(key)
	return m
}

// put keeps what was written.
func (c *manifestCache) put(key string, m *site.Manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.add(key, m)
}

// putRead keeps what was read, unless something was written since the read
// began: it may be older than what is kept by now.
func (c *manifestCache) putRead(key string, m *site.Manifest, writes uint64) {
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

func (c *manifestCache) add(key string, m *site.Manifest) {
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

// manifest returns a deployment's manifest, from memory or from the bucket.
func (s *Service) manifest(ctx context.Context, project, deployment string) (*site.Manifest, error) {
	key := site.ManifestKey(project, deployment)
	if m := s.manifests.get(key); m != nil {
		return m, nil
	}
	writes := s.manifests.written()
	m, err := s.readManifest(ctx, project, deployment)
	if err != nil {
		return nil, err
	}
	s.manifests.putRead(key, m, writes)
	return m, nil
}

// errManifest says that an object of the bucket is not the manifest that belongs
// there.
var errManifest = errors.New("damaged manifest")

// readManifest reads a manifest from the bucket, and keeps it nowhere.
func (s *Service) readManifest(ctx context.Context, project, deployment string) (*site.Manifest, error) {
	o, err := s.bucket.Get(ctx, site.ManifestKey(project, deployment), blob.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read manifest of deployment %s: %w", deployment, err)
	}
	defer o.Body.Close()
	encoded, err := io.ReadAll(io.LimitReader(o.Body, site.MaxManifestSize+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest of deployment %s: %w", deployment, err)
	}
	m, err := site.DecodeManifest(encoded)
	if err != nil {
		return nil, fmt.Errorf("read manifest of deployment %s: %w: %w", deployment, errManifest, err)
	}
	return m, nil
}
