package edge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// maxRecordSize is the most that a route or a project record may have, in bytes.
const maxRecordSize = 64 << 10

// errBelowFloor: the bucket returned an older object than the change log named.
var errBelowFloor = errors.New("older than the change log says")

// record is one of the two small objects that change.
type record interface {
	site.Route | site.Project
}

// held is a record that the edge holds, with what it knows of its age. A read
// replaces it as a whole.
type held[T record] struct {
	key  string
	kind objectKind
	once bool // a read that fails is not tried again: it is one of a budget

	reading sync.Mutex // one read at a time, so that a slow one can't undo a later one
	etag    string     // guarded by reading

	value atomic.Pointer[T]
	floor atomic.Int64 // reads of a lower generation don't count
	// stale is set from the moment the change log names the record until it was
	// read again, and where it came from the state directory.
	stale atomic.Bool
}

// read brings the record up to date with the bucket. It returns fs.ErrNotExist
// where there is none, and errBelowFloor where what is there is too old: the
// value stays what it was then.
func (h *held[T]) read(ctx context.Context, o *origin) (*T, error) {
	h.reading.Lock()
	defer h.reading.Unlock()
	return h.readLocked(ctx, o)
}

// readOnce is read, unless somebody else has just read it.
func (h *held[T]) readOnce(ctx context.Context, o *origin) (*T, error) {
	h.reading.Lock()
	defer h.reading.Unlock()
	if v := h.value.Load(); v != nil && !h.stale.Load() {
		return v, nil
	}
	return h.readLocked(ctx, o)
}

func (h *held[T]) readLocked(ctx context.Context, o *origin) (*T, error) {
	w := want{kind: h.kind, key: h.key, opts: blob.GetOptions{IfNoneMatch: h.etag}, limit: maxRecordSize}
	if h.once {
		w.tries = 1
	}
	b, etag, err := o.get(ctx, w)
	v := h.value.Load()
	switch {
	case errors.Is(err, blob.ErrNotModified) && v != nil:
	case errors.Is(err, fs.ErrNotExist) && h.floor.Load() > 0:
		return nil, fmt.Errorf("read %s: there is none: %w", h.key, errBelowFloor)
	case err != nil:
		return nil, err
	default:
		v = new(T)
		if err := site.DecodeRecord(b, v); err != nil {
			return nil, fmt.Errorf("read %s: %w", h.key, err)
		}
		if got := keyOf(v); got != h.key {
			return nil, fmt.Errorf("read %s: what is there is %s", h.key, got)
		}
	}
	if floor := h.floor.Load(); generation(v) < floor {
		return nil, fmt.Errorf("read %s: generation %d, want %d: %w", h.key, generation(v), floor, errBelowFloor)
	}
	if etag != "" {
		h.etag = etag
	}
	h.value.Store(v)
	h.stale.Store(false)
	// A mark that came in between wants another read.
	if generation(v) < h.floor.Load() {
		h.stale.Store(true)
	}
	return v, nil
}

// readPatiently is readOnce, repeated for a short while as long as what the bucket
// has is below the floor.
func (h *held[T]) readPatiently(ctx context.Context, o *origin) (*T, error) {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		v, err := h.readOnce(ctx, o)
		if !errors.Is(err, errBelowFloor) || wait > 200*time.Millisecond {
			return v, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// mark notes that the record has changed and what a reader must see at least.
func (h *held[T]) mark(least int64) {
	for {
		old := h.floor.Load()
		if old >= least || h.floor.CompareAndSwap(old, least) {
			break
		}
	}
	if v := h.value.Load(); v == nil || generation(v) < least {
		h.stale.Store(true)
	}
}

// behind reports whether the change log has named a newer record than this.
func (h *held[T]) behind() bool {
	v := h.value.Load()
	return v != nil && generation(v) < h.floor.Load()
}

// restore puts in what the state directory had, unless there is something by
// now: that was read later. It returns what there is.
func (h *held[T]) restore(v *T) *T {
	if !h.value.CompareAndSwap(nil, v) {
		return h.value.Load()
	}
	h.stale.Store(true)
	return v
}

func generation[T record](v *T) int64 {
	switch v := any(v).(type) {
	case *site.Route:
		return v.Generation
	case *site.Project:
		return v.Generation
	}
	return 0
}

// keyOf is where a record belongs.
func keyOf[T record](v *T) string {
	switch v := any(v).(type) {
	case *site.Route:
		return site.RouteKey(v.Host)
	case *site.Project:
		return site.ProjectKey(v.ID)
	}
	return ""
}
