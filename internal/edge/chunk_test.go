package edge

import (
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

func TestWhatIsLargeFollowsFromMemory(t *testing.T) {
	const mib = 1 << 20
	c := newChunks(256 * mib)
	for _, tt := range []struct {
		memory, size int64
		large        bool
		run          int64
	}{
		{256 * mib, 16*mib - 1, false, 8},
		{256 * mib, 16 * mib, false, 8},
		{256 * mib, 16*mib + 1, true, 8},
		{64 * mib, 4 * mib, false, 4},
		{64 * mib, 4*mib + 1, true, 4},
		{8 * mib, site.ChunkSize, false, 1}, // one chunk is never large
		{8 * mib, site.ChunkSize + 1, true, 1},
		{1, site.ChunkSize, false, 1},
	} {
		c.resize(tt.memory)
		v := &variant{blob: site.BlobEntry{Size: tt.size}}
		if got := c.isLarge(v); got != tt.large || c.runs.Load() != tt.run {
			t.Errorf("%d bytes in a memory of %d: large %v, %d at once; want %v and %d", tt.size, tt.memory, got, c.runs.Load(), tt.large, tt.run)
		}
		if memory, passing := c.memory.shards[0].max*int64(len(c.memory.shards)), c.passing.shards[0].max; memory+passing > tt.memory {
			t.Errorf("of %d bytes of memory %d and %d may be used", tt.memory, memory, passing)
		}
	}
}
