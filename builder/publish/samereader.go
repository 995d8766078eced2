package publish

import (
	"crypto/sha256"
	"hash"
	"io"
	"os"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// sameReader reads a file whose bytes must be those that were hashed. What ends
// with other bytes is a [*ChangedError] in place of its last piece, so that
// nobody takes it for whole.
type sameReader struct {
	*os.File
	file *file
	want site.Hash
	sum  hash.Hash
	read int64
	done bool
}

func newSameReader(in *os.File, f *file, want site.Hash) *sameReader {
	return &sameReader{File: in, file: f, want: want, sum: sha256.New()}
}

func (r *sameReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	r.sum.Write(p[:n])
	r.read += int64(n)
	if r.read > r.file.size {
		return 0, &ChangedError{r.file.name}
	}
	if (err == io.EOF || r.read == r.file.size) && !r.done {
		r.done = true
		if site.Hash(r.sum.Sum(nil)) != r.want {
			return 0, &ChangedError{r.file.name}
		}
	}
	return n, err
}

// WriteTo is hidden: the system would copy the bytes unseen.
func (r *sameReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}
