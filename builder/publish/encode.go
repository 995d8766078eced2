package publish

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

const (
	brotliFast = 5  // for everything
	brotliBest = 11 // for what is served most, while there is time: some 50 times slower
	gzipLevel  = 6

	// Browsers need not take a larger window, RFC 9659 section 3.
	zstdWindow = 8 << 20
)

// encoders is one goroutine's set of encoders, which are used again for every
// file: making one costs more than most files.
type encoders struct {
	out     spoolWriter
	fast    *brotli.Writer
	best    *brotli.Writer // made when it is needed
	zstd    *zstd.Encoder
	gzip    *gzip.Writer
	buf     []byte
	zstdBuf []byte
}

func newEncoders(s *spool) (*encoders, error) {
	z, err := newZstd(zstd.SpeedBestCompression)
	if err != nil {
		return nil, err
	}
	g, err := gzip.NewWriterLevel(io.Discard, gzipLevel)
	if err != nil {
		return nil, fmt.Errorf("make a gzip encoder: %w", err)
	}
	return &encoders{
		out:  spoolWriter{spool: s},
		fast: brotli.NewWriterLevel(io.Discard, brotliFast),
		zstd: z,
		gzip: g,
		buf:  make([]byte, 64<<10),
	}, nil
}

func newZstd(level zstd.EncoderLevel) (*zstd.Encoder, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	return z, nil
}

func (e *encoders) close() {
	e.out.discard()
	e.zstd.Close()
}

// hurry takes a quicker zstd level from now on, which costs a fifth.
func (e *encoders) hurry() error {
	quick, err := newZstd(zstd.SpeedDefault)
	if err != nil {
		return err
	}
	e.zstd.Close()
	e.zstd = quick
	return nil
}

// encode compresses size bytes: those of whole, where they are in memory, else
// those of in. It returns nil where the variant would have more than most bytes.
func (e *encoders) encode(enc site.Encoding, in io.Reader, whole []byte, size, most int64) (*stored, error) {
	e.out.reset(most)
	var err error
	switch enc {
	case site.Brotli:
		e.fast.Reset(&e.out)
		err = e.copy(e.fast, in, time.Time{})
	case site.Gzip:
		e.gzip.Reset(&e.out)
		err = e.copy(e.gzip, in, time.Time{})
	case site.Zstd:
		if whole != nil { // in one go, which needs no history
			e.zstdBuf = e.zstd.EncodeAll(whole, e.zstdBuf[:0])
			_, err = e.out.Write(e.zstdBuf)
			break
		}
		e.zstd.ResetContentSize(&e.out, size)
		err = e.copy(e.zstd, in, time.Time{})
	}
	return e.finish(err)
}

// errLate ends an improvement for which there is no time left.
var errLate = errors.New("the time for compression is over")

// encodeBest compresses with the best brotli level. It returns nil where the
// variant would have more than most bytes or is not done by the deadline.
func (e *encoders) encodeBest(in io.Reader, most int64, deadline time.Time) (*stored, error) {
	e.out.reset(most)
	if e.best == nil {
		e.best = brotli.NewWriterLevel(io.Discard, brotliBest)
	}
	e.best.Reset(&e.out)
	return e.finish(e.copy(e.best, in, deadline))
}

func (e *encoders) copy(w io.WriteCloser, in io.Reader, deadline time.Time) error {
	for {
		n, err := in.Read(e.buf)
		if n > 0 {
			if _, err := w.Write(e.buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF:
			return w.Close()
		case err != nil:
			return err
		case !deadline.IsZero() && time.Now().After(deadline):
			return errLate
		}
	}
}

func (e *encoders) finish(err error) (*stored, error) {
	if err == nil {
		return e.out.finish()
	}
	e.out.discard()
	if errors.Is(err, errNoSaving) || errors.Is(err, errLate) {
		return nil, nil
	}
	return nil, err
}
