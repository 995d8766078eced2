package blob

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxBufferedBody is the largest body that is read and checked before it is
// sent; a larger one is checked on the way.
const maxBufferedBody = 1 << 20

// Put writes an object by one request, however large: parts would make an
// object whose ETag and checksum say nothing of its bytes.
func (s *S3) Put(ctx context.Context, key string, body io.Reader, size int64, opts PutOptions) (Info, error) {
	info, err := s.put(ctx, key, body, size, opts)
	if err != nil {
		return Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	return info, nil
}

func (s *S3) put(ctx context.Context, key string, body io.Reader, size int64, opts PutOptions) (Info, error) {
	if err := checkRead(ctx, key); err != nil {
		return Info{}, err
	}
	if size < 0 {
		return Info{}, fmt.Errorf("a size of %d bytes", size)
	}
	if opts.IfNoneMatch && opts.IfMatch != "" {
		return Info{}, errors.New("a write can't ask for an object and for its absence")
	}
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, ContentLength: &size, ContentType: aws.String("application/octet-stream")}
	if opts.IfMatch != "" {
		in.IfMatch = aws.String(quoteETag(opts.IfMatch))
	}
	if opts.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	if opts.SHA256 != nil {
		in.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(opts.SHA256[:]))
	}
	if size <= maxBufferedBody {
		var buffer bytes.Buffer
		buffer.Grow(int(size))
		if err := copyBody(ctx, &buffer, body, size, opts.SHA256); err != nil {
			return Info{}, err
		}
		if opts.IfMatch != "" || opts.IfNoneMatch {
			return s.sendConditional(ctx, in, buffer.Bytes())
		}
		in.Body = bytes.NewReader(buffer.Bytes())
		return s.send(ctx, in)
	}
	announced := newAnnouncedBody(body, size, opts.SHA256)
	in.Body = announced.reader()
	info, err := s.send(ctx, in)
	if wrong := announced.end(); wrong != nil {
		return Info{}, wrong // why the request failed
	}
	return info, err
}

// send makes the request of a write. One that has a condition, or whose body
// can't be read again, is made once.
func (s *S3) send(ctx context.Context, in *s3.PutObjectInput) (Info, error) {
	conditional := in.IfMatch != nil || in.IfNoneMatch != nil
	_, again := in.Body.(io.Seeker)
	out, err := s.client().PutObject(ctx, in, func(o *s3.Options) {
		// The SDK would read the body once more, before it is sent, to sign its hash.
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		if conditional || !again {
			o.Retryer = aws.NopRetryer{}
		}
	})
	if err == nil {
		return Info{Key: *in.Key, Size: *in.ContentLength, ETag: bareETag(aws.ToString(out.ETag))}, nil
	}
	if conditional && conditionFailed(err, in.IfMatch != nil) {
		return Info{}, ErrPrecondition
	}
	return Info{}, s3Error(err)
}

// sendConditional repeats a write that failed on the way. Its first attempt may
// have been kept, though no answer came: a later one that is refused finds the
// very bytes there then.
func (s *S3) sendConditional(ctx context.Context, in *s3.PutObjectInput, body []byte) (Info, error) {
	for attempt := 1; ; attempt++ {
		in.Body = bytes.NewReader(body)
		info, err := s.send(ctx, in)
		if errors.Is(err, ErrPrecondition) && attempt > 1 {
			return s.kept(ctx, *in.Key, body)
		}
		if err == nil || attempt >= s.maxAttempts || !s.retryer.IsErrorRetryable(err) {
			return info, err
		}
		if sleep(ctx, attempt) != nil {
			return Info{}, err
		}
	}
}

// kept returns what is there where it has those bytes, else ErrPrecondition.
func (s *S3) kept(ctx context.Context, key string, body []byte) (Info, error) {
	o, err := s.get(ctx, key, GetOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, ErrPrecondition
	}
	if err != nil {
		return Info{}, err
	}
	defer o.Body.Close()
	there, err := io.ReadAll(io.LimitReader(o.Body, int64(len(body))+1))
	if err != nil {
		return Info{}, err
	}
	if !bytes.Equal(there, body) {
		return Info{}, ErrPrecondition
	}
	return o.Info, nil
}

// conditionFailed reports whether a write was refused for what is there: 409 is
// another write of that key at this moment, 404 that nothing is there to be
// replaced.
func conditionFailed(err error, replaces bool) bool {
	switch errorStatus(err) {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return true
	}
	return replaces && errorCode(err) == "NoSuchKey"
}
