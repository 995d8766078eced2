// Package blob stores objects in a bucket: a directory, or any service that
// speaks S3. All implementations pass the suite in blobtest.
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// A key that does not exist is fs.ErrNotExist in every implementation. The
// other conditions that callers tell apart:
var (
	// ErrNotModified: a conditional read found the object unchanged.
	ErrNotModified = errors.New("not modified")
	// ErrPrecondition: a conditional write found another object than it named.
	ErrPrecondition = errors.New("precondition failed")
	// ErrContent: the body's length or sha256 is not what was announced.
	ErrContent = errors.New("content does not match what was announced")
)

// Store is a bucket. Keys are slash-separated, relative, and have no empty,
// "." or ".." segment; any other is refused with [ErrKey]. No object may be
// called "a" beside one that is called "a/b": not every bucket can hold both.
// Every call may be made by many goroutines at once.
type Store interface {
	// Get opens an object. It returns fs.ErrNotExist where there is none and
	// ErrNotModified where GetOptions.IfNoneMatch is its ETag. The caller closes
	// the body.
	Get(ctx context.Context, key string, opts GetOptions) (*Object, error)

	// Stat describes an object without opening it, or fs.ErrNotExist.
	Stat(ctx context.Context, key string) (Info, error)

	// Put writes an object of exactly size bytes, all or nothing: readers see
	// the old object or the new one. When it returns, the object survives a
	// loss of power. ErrPrecondition where a condition does not hold,
	// ErrContent where the body is not as announced.
	Put(ctx context.Context, key string, body io.Reader, size int64, opts PutOptions) (Info, error)

	// Delete removes objects; a key that does not exist is no error.
	Delete(ctx context.Context, keys ...string) error

	// List yields the objects whose keys begin with prefix, in the order of
	// their bytes, from the first key after opts.After.
	List(ctx context.Context, prefix string, opts ListOptions) iter.Seq2[Info, error]

	// SignPut returns a URL that takes a PUT of exactly that many bytes with
	// that sha256, until it expires.
	SignPut(ctx context.Context, key string, size int64, sha256 [32]byte, valid time.Duration) (SignedURL, error)

	// SignGet returns a URL that reads one object, until it expires.
	SignGet(ctx context.Context, key string, valid time.Duration) (SignedURL, error)

	// Sync returns when everything that was uploaded through signed URLs
	// before the call survives a loss of power.
	Sync(ctx context.Context) error

	// Identity names the bucket, for pools of state that is kept for it.
	Identity() string
}

// Info describes an object. Objects of other bytes have another ETag; a write of
// the same bytes may keep it. Modified may be unset in what Put returns.
type Info struct {
	Key      string
	Size     int64
	ETag     string
	Modified time.Time
}

// Object is an open object. Body holds the range that was asked for; Info.Size
// is the whole object's.
type Object struct {
	Info
	Body io.ReadCloser
}

// GetOptions are the conditions of a read.
type GetOptions struct {
	IfNoneMatch string // an ETag
	Offset      int64  // first byte
	Length      int64  // 0: to the end. A range is cut at the end, one behind it is empty
}

// PutOptions are the conditions of a write.
type PutOptions struct {
	IfMatch     string    // write only over the object that has this ETag, not where there is none
	IfNoneMatch bool      // write only where there is no object
	SHA256      *[32]byte // refuse other bytes
}

// ListOptions say where a listing begins.
type ListOptions struct {
	After string // a key; the listing begins behind it
}

// SignedURL is what a client needs to reach an object without credentials. URL
// may be relative to the control plane's own address.
type SignedURL struct {
	Method  string
	URL     string
	Headers map[string]string
	Expires time.Time
}
