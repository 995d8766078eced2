package blob

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SignPut returns a URL of the service itself. It binds the upload to its
// length and its sha256, as far as the service compares them: see [S3.Refuses].
func (s *S3) SignPut(ctx context.Context, key string, size int64, sha256 [32]byte, valid time.Duration) (SignedURL, error) {
	err := checkRead(ctx, key)
	if err == nil && size < 0 {
		err = fmt.Errorf("a size of %d bytes", size)
	}
	if err != nil {
		return SignedURL{}, fmt.Errorf("sign put %s: %w", key, err)
	}
	expires := time.Now().Add(valid)
	signed, err := s.client().presigner.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, ContentLength: &size, ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sha256[:])),
	}, s3.WithPresignExpires(valid))
	if err != nil {
		return SignedURL{}, fmt.Errorf("sign put %s: %w", key, err)
	}
	return signedURL(signed, expires), nil
}

// SignGet returns a URL of the service itself.
func (s *S3) SignGet(ctx context.Context, key string, valid time.Duration) (SignedURL, error) {
	if err := checkRead(ctx, key); err != nil {
		return SignedURL{}, fmt.Errorf("sign get %s: %w", key, err)
	}
	expires := time.Now().Add(valid)
	signed, err := s.client().presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}, s3.WithPresignExpires(valid))
	if err != nil {
		return SignedURL{}, fmt.Errorf("sign get %s: %w", key, err)
	}
	return signedURL(signed, expires), nil
}

// signedURL leaves out the headers that every client sends by itself, and which
// a browser would refuse to be given.
func signedURL(signed *v4.PresignedHTTPRequest, expires time.Time) SignedURL {
	u := SignedURL{Method: signed.Method, URL: signed.URL, Headers: map[string]string{}, Expires: expires.UTC().Truncate(time.Second)}
	for name := range signed.SignedHeader {
		if name != "Host" && name != http.CanonicalHeaderKey("Content-Length") {
			u.Headers[name] = signed.SignedHeader.Get(name)
		}
	}
	return u
}
