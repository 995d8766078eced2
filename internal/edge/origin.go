package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// origin is the bucket as the edge sees it: every read has a deadline and is
// measured.
type origin struct {
	store   blob.Store
	pace    atomic.Pointer[Pace]
	metrics *Metrics
	slots   chan struct{} // reads of chunks at once, and so the memory of unfinished ones
	// down is set while the change log can't be read: what is held may be old.
	down atomic.Bool
}

// chunkReads is how many chunks are read from the bucket at once.
const chunkReads = 128

func newOrigin(c *Config, m *Metrics) *origin {
	o := &origin{store: c.Store, metrics: m, slots: make(chan struct{}, chunkReads)}
	o.pace.Store(&c.Pace)
	return o
}

// read returns a whole object of at most limit bytes and its ETag. A failure is
// never fs.ErrNotExist unless the bucket says so.
func (o *origin) read(ctx context.Context, kind objectKind, key, ifNoneMatch string, limit int64) ([]byte, string, error) {
	return o.get(ctx, kind, key, blob.GetOptions{IfNoneMatch: ifNoneMatch}, limit)
}

// readRange returns exactly length bytes from offset.
func (o *origin) readRange(ctx context.Context, kind objectKind, key string, offset, length int64) ([]byte, error) {
	b, _, err := o.get(ctx, kind, key, blob.GetOptions{Offset: offset, Length: length}, length)
	if err == nil && int64(len(b)) != length {
		return nil, fmt.Errorf("read %s: got %d of %d bytes at %d", key, len(b), length, offset)
	}
	return b, err
}

func (o *origin) get(ctx context.Context, kind objectKind, key string, opts blob.GetOptions, limit int64) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.pace.Load().ReadTimeout)
	defer cancel()
	if kind == kindChunk { // what is small, and what changes, never waits behind contents
		select {
		case o.slots <- struct{}{}:
			defer func() { <-o.slots }()
		case <-ctx.Done():
			o.metrics.originErrors[kind].Inc()
			return nil, "", fmt.Errorf("read %s: all of %d reads are busy: %w", key, chunkReads, ctx.Err())
		}
	}
	start := time.Now()
	b, etag, err := o.fetch(ctx, key, opts, limit)
	o.metrics.originReads[kind].Observe(time.Since(start).Seconds())
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, blob.ErrNotModified) {
		o.metrics.originErrors[kind].Inc()
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	return b, etag, err
}

func (o *origin) fetch(ctx context.Context, key string, opts blob.GetOptions, limit int64) ([]byte, string, error) {
	object, err := o.store.Get(ctx, key, opts)
	if err != nil {
		return nil, "", err
	}
	defer object.Body.Close()
	// A read that hangs ends with its context, whatever the store's body does.
	stop := context.AfterFunc(ctx, func() { object.Body.Close() })
	defer stop()
	size := object.Size
	if opts.Length > 0 {
		size = min(opts.Length, max(object.Size-opts.Offset, 0))
	}
	if size > limit {
		return nil, "", fmt.Errorf("has %d bytes, the most is %d", size, limit)
	}
	if opts.Length > 0 {
		b := make([]byte, size) // of a chunk: kept as it is, so not a byte more
		_, err = io.ReadFull(object.Body, b)
		return b, object.ETag, err
	}
	var buf bytes.Buffer
	buf.Grow(int(size) + bytes.MinRead)
	_, err = buf.ReadFrom(io.LimitReader(object.Body, limit))
	return buf.Bytes(), object.ETag, err
}
