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
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
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
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}
	if opts.IfNoneMatch != "" {
		in.IfNoneMatch = aws.String(quoteETag(opts.IfNoneMatch))
	}
	ranged := opts.Offset > 0 || opts.Length > 0
	if ranged {
		in.Range = aws.String(rangeHeader(opts))
	}
	out, err := s.client.GetObject(ctx, in)
	if ranged && errorStatus(err) == http.StatusRequestedRangeNotSatisfiable {
		return s.behind(ctx, key, opts)
	}
	if err != nil {
		return nil, s3Error(err)
	}
	info := infoOfS3(key, out.ContentLength, out.ETag, out.LastModified)
	body := out.Body
	switch total, err := totalSize(aws.ToString(out.ContentRange)); {
	case out.ContentLength == nil:
		err = errors.New("the answer has no length")
		fallthrough
	case err != nil:
		return nil, errors.Join(err, body.Close())
	case total >= 0:
		info.Size = total
	case opts.Offset > 0:
		return nil, errors.Join(errors.New("the service does not know ranges"), body.Close())
	case opts.Length > 0:
		body = cutBody{io.LimitReader(out.Body, opts.Length), out.Body}
	}
	return &Object{Info: info, Body: body}, nil
}

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

// Stat describes an object by one request; of one that is missing, by two.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	info, err := s.stat(ctx, key)
	if err != nil {
		return Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	return info, nil
}

func (s *S3) stat(ctx context.Context, key string) (Info, error) {
	if err := checkRead(ctx, key); err != nil {
		return Info{}, err
	}
	info, err := s.head(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	// An answer to HEAD has no body that says what it is that does not exist. A
	// bucket that is gone must not look like a missing object.
	o, err := s.get(ctx, key, GetOptions{Length: 1})
	if err != nil {
		return Info{}, err
	}
	return o.Info, o.Body.Close()
}

// head describes an object. Its fs.ErrNotExist may also be the bucket's.
func (s *S3) head(ctx context.Context, key string) (Info, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if errorStatus(err) == http.StatusNotFound {
		return Info{}, fs.ErrNotExist
	}
	if err != nil {
		return Info{}, s3Error(err)
	}
	if out.ContentLength == nil {
		return Info{}, errors.New("the answer has no length")
	}
	return infoOfS3(key, out.ContentLength, out.ETag, out.LastModified), nil
}

func infoOfS3(key string, size *int64, etag *string, modified *time.Time) Info {
	return Info{Key: key, Size: aws.ToInt64(size), ETag: bareETag(aws.ToString(etag)), Modified: aws.ToTime(modified)}
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
