package publish

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// ChangedError says that a file was written to while it was being published.
type ChangedError struct{ Name string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("file %q changed while it was being published; wait until nothing writes to the folder, then deploy again", e.Name)
}

// workers is how many goroutines read and compress. Best zstd holds some 40 MB
// for each.
func workers() int { return min(runtime.GOMAXPROCS(0), 16) }

// hashFiles reads every file of the folder once. The result is in the order of
// the folder's files, as are the early hints that the pages among them have.
func hashFiles(ctx context.Context, root *os.Root, folder *Folder, report *meter) (blobs []site.BlobEntry, hints [][]string, err error) {
	report.begin(StepHash, len(folder.files), folder.bytes)
	blobs, hints = make([]site.BlobEntry, len(folder.files)), make([][]string, len(folder.files))
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range 2 * workers() { // twice: while one waits for the disk, another hashes
		g.Go(func() error {
			h := newHasher()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(blobs) {
					return nil
				}
				f := &folder.files[i]
				var err error
				h.heads = isPage(f.name)
				if blobs[i], err = h.file(root, f); err != nil {
					return err
				}
				if h.heads {
					hints[i] = hintsOf(h.head)
				}
				report.add(1, f.size)
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	report.end()
	return blobs, hints, nil
}

// hasher reads files piece by piece, a chunk at most at a time.
type hasher struct {
	buf   []byte
	heads bool   // the beginnings of files are kept
	head  []byte // of the last one
}

func newHasher() *hasher { return &hasher{buf: make([]byte, site.ChunkSize)} }

func (h *hasher) file(root *os.Root, f *file) (site.BlobEntry, error) {
	in, err := openUnchanged(root, f)
	if err != nil {
		return site.BlobEntry{}, err
	}
	defer in.Close()
	blob, err := h.read(in)
	if err != nil {
		return site.BlobEntry{}, fmt.Errorf("file %q: %w", f.name, cause(err))
	}
	if blob.Size != f.size {
		return site.BlobEntry{}, &ChangedError{f.name}
	}
	return blob, checkUnchanged(in, f)
}

// read hashes all of r, and each chunk where there is more than one.
func (h *hasher) read(r io.Reader) (site.BlobEntry, error) {
	n, err := io.ReadFull(r, h.buf)
	if h.heads {
		h.head = append(h.head[:0], h.buf[:min(n, maxHead)]...)
	}
	switch err {
	case io.EOF, io.ErrUnexpectedEOF:
		return site.BlobEntry{SHA256: site.HashOf(h.buf[:n]), Size: int64(n)}, nil
	case nil:
	default:
		return site.BlobEntry{}, err
	}
	c := newChunker()
	for {
		c.add(h.buf[:n])
		if err != nil {
			return c.entry(), nil
		}
		n, err = io.ReadFull(r, h.buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return site.BlobEntry{}, err
		}
	}
}

// openUnchanged opens a file that must still be the one that the scan saw.
func openUnchanged(root *os.Root, f *file) (*os.File, error) {
	in, err := openFile(root, f.real)
	if os.IsNotExist(err) {
		return nil, &ChangedError{f.name}
	}
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", f.name, cause(err))
	}
	if err := checkUnchanged(in, f); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

func checkUnchanged(in *os.File, f *file) error {
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("file %q: %w", f.name, cause(err))
	}
	if !info.Mode().IsRegular() || info.Size() != f.size || !info.ModTime().Equal(f.modified) {
		return &ChangedError{f.name}
	}
	return nil
}

// chunker hashes what is written to it as a whole and chunk by chunk.
type chunker struct {
	all, chunk hash.Hash
	size       int64
	chunks     []site.Hash
}

func newChunker() *chunker { return &chunker{all: sha256.New(), chunk: sha256.New()} }

func (c *chunker) add(p []byte) {
	c.all.Write(p)
	for len(p) > 0 {
		room := site.ChunkSize - int(c.size%site.ChunkSize)
		part := p[:min(room, len(p))]
		c.chunk.Write(part)
		c.size += int64(len(part))
		p = p[len(part):]
		if c.size%site.ChunkSize == 0 {
			c.cut()
		}
	}
}

func (c *chunker) cut() {
	c.chunks = append(c.chunks, site.Hash(c.chunk.Sum(nil)))
	c.chunk.Reset()
}

// entry ends the hashing.
func (c *chunker) entry() site.BlobEntry {
	if c.size%site.ChunkSize != 0 {
		c.cut()
	}
	e := site.BlobEntry{SHA256: site.Hash(c.all.Sum(nil)), Size: c.size}
	if c.size > site.ChunkSize {
		e.Chunks = c.chunks
	}
	return e
}
