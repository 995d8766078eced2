package blob

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// announcedBody is a body on its way to a bucket, which ends only where it is
// what was announced: its last byte is held back until length and sha256 are
// known to be right, so that a service which checks neither keeps nothing else.
type announcedBody struct {
	body io.Reader
	size int64
	want *[32]byte

	mu   sync.Mutex // an HTTP client may still read when its answer is there
	sent int64
	hash hash.Hash
	err  error // what was wrong with the body
}

// end returns what was wrong with the body, which nobody reads any more then.
func (b *announcedBody) end() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.err
	b.body, b.err = nil, errEnded
	return err
}

var errEnded = errors.New("the request has ended")

func newAnnouncedBody(body io.Reader, size int64, want *[32]byte) *announcedBody {
	return &announcedBody{body: body, size: size, want: want, hash: sha256.New()}
}

// reader returns the body for a request, an io.Seeker where it can be read again.
func (b *announcedBody) reader() io.Reader {
	seeker, ok := b.body.(io.Seeker)
	if !ok {
		return b
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return b
	}
	return &announcedAgain{b, seeker, start}
}

func (b *announcedBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch left := b.size - b.sent; {
	case b.err != nil:
		return 0, b.err
	case left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case left == 1:
		n, b.err = b.last(p)
	default:
		n, b.err = b.body.Read(p[:min(int64(len(p)), left-1)])
		_, _ = b.hash.Write(p[:n])
		if errors.Is(b.err, io.EOF) {
			b.err = fmt.Errorf("%w: the body has %d bytes of %d", ErrContent, b.sent+int64(n), b.size)
		} else if b.err != nil {
			b.err = fmt.Errorf("read the body: %w", b.err)
		}
	}
	b.sent += int64(n)
	return n, b.err
}

// last gives the last byte out once everything has been seen.
func (b *announcedBody) last(p []byte) (int, error) {
	var end [2]byte
	n, err := fill(b.body, end[:])
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return 0, fmt.Errorf("read the body: %w", err)
	case n == 0:
		return 0, fmt.Errorf("%w: the body has %d bytes of %d", ErrContent, b.sent, b.size)
	case n == 2:
		return 0, fmt.Errorf("%w: the body has more than %d bytes", ErrContent, b.size)
	}
	_, _ = b.hash.Write(end[:1])
	if b.want != nil {
		if got := b.hash.Sum(nil); [32]byte(got) != *b.want {
			return 0, fmt.Errorf("%w: the body's sha256 is %x, not %x", ErrContent, got, *b.want)
		}
	}
	p[0] = end[0]
	return 1, nil
}

// announcedAgain is a body that a repeated request sends from its start.
type announcedAgain struct {
	*announcedBody
	seeker io.Seeker
	start  int64
}

// Seek goes to the start. It tells where the body is and where it ends, too,
// which is what an HTTP client asks of it, but goes nowhere else.
func (b *announcedAgain) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case whence == io.SeekCurrent && offset == 0:
		return b.sent, nil
	case whence == io.SeekEnd && offset == 0:
		return b.size, nil
	case whence != io.SeekStart || offset != 0:
		return 0, errors.New("a body can be read again from its start only")
	}
	if _, err := b.seeker.Seek(b.start, io.SeekStart); err != nil {
		return 0, err
	}
	b.hash.Reset()
	b.sent, b.err = 0, nil
	return 0, nil
}
