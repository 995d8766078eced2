package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"
)

// probePrefix is what the keys of [S3.ChecksUploads] begin with.
const probePrefix = "probe/"

// ChecksUploads tries whether an upload to a signed URL is kept only where it
// has the bytes that were signed. Not every service compares the checksum; one
// that takes no such URL at all is reported the same way. The error says that
// it could not be tried.
func (s *S3) ChecksUploads(ctx context.Context) (bool, error) {
	right, wrong := []byte("the bytes that were signed"), []byte("the bytes that were not so")
	key := probePrefix + rand.Text()
	u, err := s.SignPut(ctx, key, int64(len(right)), sha256.Sum256(right), 5*time.Minute)
	if err != nil {
		return false, err
	}
	wrongStatus, err := s.upload(ctx, u, wrong)
	if err != nil {
		return false, err
	}
	rightStatus, err := s.upload(ctx, u, right)
	if err != nil {
		return false, err
	}
	if wrongStatus/100 == 2 || rightStatus/100 == 2 {
		if err := s.Delete(ctx, key); err != nil {
			return false, err
		}
	}
	return wrongStatus/100 == 4 && rightStatus/100 == 2, nil
}

// upload sends bytes to a signed URL and returns the status, which is not one
// of a failure of the service.
func (s *S3) upload(ctx context.Context, u SignedURL, body []byte) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, u.Method, u.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range u.Headers {
		req.Header.Set(name, value)
	}
	resp, err := (&http.Client{Transport: s.transport}).Do(req)
	if err != nil {
		return 0, fmt.Errorf("try an upload to a signed URL: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return 0, fmt.Errorf("try an upload to a signed URL: the service answers %s", resp.Status)
	}
	return resp.StatusCode, nil
}
