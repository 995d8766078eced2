package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// origin is the bucket as the edge sees it. Every read has a deadline and is
// measured; what may pass is tried again, what takes longer than reads of its
// kind do is asked for twice, and what keeps failing is not asked for at all
// for a while.
type origin struct {
	store   blob.Store
	pace    atomic.Pointer[Pace]
	metrics *Metrics
	tasks   *tasks
	random  func() float64 // at least 0, less than 1
	slots   chan struct{}  // reads of chunks at once, and so the memory of unfinished ones
	// down is set while the change log can't be read: what is held may be old.
	down  atomic.Bool
	kinds [kindCount]originKind
}

// originKind is what the origin knows about the reads of one kind of object.
type originKind struct {
	breaker breaker
	hedges  quota    // of second reads
	whole   quantile // of the times that whole reads took
	opening quantile // of the times until a stream's first byte could be read
}

// chunkReads is how many chunks are read from the bucket at once.
const chunkReads = 128

func newOrigin(c *Config, m *Metrics, t *tasks) *origin {
	o := &origin{store: c.Store, metrics: m, tasks: t, random: rand.Float64, slots: make(chan struct{}, chunkReads)}
	o.pace.Store(&c.Pace)
	return o
}

// want says what is to be read from the bucket.
type want struct {
	kind  objectKind
	key   string
	opts  blob.GetOptions
	limit int64 // the most bytes that the answer may have
	tries int   // 0: originTries

	patience time.Duration // of one attempt, until the first byte
}

// read returns a whole object of at most limit bytes and its ETag. A failure is
// never fs.ErrNotExist unless the bucket says so.
func (o *origin) read(ctx context.Context, kind objectKind, key, ifNoneMatch string, limit int64) ([]byte, string, error) {
	return o.get(ctx, want{kind: kind, key: key, opts: blob.GetOptions{IfNoneMatch: ifNoneMatch}, limit: limit})
}

// readRange returns exactly length bytes from offset.
func (o *origin) readRange(ctx context.Context, kind objectKind, key string, offset, length int64) ([]byte, error) {
	b, _, err := o.get(ctx, want{kind: kind, key: key, opts: blob.GetOptions{Offset: offset, Length: length}, limit: length})
	return b, err
}

// get reads what is wanted. All its attempts together end after the time of one
// read, to which comes what the bytes may take at the least rate.
func (o *origin) get(ctx context.Context, w want) ([]byte, string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.pace.Load().ReadTimeout+transferTime(w.limit))
	defer cancel()
	free, err := o.slot(ctx, w.kind)
	if err != nil {
		return nil, "", o.finished(ctx, w, err)
	}
	defer free()
	w.patience = o.attemptTime(ctx)
	start := time.Now()
	r, err := retried(ctx, o, w, func(ctx context.Context) (fetched, error) {
		return hedged(ctx, o, w.kind, &o.kinds[w.kind].whole, func(ctx context.Context, done context.CancelFunc) (fetched, error) {
			defer done()
			return o.fetch(ctx, w)
		}, func(fetched) {})
	})
	o.metrics.originReads[w.kind].Observe(time.Since(start).Seconds())
	return r.bytes, r.etag, o.finished(ctx, w, err)
}

// slot waits until one more read of that kind may be under way: what is small,
// and what changes, never waits behind contents.
func (o *origin) slot(ctx context.Context, kind objectKind) (free func(), err error) {
	if kind != kindChunk {
		return func() {}, nil
	}
	select {
	case o.slots <- struct{}{}:
		return func() { <-o.slots }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("all of %d reads are busy: %w", chunkReads, context.Cause(ctx))
	}
}

// finished counts how a read ended, and says what was read where it failed.
func (o *origin) finished(ctx context.Context, w want, err error) error {
	result := readResultOf(ctx, err)
	o.metrics.originResults[w.kind][result].Inc()
	if result == readOK || result == readNotModified || result == readNotFound {
		return err
	}
	return fmt.Errorf("read %s: %w", w.key, err)
}

// fetched is an object, or a part of one, that was read.
type fetched struct {
	bytes []byte
	etag  string
}

// errSize: the object is larger than anything of its kind may be.
var errSize = errors.New("larger than it may be")

// fetch is one attempt.
func (o *origin) fetch(ctx context.Context, w want) (fetched, error) {
	a, err := o.open(ctx, w)
	if err != nil {
		return fetched{}, err
	}
	defer a.Close()
	size := a.object.Size
	if w.opts.Length > 0 {
		size = min(w.opts.Length, max(size-w.opts.Offset, 0))
	}
	if size > w.limit {
		return fetched{}, fmt.Errorf("%w: it has %d bytes, the most is %d", errSize, size, w.limit)
	}
	var b []byte
	if w.opts.Length > 0 {
		b = make([]byte, size) // of a chunk: kept as it is, so not a byte more
		n, err := io.ReadFull(a, b)
		if int64(n) < w.opts.Length {
			return fetched{}, fmt.Errorf("got %d of %d bytes at %d: %w", n, w.opts.Length, w.opts.Offset, short(err))
		}
	} else {
		var buf bytes.Buffer
		buf.Grow(int(size) + bytes.MinRead)
		if _, err = buf.ReadFrom(io.LimitReader(a, w.limit+1)); err != nil || int64(buf.Len()) != size {
			return fetched{}, fmt.Errorf("got %d of %d bytes: %w", buf.Len(), size, short(err))
		}
		b = buf.Bytes()
	}
	return fetched{b, a.object.ETag}, nil
}

// short is why fewer bytes came than were announced.
func short(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readResult is how a read of the bucket ended.
type readResult uint8

const (
	readOK readResult = iota
	readNotModified
	readNotFound
	readTimeout
	readRefused // by the breaker
	readCanceled
	readError
	readResultCount
)

func (r readResult) String() string {
	return [...]string{"ok", "not_modified", "not_found", "timeout", "refused", "canceled", "error"}[r]
}

func readResultOf(ctx context.Context, err error) readResult {
	switch {
	case err == nil:
		return readOK
	case errors.Is(err, blob.ErrNotModified):
		return readNotModified
	case errors.Is(err, fs.ErrNotExist):
		return readNotFound
	case errors.Is(err, errBreaker):
		return readRefused
	case errors.Is(err, errSlow), errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return readTimeout
	case ctx.Err() != nil:
		return readCanceled
	}
	return readError
}
