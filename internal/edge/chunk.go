package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

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

// chunkOverhead is what a chunk costs besides its bytes: the key, three times,
// and the cache's own entries.
const chunkOverhead = 400

// chunks fetches, verifies, shares and holds the bytes of blobs.
//
// Large blobs, of which sixteen would be all that memory holds, are kept out of
// it: they are films and downloads, whose chunks are wanted once by each client,
// and would take the place of thousands of pages. They live on disk, from where
// they are sent without being copied. Only their newest chunks pass through a
// small part of memory, so that clients who read the same at the same time share
// them.
type chunks struct {
	memory  *cache[chunkKey, []byte]
	passing *cache[chunkKey, []byte] // of large blobs
	largest atomic.Int64             // bytes of a blob; beyond, it is large
	runs    atomic.Int64             // chunks that are read at once, at most
	disk    *disk
	flights *flights[chunkKey, loaded[[]byte]]
	origin  *origin
	metrics *Metrics
	ctx     context.Context
}

const (
	// largeShare is the part of memory, one in so many, beyond which a blob is
	// large.
	largeShare = 16
	// passingShare is the part of memory that large blobs pass through.
	passingShare = 8
	// maxRun is how many chunks are read from the bucket by one request at most.
	maxRun = 8
)

func newChunks(maxBytes int64) *chunks {
	c := &chunks{
		memory:  newCache[chunkKey, []byte](maxBytes, 8*site.ChunkSize, chunkKey.shard),
		passing: newCache[chunkKey, []byte](maxBytes, maxBytes+1, func(chunkKey) uint64 { return 0 }),
	}
	c.passing.plain = true
	c.resize(maxBytes)
	return c
}

// resize changes how many bytes may be held in memory.
func (c *chunks) resize(maxBytes int64) {
	passing := maxBytes / passingShare
	c.memory.resize(maxBytes - passing)
	c.passing.resize(passing)
	c.largest.Store(max(maxBytes/largeShare, site.ChunkSize))
	// What is read ahead must not push out what was read ahead before it.
	c.runs.Store(min(max(passing/site.ChunkSize/2, 1), maxRun))
}

func (c *chunks) isLarge(v *variant) bool {
	return v.blob.Size > site.ChunkSize && v.blob.Size > c.largest.Load()
}

// held returns the part of memory where a variant's chunks are.
func (c *chunks) held(v *variant) *cache[chunkKey, []byte] {
	if c.isLarge(v) {
		return c.passing
	}
	return c.memory
}

// errCorrupt: what was read is not what the manifest names.
var errCorrupt = errors.New("the bytes do not match their sha256")

// span is where in the bucket the bytes of a chunk are.
type span struct {
	project        string
	blob           site.Hash
	offset, length int64
}

// where tells how far away a chunk is, without fetching it.
func (c *chunks) where(g *page, v *variant, n int) Result {
	key := v.chunkKey(g, n)
	if _, ok := c.held(v).peek(key); ok {
		return ResultMemory
	}
	if c.disk.has(key, v.span(g, n).length) {
		return ResultDisk
	}
	return ResultOrigin
}

// fetch returns the verified bytes of a chunk that is not in memory. The bytes
// are shared: nobody writes to them. Those that follow are fetched along, up to
// the last one that is wanted.
func (c *chunks) fetch(ctx context.Context, g *page, v *variant, n, last int) (loaded[[]byte], error) {
	fl, begun, err := c.begin(g, v, n, min(int(c.runs.Load()), last-n+1))
	if err != nil {
		return loaded[[]byte]{}, err
	}
	if begun == 0 && !fl.landed() {
		c.metrics.coalesced.Inc()
	}
	return fl.wait(ctx)
}

// begin starts to bring chunk n, and up to most together of what follows it and
// is neither here nor on its way, by one read of the bucket. It returns how many
// that are; none where chunk n is on its way.
func (c *chunks) begin(g *page, v *variant, n, most int) (fl *flight[loaded[[]byte]], begun int, err error) {
	if fl := c.flights.of(v.chunkKey(g, n)); fl != nil {
		return fl, 0, nil
	}
	count := 1
	for count < most && c.where(g, v, n+count) == ResultOrigin {
		count++
	}
	return c.flights.together(count, func(i int) chunkKey { return v.chunkKey(g, n+i) }, func(key chunkKey) (loaded[[]byte], bool) {
		// It may have come since it was looked for, but no later than this: who
		// lands puts it there first.
		if b, ok := c.held(v).peek(key); ok {
			return loaded[[]byte]{b, ResultMemory}, true
		}
		b, ok := c.disk.waiting(key)
		return loaded[[]byte]{b, ResultDisk}, ok
	}, func(landing []landing[loaded[[]byte]]) { c.fill(g, v, n, landing) })
}

// fill brings the chunks from n on to their waiters, each as soon as it is
// there.
func (c *chunks) fill(g *page, v *variant, n int, land []landing[loaded[[]byte]]) {
	if b := c.fromDisk(g, v, n); b != nil {
		land[0](loaded[[]byte]{b, ResultDisk}, nil)
		n, land = n+1, land[1:]
	}
	for len(land) > 0 {
		done, err := c.fromOrigin(g, v, n, land)
		n, land = n+done, land[done:]
		if errors.Is(err, errCorrupt) { // fetched once more, alone
			var b []byte
			if b, err = c.alone(g, v, n); err == nil || errors.Is(err, errCorrupt) {
				land[0](loaded[[]byte]{b, ResultOrigin}, err)
				n, land, err = n+1, land[1:], nil
			}
		}
		if err != nil {
			for _, l := range land {
				l(loaded[[]byte]{}, err)
			}
			return
		}
	}
}

// fromDisk brings a chunk from disk to memory; nil where it is not there.
func (c *chunks) fromDisk(g *page, v *variant, n int) []byte {
	key, length := v.chunkKey(g, n), v.span(g, n).length
	b := c.disk.load(key, length, c.isLarge(v))
	if b != nil {
		c.held(v).add(key, b, length+chunkOverhead)
	}
	return b
}

// fromOrigin reads chunks from n on by one read of the bucket, and returns how
// many have landed.
func (c *chunks) fromOrigin(g *page, v *variant, n int, land []landing[loaded[[]byte]]) (done int, err error) {
	if len(land) == 1 {
		b, err := c.alone(g, v, n)
		if err != nil {
			return 0, err
		}
		land[0](loaded[[]byte]{b, ResultOrigin}, nil)
		return 1, nil
	}
	first, last := v.span(g, n), v.span(g, n+len(land)-1)
	s, err := c.origin.stream(c.ctx, site.BlobKey(first.project, first.blob), first.offset, last.offset+last.length-first.offset)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	for done < len(land) {
		b := make([]byte, v.span(g, n+done).length)
		if _, err := io.ReadFull(s, b); err != nil {
			return done, err
		}
		if err := c.keep(g, v, n+done, b); err != nil {
			return done, err
		}
		land[done](loaded[[]byte]{b, ResultOrigin}, nil)
		done++
	}
	return done, nil
}

// alone reads one chunk.
func (c *chunks) alone(g *page, v *variant, n int) ([]byte, error) {
	at := v.span(g, n)
	b, err := c.origin.readRange(c.ctx, kindChunk, site.BlobKey(at.project, at.blob), at.offset, at.length)
	if err == nil {
		err = c.keep(g, v, n, b)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// keep verifies a chunk from the bucket, and holds it.
func (c *chunks) keep(g *page, v *variant, n int, b []byte) error {
	key := v.chunkKey(g, n)
	if site.HashOf(b) != key.hash {
		c.metrics.corrupt.Inc()
		at := v.span(g, n)
		return fmt.Errorf("%s at %d: %w", site.BlobKey(at.project, at.blob), at.offset, errCorrupt)
	}
	c.held(v).add(key, b, int64(len(b))+chunkOverhead)
	c.disk.put(key, b, c.isLarge(v))
	return nil
}
