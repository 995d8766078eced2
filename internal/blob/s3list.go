package blob

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// List asks for page after page, as far as the caller reads. Objects that
// others have put there under what is no key are left out.
func (s *S3) List(ctx context.Context, prefix string, opts ListOptions) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		fail := func(err error) { yield(Info{}, fmt.Errorf("list %s: %w", prefix, err)) }
		if err := checkPrefix(prefix); err != nil {
			fail(err)
			return
		}
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(prefix)}
		if after := validPrefix(opts.After); after != "" {
			in.StartAfter = aws.String(after)
		}
		for {
			if err := ctx.Err(); err != nil {
				fail(err)
				return
			}
			page, err := s.client().ListObjectsV2(ctx, in)
			if err != nil {
				fail(s3Error(err))
				return
			}
			for i := range page.Contents {
				o := &page.Contents[i]
				key := aws.ToString(o.Key)
				if key <= opts.After || !strings.HasPrefix(key, prefix) || CheckKey(key) != nil {
					continue
				}
				if !yield(Info{Key: key, Size: aws.ToInt64(o.Size), ETag: bareETag(aws.ToString(o.ETag)), Modified: aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			if page.NextContinuationToken == nil || aws.ToString(page.NextContinuationToken) == aws.ToString(in.ContinuationToken) {
				fail(fmt.Errorf("the service does not say where the next page begins"))
				return
			}
			in.ContinuationToken = page.NextContinuationToken
		}
	}
}

// validPrefix is what can be sent of a position that is not valid UTF-8, which
// no key is.
func validPrefix(s string) string {
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			return s[:i]
		}
	}
	return s
}
