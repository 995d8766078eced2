package publish

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	spoolMemory  = 64 << 20 // what all variants together may hold in memory
	spoolPending = 1 << 20  // what one variant may hold while it is written
)

// spool keeps compressed variants until they are uploaded: in memory as long as
// there are few, then in one file, and large ones in a file of their own.
type spool struct {
	parent string // where the directory is made once it is needed

	mu     sync.Mutex
	dir    string
	held   int64    // bytes in memory
	shared *os.File // of many small variants
	end    int64    // of shared
}

// stored is one variant in the spool.
type stored struct {
	site.BlobEntry
	held []byte   // either in memory
	file *os.File // or in the shared file
	at   int64
	path string // or in a file of its own
}

// open returns the variant's bytes.
func (s *stored) open() (io.ReadSeekCloser, error) {
	switch {
	case s.path != "":
		return os.Open(s.path)
	case s.file != nil:
		return nopCloser{io.NewSectionReader(s.file, s.at, s.Size)}, nil
	default:
		return nopCloser{bytes.NewReader(s.held)}, nil
	}
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// close removes everything.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared != nil {
		s.shared.Close()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// create makes a file in the spool's directory. The caller holds mu.
func (s *spool) create() (*os.File, error) {
	if s.dir == "" {
		dir, err := os.MkdirTemp(s.parent, "mini-vercel-publish-")
		if err != nil {
			return nil, fmt.Errorf("keep compressed files: %w", err)
		}
		s.dir = dir
	}
	return os.CreateTemp(s.dir, "")
}

// keep takes a small variant.
func (s *spool) keep(b []byte, entry site.BlobEntry) (*stored, error) {
	s.mu.Lock()
	if s.held+int64(len(b)) <= spoolMemory {
		s.held += int64(len(b))
		s.mu.Unlock()
		return &stored{BlobEntry: entry, held: bytes.Clone(b)}, nil
	}
	defer s.mu.Unlock()
	if s.shared == nil {
		f, err := s.create()
		if err != nil {
			return nil, err
		}
		s.shared = f
	}
	at := s.end
	if _, err := s.shared.WriteAt(b, at); err != nil {
		return nil, fmt.Errorf("keep compressed files: %w", err)
	}
	s.end += int64(len(b))
	return &stored{BlobEntry: entry, file: s.shared, at: at}, nil
}

// errNoSaving ends the compression of what does not become small enough.
var errNoSaving = errors.New("compression saves too little")

// spoolWriter takes one variant as it is compressed. It is used again for the
// next one after reset.
type spoolWriter struct {
	spool *spool
	most  int64 // bytes; more is errNoSaving
	sum   *chunker
	buf   bytes.Buffer
	file  *os.File // once the variant is over spoolPending
}

func (w *spoolWriter) reset(most int64) {
	w.discard()
	w.most = most
	w.sum = newChunker()
	w.buf.Reset()
}

// discard drops what was written.
func (w *spoolWriter) discard() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}

func (w *spoolWriter) Write(p []byte) (int, error) {
	if w.sum.size+int64(len(p)) > w.most {
		return 0, errNoSaving
	}
	w.sum.add(p)
	if w.file == nil && w.buf.Len()+len(p) <= spoolPending {
		return w.buf.Write(p)
	}
	if w.file == nil {
		w.spool.mu.Lock()
		f, err := w.spool.create()
		w.spool.mu.Unlock()
		if err != nil {
			return 0, err
		}
		w.file = f
		if _, err := f.Write(w.buf.Bytes()); err != nil {
			return 0, fmt.Errorf("keep compressed files: %w", err)
		}
		w.buf = bytes.Buffer{}
	}
	n, err := w.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("keep compressed files: %w", err)
	}
	return n, nil
}

// finish hands what was written to the spool.
func (w *spoolWriter) finish() (*stored, error) {
	entry := w.sum.entry()
	if w.file == nil {
		return w.spool.keep(w.buf.Bytes(), entry)
	}
	path := w.file.Name()
	err := w.file.Close()
	w.file = nil
	if err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("keep compressed files: %w", err)
	}
	return &stored{BlobEntry: entry, path: path}, nil
}
