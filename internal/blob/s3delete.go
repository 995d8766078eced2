package blob

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// deleteBatch is how many objects S3 deletes by one request.
const deleteBatch = 1000

// Delete removes objects, up to 1,000 by one request. No key is touched where
// one of them is none.
func (s *S3) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkRead(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	for batch := range slices.Chunk(keys, deleteBatch) {
		if err := s.deleteAll(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *S3) deleteAll(ctx context.Context, keys []string) error {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		objects[i].Key = &keys[i]
	}
	in := &s3.DeleteObjectsInput{Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)}}
	out, err := s.client().DeleteObjects(ctx, in, func(o *s3.Options) {
		// The one checksum that every service knows for this request.
		o.APIOptions = append(o.APIOptions, smithyhttp.AddContentChecksumMiddleware)
	})
	if err != nil {
		return fmt.Errorf("delete %s and %d more: %w", keys[0], len(keys)-1, s3Error(err))
	}
	for _, e := range out.Errors {
		if aws.ToString(e.Code) != "NoSuchKey" {
			return fmt.Errorf("delete %s: %w", aws.ToString(e.Key), &smithy.GenericAPIError{Code: aws.ToString(e.Code), Message: aws.ToString(e.Message)})
		}
	}
	return nil
}
