package edge

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sys/unix"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// disk keeps chunks in a directory, so that they outlive memory and a restart.
// It is a help, never the truth: what can't be written is fetched again.
//
// A file holds the bytes of one chunk and is named by its key, in one of 256
// folders. There is no index to build or to lose: to look a chunk up is to open
// its file, and a file that a crash left torn does not match the sha256 in its
// own name and counts as missing. Several edges may use one directory: files
// are written beside their place and renamed, and whoever has one open that
// another removes reads on. Writing, counting and removing happen in one
// goroutine, run.
type disk struct {
	dir     string       // none: nothing is kept
	max     atomic.Int64 // bytes; 0 or less: off
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	wake    chan struct{}

	mu           sync.Mutex
	pending      map[chunkKey][]byte // to be written
	order        []pendingChunk
	pendingBytes int64
	// verified are the files whose bytes this process has seen to be right, of
	// large blobs alone: those are sent without being read into memory.
	verified *simplelru.LRU[chunkKey, fileIdentity]
	paused   time.Time // until then nothing is written, because it failed

	failing atomic.Bool
	folders [diskFolders]diskFolder
	next    int // the folder that is counted next; of run alone

	hits, misses, evictions atomic.Uint64
}

type pendingChunk struct {
	key   chunkKey
	large bool
}

// diskFolder is what a folder holds, as counted last.
type diskFolder struct{ files, bytes atomic.Int64 }

func (f *diskFolder) add(files, bytes int64) {
	f.files.Add(files)
	f.bytes.Add(bytes)
}

// fileIdentity tells a file from one that replaced it, and from itself once
// somebody wrote to it.
type fileIdentity struct {
	inode         uint64
	changed, size int64 // nanoseconds, bytes
}

const (
	diskFolders = 256
	// maxPendingBytes is how much waits to be written; more is dropped.
	maxPendingBytes = 32 << 20
	// maxVerified is how many files are known to be right. What is beyond is read
	// into memory and looked at again.
	maxVerified = 1 << 16
	// diskPause is how long nothing is written after a failure.
	diskPause = 30 * time.Second
	// touchAfter is how old the time of a file gets that is in use.
	touchAfter = time.Hour
	// diskBlock is what a file takes at least, and a multiple of which it takes.
	diskBlock = 4096
)

// openDisk makes the tier below a state directory. It touches nothing yet.
func openDisk(stateDir string, maxBytes int64, log *slog.Logger, m *Metrics, now func() time.Time) *disk {
	d := &disk{log: log, metrics: m, now: now, wake: make(chan struct{}, 1), pending: map[chunkKey][]byte{}}
	d.verified, _ = simplelru.NewLRU[chunkKey, fileIdentity](maxVerified, nil)
	if stateDir != "" {
		d.dir = filepath.Join(stateDir, "chunks")
	}
	d.max.Store(maxBytes)
	return d
}

func (d *disk) on() bool { return d.dir != "" && d.max.Load() > 0 }

func (d *disk) path(key chunkKey) string {
	name := make([]byte, 0, 2*(site.HashSize+len(key.project))+1)
	name = hex.AppendEncode(name, key.hash[:])
	name = append(name, '-')
	name = hex.AppendEncode(name, key.project[:])
	return filepath.Join(d.dir, string(name[:2]), string(name))
}

// waiting returns a chunk that is still to be written.
func (d *disk) waiting(key chunkKey) ([]byte, bool) {
	if !d.on() {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.pending[key]
	return b, ok
}

// has reports whether a chunk seems to be there, without reading it.
func (d *disk) has(key chunkKey, length int64) bool {
	if !d.on() {
		return false
	}
	if _, ok := d.waiting(key); ok {
		return true
	}
	size, ok := d.sizeOf(key)
	return ok && size == length
}

func (d *disk) sizeOf(key chunkKey) (int64, bool) {
	var st unix.Stat_t
	if unix.Lstat(d.path(key), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, false
	}
	return st.Size, true
}

// load reads a chunk and verifies it; nil where it is not there. large: the
// file may be sent as it is from now on.
func (d *disk) load(key chunkKey, length int64, large bool) []byte {
	if !d.on() {
		return nil
	}
	if b, ok := d.waiting(key); ok {
		d.hits.Add(1)
		return b
	}
	b, err := d.read(key, length, large)
	switch {
	case err == nil:
		d.hits.Add(1)
		return b
	case errors.Is(err, errCorrupt):
		d.metrics.diskCorrupt.Inc()
		d.forget(key)
	case !errors.Is(err, fs.ErrNotExist):
		d.failed(fmt.Errorf("read a chunk: %w", err))
	}
	d.misses.Add(1)
	return nil
}

func (d *disk) read(key chunkKey, length int64, large bool) ([]byte, error) {
	f, id, err := d.openFile(key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if id.size != length {
		return nil, errCorrupt
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, err
	}
	if site.HashOf(b) != key.hash {
		return nil, errCorrupt
	}
	if large {
		d.vouch(key, id)
	}
	return b, nil
}

// openFile opens a chunk's file and makes it young.
func (d *disk) openFile(key chunkKey) (*os.File, fileIdentity, error) {
	f, err := os.OpenFile(d.path(key), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileIdentity{}, err
	}
	id, modified, err := identify(f)
	if err != nil {
		f.Close()
		return nil, fileIdentity{}, err
	}
	if now := d.now(); now.Sub(modified) > touchAfter {
		known := d.vouchedFor(key, id)
		// Where it fails, the file goes too early.
		if os.Chtimes(f.Name(), now, now) == nil {
			if id, _, err = identify(f); err == nil && known {
				d.vouch(key, id)
			}
		}
	}
	return f, id, nil
}

func identify(f *os.File) (id fileIdentity, modified time.Time, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return id, modified, &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return id, modified, fmt.Errorf("%s is no file: %w", f.Name(), fs.ErrNotExist)
	}
	return fileIdentity{st.Ino, st.Ctim.Nano(), st.Size}, time.Unix(st.Mtim.Unix()), nil
}

func (d *disk) vouch(key chunkKey, id fileIdentity) {
	d.mu.Lock()
	d.verified.Add(key, id)
	d.mu.Unlock()
}

func (d *disk) vouchedFor(key chunkKey, id fileIdentity) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.verified.Get(key)
	return ok && known == id
}

// canOpen reports whether open would succeed now.
func (d *disk) canOpen(key chunkKey, length int64) bool {
	if !d.mayOpen(key) {
		return false
	}
	size, ok := d.sizeOf(key)
	return ok && size == length
}

func (d *disk) mayOpen(key chunkKey) bool {
	if !d.on() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.verified.Contains(key)
}

// open returns the file of a chunk whose bytes this process has verified, and
// that nobody has written to since; nil where there is none. The caller closes
// it.
func (d *disk) open(key chunkKey) *os.File {
	if !d.mayOpen(key) {
		return nil
	}
	f, id, err := d.openFile(key)
	if err == nil && d.vouchedFor(key, id) {
		d.hits.Add(1)
		return f
	}
	if f != nil {
		f.Close()
	}
	d.mu.Lock()
	d.verified.Remove(key)
	d.mu.Unlock()
	return nil
}

// forget removes a file that is not what its name says.
func (d *disk) forget(key chunkKey) {
	if size, ok := d.sizeOf(key); ok && os.Remove(d.path(key)) == nil {
		d.folders[key.hash[0]].add(-1, -onDisk(size))
	}
}

// put has a verified chunk written, soon. Where too much waits, or writing fails
// at present, it is dropped.
func (d *disk) put(key chunkKey, b []byte, large bool) {
	if !d.on() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.pending[key]; ok {
		return
	}
	if d.pendingBytes+int64(len(b)) > maxPendingBytes || d.now().Before(d.paused) {
		d.metrics.diskDropped.Inc()
		return
	}
	d.pending[key] = b
	d.order = append(d.order, pendingChunk{key, large})
	d.pendingBytes += int64(len(b)) + chunkOverhead
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// resize changes how much may be kept. What is too much leaves soon; what is
// there when the tier is turned off stays, unread.
func (d *disk) resize(maxBytes int64) {
	d.max.Store(maxBytes)
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run writes until the context ends, then what is left. It begins by counting
// what is there, and counts one folder after the other anew for as long as it
// runs: other edges, and people, may have been there too.
func (d *disk) run(ctx context.Context) {
	if d.dir == "" {
		return
	}
	for folder := 0; folder < diskFolders && ctx.Err() == nil; {
		d.write()
		if d.on() {
			d.count(folder)
			folder++
			continue
		}
		select { // until it is turned on
		case <-d.wake:
		case <-ctx.Done():
		}
	}
	again := time.NewTicker(15 * time.Second) // about an hour for all of them
	defer again.Stop()
	for {
		d.write()
		d.shrink()
		select {
		case <-d.wake:
		case <-again.C:
			if d.on() {
				d.count(d.next)
				d.next = (d.next + 1) % diskFolders
			}
		case <-ctx.Done():
			d.write()
			return
		}
	}
}

// write writes what waits.
func (d *disk) write() {
	for {
		d.mu.Lock()
		if len(d.order) == 0 {
			d.order = nil
			d.mu.Unlock()
			return
		}
		next := d.order[0]
		d.order = d.order[1:]
		b := d.pending[next.key]
		skip := d.now().Before(d.paused) || !d.on()
		d.mu.Unlock()
		var err error
		if skip {
			d.metrics.diskDropped.Inc()
		} else if err = d.writeFile(next, b); err == nil {
			d.worked()
		} else {
			d.failed(fmt.Errorf("write a chunk: %w", err))
		}
		d.mu.Lock()
		delete(d.pending, next.key)
		d.pendingBytes -= int64(len(b)) + chunkOverhead
		d.mu.Unlock()
		if d.bytes() > d.max.Load()+maxPendingBytes {
			d.shrink() // not to get ahead of it
		}
	}
}

func (d *disk) writeFile(p pendingChunk, b []byte) error {
	path := d.path(p.key)
	old, there := d.sizeOf(p.key)
	if there && old == int64(len(b)) && !p.large {
		return nil // another edge was faster
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "*"+tempSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		temp, err = os.CreateTemp(filepath.Dir(path), "*"+tempSuffix)
	}
	if err != nil {
		return err
	}
	defer temp.Close()
	if _, err = temp.Write(b); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
		return err
	}
	if p.large {
		if id, _, err := identify(temp); err == nil { // a rename changes ctime
			d.vouch(p.key, id)
		}
	}
	folder := &d.folders[p.key.hash[0]]
	if there {
		folder.add(-1, -onDisk(old))
	}
	folder.add(1, onDisk(int64(len(b))))
	return nil
}

// onDisk is about how many bytes a file takes.
func onDisk(size int64) int64 { return (size + diskBlock - 1) / diskBlock * diskBlock }

// failed pauses writing. The first failure is logged, the others are counted,
// until it works again.
func (d *disk) failed(err error) {
	d.metrics.diskErrors.Inc()
	d.mu.Lock()
	d.paused = d.now().Add(diskPause)
	d.mu.Unlock()
	if !d.failing.Swap(true) {
		d.log.Warn("contents of files can't be kept on disk; the edge goes on without and tries again: check the directory and its free space",
			slog.String("directory", d.dir), slog.Any("error", err))
	}
}

func (d *disk) worked() {
	if d.failing.Swap(false) {
		d.log.Info("contents of files are kept on disk again", slog.String("directory", d.dir))
	}
}

func (d *disk) bytes() (n int64) {
	for i := range d.folders {
		n += d.folders[i].bytes.Load()
	}
	return n
}

func (d *disk) files() (n int64) {
	for i := range d.folders {
		n += d.folders[i].files.Load()
	}
	return n
}

func (d *disk) stats() cacheStats {
	return cacheStats{entries: int(d.files()), cost: d.bytes(), hits: d.hits.Load(), misses: d.misses.Load(), evictions: d.evictions.Load()}
}
