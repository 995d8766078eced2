package blob

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
)

// emptyHash is the sha256 of no bytes, which a request without a body signs.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// read makes a GET or HEAD of an object, and repeats what failed. The answer is
// 200 or 206. It does without the SDK's client, whose layers cost ten times the
// memory and the time of the request itself.
func (s *S3) read(ctx context.Context, method, key string, conditions http.Header) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := s.readOnce(ctx, method, key, conditions)
		if err == nil || attempt >= s.maxAttempts || ctx.Err() != nil || !mayPass(err) {
			return resp, err
		}
		if err := sleep(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

func (s *S3) readOnce(ctx context.Context, method, key string, conditions http.Header) (*http.Response, error) {
	c := s.client()
	credentials, err := c.key.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the key of the bucket: %w", err)
	}
	header := make(http.Header, len(conditions)+4)
	for name, values := range conditions {
		header[name] = values
	}
	header["X-Amz-Content-Sha256"] = []string{emptyHash}
	req := (&http.Request{
		Method: method, URL: s.url(key), Host: s.base.Host, Header: header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	now := time.Now().Add(time.Duration(s.clockOffset.Load()))
	if err := c.signer.SignHTTP(ctx, credentials, req, emptyHash, "s3", s.config.Region, now); err != nil {
		return nil, fmt.Errorf("sign the request: %w", err)
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.base.Host, err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	return nil, s.answered(resp)
}

// url is where an object is.
func (s *S3) url(key string) *url.URL {
	u := *s.base
	u.Path += "/" + key
	u.RawPath = s.base.EscapedPath() + "/" + escapeKey(key)
	return &u
}

// escapeKey escapes a key as the signature has it: all but unreserved characters
// (RFC 3986) and slashes.
func escapeKey(key string) string {
	const hex = "0123456789ABCDEF"
	escaped := make([]byte, 0, len(key)+16)
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' || c == '/' {
			escaped = append(escaped, c)
			continue
		}
		escaped = append(escaped, '%', hex[c>>4], hex[c&15])
	}
	return string(escaped)
}

// baseURL is what the URLs of all objects begin with, as the SDK makes them.
func baseURL(ctx context.Context, bucket string, o s3.Options) (*url.URL, error) {
	at, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, s3.EndpointParameters{
		Bucket: &bucket, Region: &o.Region, Endpoint: o.BaseEndpoint, ForcePathStyle: &o.UsePathStyle,
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
	})
	if err != nil {
		return nil, err
	}
	return &at.URI, nil
}

// maxAnswer is the most that is read of an answer that says what failed.
const maxAnswer = 64 << 10

// answered makes the error of an answer that is none of success, and corrects
// the clock where the service says that it is wrong.
func (s *S3) answered(resp *http.Response) error {
	defer resp.Body.Close()
	e := &answerError{status: resp.StatusCode, request: resp.Header.Get("X-Amz-Request-Id")}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // to its end, so that the connection can be used again
	if err != nil {
		return errors.Join(e, err)
	}
	var said struct{ Code, Message string }
	if xml.Unmarshal(body, &said) == nil {
		e.code, e.message = said.Code, said.Message
	}
	if e.code == "RequestTimeTooSkewed" {
		if now, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			s.clockOffset.Store(int64(time.Until(now)))
		}
	}
	return e
}

// answerError is what the service answered to a request that failed.
type answerError struct {
	status                 int
	code, message, request string
}

var _ smithy.APIError = (*answerError)(nil)

func (e *answerError) Error() string {
	text := fmt.Sprintf("the service answers %d %s", e.status, http.StatusText(e.status))
	if e.code != "" {
		text += fmt.Sprintf(", %s: %s", e.code, e.message)
	}
	if e.request != "" {
		text += fmt.Sprintf(" (request %s)", e.request)
	}
	return text
}

func (e *answerError) ErrorCode() string             { return e.code }
func (e *answerError) ErrorMessage() string          { return e.message }
func (e *answerError) ErrorFault() smithy.ErrorFault { return smithy.FaultUnknown }

// mayPass reports whether a read that failed may succeed when it is repeated:
// the connection failed, or the service was busy or broken for a moment.
func mayPass(err error) bool {
	answer := (*answerError)(nil)
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return answer.code == "RequestTimeTooSkewed"
}

// sleep waits until the next attempt, or returns the context's error.
func sleep(ctx context.Context, attempt int) error {
	wait, _ := pause(attempt, nil) // never an error
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
