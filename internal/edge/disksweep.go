package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// diskFile is a chunk's file as it stands in its folder.
type diskFile struct {
	path   string
	folder int
	size   int64
	used   time.Time
}

const (
	// sampleFiles is among how many files the oldest are looked for at least.
	sampleFiles = 256
	// sampleShare is which part of them leaves, one in so many.
	sampleShare = 8
)

// chunkNameLength is that of a chunk's file: two hex numbers and a hyphen.
const chunkNameLength = 2*site.HashSize + 1 + 2*len(chunkKey{}.project)

// shrink removes files once they are too many, and some more, so as not to have
// to look again soon: of a random sample those that were not used for longest.
// Files are spread over the folders by their sha256, so any folder is such a
// sample.
func (d *disk) shrink() {
	most := d.max.Load()
	if !d.on() || d.bytes() <= most {
		return
	}
	for most -= most / 100; d.bytes() > most; {
		var sample []diskFile
		first := rand.IntN(diskFolders)
		for n := 0; n < diskFolders && len(sample) < sampleFiles; n++ {
			sample = d.list((first+n)%diskFolders, sample)
		}
		slices.SortFunc(sample, func(a, b diskFile) int { return a.used.Compare(b.used) })
		removed := 0
		for _, f := range sample[:(len(sample)+sampleShare-1)/sampleShare] {
			if d.bytes() <= most {
				break
			}
			if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				d.failed(fmt.Errorf("remove a chunk: %w", err))
				return
			}
			removed++
			d.evictions.Add(1)
			d.folders[f.folder].add(-1, -f.size)
		}
		if removed == 0 {
			return // they were counted anew, and are fewer than was thought
		}
	}
}

// count takes stock of a folder.
func (d *disk) count(folder int) { d.list(folder, nil) }

// list appends a folder's files, and counts them. What a crash left there is
// removed.
func (d *disk) list(folder int, into []diskFile) []diskFile {
	dir := filepath.Join(d.dir, fmt.Sprintf("%02x", folder))
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.failed(fmt.Errorf("list chunks: %w", err))
	}
	var files, bytes int64
	for _, entry := range entries {
		name := entry.Name()
		temp := strings.HasSuffix(name, tempSuffix)
		if !temp && len(name) != chunkNameLength {
			continue // not ours
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if temp {
			if d.now().Sub(info.ModTime()) > sweepEvery {
				os.Remove(filepath.Join(dir, name))
			}
			continue
		}
		size := onDisk(info.Size())
		files++
		bytes += size
		into = append(into, diskFile{filepath.Join(dir, name), folder, size, info.ModTime()})
	}
	d.folders[folder].files.Store(files)
	d.folders[folder].bytes.Store(bytes)
	return into
}
