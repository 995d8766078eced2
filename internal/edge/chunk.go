package edge

import (
	"context"
	"errors"
	"fmt"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// chunkKey names a chunk's bytes within a project. Projects never share one.
type chunkKey struct {
	project [16]byte // of the sha256 of the project's id
	hash    site.Hash
}

func projectSalt(project string) (salt [16]byte) {
	sum := site.HashOf([]byte(project))
	copy(salt[:], sum[:])
	return salt
}

func (k chunkKey) shard() uint64 { return uint64(k.hash[0]) }

// chunkOverhead is what a chunk costs besides its bytes: the key, twice, and
// the cache's own entry.
const chunkOverhead = 256

// chunks fetches, verifies, shares and holds the bytes of blobs.
type chunks struct {
	cache   *cache[chunkKey, []byte]
	flights *flights[chunkKey, []byte]
	origin  *origin
	metrics *Metrics
	ctx     context.Context
}

// errCorrupt: the bucket holds other bytes than the manifest names.
var errCorrupt = errors.New("the bytes do not match their sha256")

// span is where in the bucket the bytes of a chunk are.
type span struct {
	project        string
	blob           site.Hash
	offset, length int64
}

// get returns the verified bytes of a chunk. They are shared: nobody writes to
// them.
func (c *chunks) get(ctx context.Context, key chunkKey, at span) ([]byte, Result, error) {
	if b, ok := c.cache.get(key); ok {
		return b, ResultMemory, nil
	}
	b, err := c.flights.do(ctx, key, func() ([]byte, error) { return c.fill(key, at) })
	return b, ResultOrigin, err
}

// ahead begins to fetch a chunk that will be asked for next.
func (c *chunks) ahead(key chunkKey, at span) {
	if _, ok := c.cache.get(key); !ok {
		// Closed, or failed: the one who asks for it will see.
		_, _ = c.flights.begin(key, func() ([]byte, error) { return c.fill(key, at) })
	}
}

func (c *chunks) fill(key chunkKey, at span) ([]byte, error) {
	if b, ok := c.cache.get(key); ok {
		return b, nil // another flight landed between the caller's look and this one's start
	}
	name := site.BlobKey(at.project, at.blob)
	for range 2 {
		b, err := c.origin.readRange(c.ctx, kindChunk, name, at.offset, at.length)
		if err != nil {
			return nil, err
		}
		if site.HashOf(b) == key.hash {
			c.cache.add(key, b, int64(len(b))+chunkOverhead)
			return b, nil
		}
		c.metrics.corrupt.Inc()
	}
	return nil, fmt.Errorf("%s at %d: %w", name, at.offset, errCorrupt)
}
