package edge

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// stateFilter says of most names that they are not among the files of a state
// directory, without asking the disk: a flood of hosts that nobody knows would
// cost a system call each. It is a Bloom filter with two probes. With three
// million files it is wrong for one name in thirty, which then costs that call.
type stateFilter struct {
	// complete is set when every file that was there at the start is in it.
	complete atomic.Bool
	bits     [stateFilterBits / 32]atomic.Uint32
}

// stateFilterBits is 2^25: 4 MiB.
const stateFilterBits = 1 << 25

// probes are where the bits of a name are. A name is a sha256, so its own bytes
// are as good as any hash of it.
func probes(name [sha256.Size]byte) [2]uint32 {
	return [2]uint32{
		binary.LittleEndian.Uint32(name[:4]) % stateFilterBits,
		binary.LittleEndian.Uint32(name[4:8]) % stateFilterBits,
	}
}

func (f *stateFilter) add(name [sha256.Size]byte) {
	for _, p := range probes(name) {
		f.bits[p/32].Or(1 << (p % 32))
	}
}

// mayHave reports whether a file of that name may be there.
func (f *stateFilter) mayHave(name [sha256.Size]byte) bool {
	if !f.complete.Load() {
		return true
	}
	for _, p := range probes(name) {
		if f.bits[p/32].Load()&(1<<(p%32)) == 0 {
			return false
		}
	}
	return true
}
