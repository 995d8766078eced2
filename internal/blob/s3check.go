package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Why a bucket can't be used, whatever is tried: somebody has to change
// something. Any other error may pass.
var (
	// ErrNoBucket: the service has no bucket of that name.
	ErrNoBucket = errors.New("there is no such bucket")
	// ErrForbidden: the key is missing or wrong, or may not read the bucket.
	ErrForbidden = errors.New("access is denied")
	// ErrRegion: the bucket is in another region.
	ErrRegion = errors.New("the bucket is in another region")
	// ErrConditions: the service does not know conditional writes.
	ErrConditions = errors.New("the service writes over an object where it is told not to (If-None-Match)")
)

// Check reads from the bucket once. The error is one line.
func (s *S3) Check(ctx context.Context) error {
	if _, err := s.client().key.Retrieve(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: no key was given, and the SDK finds none", ErrForbidden)
	}
	// Not a HEAD, whose answer could not say what is wrong.
	_, err := s.client().ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &s.bucket, MaxKeys: aws.Int32(1)})
	if err == nil {
		return nil
	}
	message := err.Error()
	if answer := smithy.APIError(nil); errors.As(err, &answer) {
		message = fmt.Sprintf("%s: %s", answer.ErrorCode(), answer.ErrorMessage())
	}
	switch code := errorCode(err); {
	case code == "NoSuchBucket":
		return ErrNoBucket
	case code == "PermanentRedirect", code == "AuthorizationHeaderMalformed", code == "IllegalLocationConstraintException", code == "InvalidRegionName":
		if region := answeredRegion(err); region != "" {
			message = "it is in " + region
		}
		return fmt.Errorf("%w than %s: %s", ErrRegion, s.config.Region, message)
	case errorStatus(err) == http.StatusForbidden, errorStatus(err) == http.StatusUnauthorized,
		code == "XAdminUserNotFound": // an unknown key, as versitygw calls it
		return fmt.Errorf("%w: %s", ErrForbidden, message)
	}
	return fmt.Errorf("list the bucket: %w", err)
}

// CheckWrites writes an object, tries to write over it, and deletes it. The error
// is one line.
func (s *S3) CheckWrites(ctx context.Context) error {
	key, body := probePrefix+rand.Text(), []byte("mini-vercel tries to write")
	put := func() error {
		_, err := s.put(ctx, key, bytes.NewReader(body), int64(len(body)), PutOptions{IfNoneMatch: true})
		return err
	}
	if err := put(); err != nil {
		return refused("write an object", err)
	}
	again := put()
	if err := s.deleteAll(ctx, []string{key}); err != nil {
		return refused("delete an object", err)
	}
	switch {
	case again == nil:
		return ErrConditions
	case !errors.Is(again, ErrPrecondition):
		return refused("write an object on a condition", again)
	}
	return nil
}

// refused tells what a key may not do from what did not work at the moment.
func refused(what string, err error) error {
	if status := errorStatus(err); status != http.StatusForbidden && status != http.StatusUnauthorized && errorCode(err) != "AccessDenied" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %s", ErrForbidden, what, errorCode(err))
}

// answeredRegion is where the service says that the bucket is.
func answeredRegion(err error) string {
	if answer := (*smithyhttp.ResponseError)(nil); errors.As(err, &answer) && answer.Response != nil {
		return answer.Response.Header.Get("X-Amz-Bucket-Region")
	}
	return ""
}
