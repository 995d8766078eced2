package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// Get opens an object by one request. The body ends with io.ErrUnexpectedEOF
// where the connection broke off.
func (s *S3) Get(ctx context.Context, key string, opts GetOptions) (*Object, error) {
	o, err := s.get(ctx, key, opts)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return o, nil
}

func (s *S3) get(ctx context.Context, key string, opts GetOptions) (*Object, error) {
	if err := checkRead(ctx, key); err != nil {
		return nil, err
	}
	if opts.Offset < 0 || opts.Length < 0 {
		return nil, fmt.Errorf("a range of %d bytes from %d", opts.Length, opts.Offset)
	}
	conditions := make(http.Header, 2)
	if opts.IfNoneMatch != "" {
		conditions["If-None-Match"] = []string{quoteETag(opts.IfNoneMatch)}
	}
	ranged := opts.Offset > 0 || opts.Length > 0
	if ranged {
		conditions["Range"] = []string{rangeHeader(opts)}
	}
	resp, err := s.read(ctx, http.MethodGet, key, conditions)
	if ranged && errorStatus(err) == http.StatusRequestedRangeNotSatisfiable {
		return s.behind(ctx, key, opts)
	}
	if err != nil {
		return nil, s3Error(err)
	}
	o := &Object{Info: infoOfAnswer(key, resp), Body: resp.Body}
	switch total, err := totalSize(resp.Header.Get("Content-Range")); {
	case resp.ContentLength < 0:
		return nil, errors.Join(errNoLength, resp.Body.Close())
	case err != nil:
		return nil, errors.Join(err, resp.Body.Close())
	case total >= 0:
		o.Size = total
	case opts.Offset > 0:
		return nil, errors.Join(errors.New("the service does not know ranges"), resp.Body.Close())
	case opts.Length > 0:
		o.Body = cutBody{io.LimitReader(resp.Body, opts.Length), resp.Body}
	}
	return o, nil
}

var errNoLength = errors.New("the answer has no length")

// behind answers for a range that begins behind the object's end.
func (s *S3) behind(ctx context.Context, key string, opts GetOptions) (*Object, error) {
	info, err := s.head(ctx, key)
	if err != nil {
		return nil, err
	}
	if info.ETag == opts.IfNoneMatch {
		return nil, ErrNotModified
	}
	if opts.Offset < info.Size {
		return nil, errors.New("the object was replaced while it was read")
	}
	return &Object{Info: info, Body: http.NoBody}, nil
}

// Stat describes an object by reading its first byte: an answer to HEAD has no
// body that says what it is that does not exist, and a bucket that is gone must
// not look like a missing object.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	o, err := s.get(ctx, key, GetOptions{Length: 1})
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	// What comes is of no interest, and neither is how it ends; but a connection
	// is used again only where it was read.
	_, _ = io.CopyN(io.Discard, o.Body, 1)
	_ = o.Body.Close()
	return o.Info, nil
}

// head describes an object that has just been there.
func (s *S3) head(ctx context.Context, key string) (Info, error) {
	resp, err := s.read(ctx, http.MethodHead, key, nil)
	if errorStatus(err) == http.StatusNotFound {
		return Info{}, fs.ErrNotExist
	}
	if err != nil {
		return Info{}, s3Error(err)
	}
	if err := resp.Body.Close(); err != nil {
		return Info{}, err
	}
	if resp.ContentLength < 0 {
		return Info{}, errNoLength
	}
	return infoOfAnswer(key, resp), nil
}

func infoOfAnswer(key string, resp *http.Response) Info {
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified")) // unset where there is none
	return Info{Key: key, Size: resp.ContentLength, ETag: bareETag(resp.Header.Get("Etag")), Modified: modified}
}

// bareETag is an ETag without its quotes, and quoteETag the header of it. A
// proxy that marks it as weak means the same object.
func bareETag(header string) string { return strings.Trim(strings.TrimPrefix(header, "W/"), `"`) }

func quoteETag(etag string) string { return `"` + etag + `"` }

func rangeHeader(o GetOptions) string {
	header := "bytes=" + strconv.FormatInt(o.Offset, 10) + "-"
	if o.Length > 0 && o.Offset <= math.MaxInt64-o.Length {
		header += strconv.FormatInt(o.Offset+o.Length-1, 10)
	}
	return header
}

// totalSize is the size of the whole object in a Content-Range; -1 where there
// is no such header.
func totalSize(contentRange string) (int64, error) {
	if contentRange == "" {
		return -1, nil
	}
	_, total, _ := strings.Cut(contentRange, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil || size < 0 {
		return 0, fmt.Errorf("the answer's range is %q", contentRange)
	}
	return size, nil
}

// cutBody is the beginning of a body.
type cutBody struct {
	io.Reader
	body io.Closer
}

func (b cutBody) Close() error { return b.body.Close() }
