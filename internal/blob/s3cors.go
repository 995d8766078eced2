package blob

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// corsHeaders are those that a browser sends with an upload and asks leave for.
var corsHeaders = []string{"content-type", "x-amz-checksum-sha256"}

// AllowUploads lets pages of an origin, such as https://deploy.example.com, PUT
// to signed URLs: it asks the service as a browser would, and where that is told
// no, adds a rule to the bucket's unless one allows it already. Not every key may;
// [CORSRule] is what a person adds then.
func (s *S3) AllowUploads(ctx context.Context, origin string) (added bool, err error) {
	// Anybody may ask so, keys that may not read the rules included.
	if allowed, err := s.preflight(ctx, origin); err == nil && allowed {
		return false, nil
	}
	var rules []types.CORSRule
	out, err := s.client().GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: &s.bucket})
	switch {
	case err == nil:
		rules = out.CORSRules
	case errorCode(err) != "NoSuchCORSConfiguration":
		return false, fmt.Errorf("read the bucket's CORS rules: %w", s3Error(err))
	}
	if slices.ContainsFunc(rules, func(r types.CORSRule) bool { return allowsUploads(r, origin) }) {
		return false, nil
	}
	rules = append(rules, types.CORSRule{
		AllowedOrigins: []string{origin}, AllowedMethods: []string{"PUT"}, AllowedHeaders: corsHeaders, MaxAgeSeconds: aws.Int32(3600),
	})
	in := &s3.PutBucketCorsInput{Bucket: &s.bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: rules}}
	_, err = s.client().PutBucketCors(ctx, in, func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, smithyhttp.AddContentChecksumMiddleware)
	})
	if err != nil {
		return false, fmt.Errorf("write the bucket's CORS rules: %w", s3Error(err))
	}
	return true, nil
}

// preflight asks what a browser asks before it uploads from a page of an origin.
func (s *S3) preflight(ctx context.Context, origin string) (allowed bool, err error) {
	signed, err := s.SignPut(ctx, probePrefix+"cors", 1, [32]byte{}, time.Minute)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodOptions, signed.URL, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Origin", origin)
	req.Header.Set("Access-Control-Request-Method", http.MethodPut)
	req.Header.Set("Access-Control-Request-Headers", strings.Join(corsHeaders, ","))
	resp, err := (&http.Client{Transport: s.transport}).Do(req)
	if err != nil {
		return false, withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	has := func(header string, values ...string) bool {
		var listed []string
		for _, line := range resp.Header.Values(header) {
			for one := range strings.SplitSeq(strings.ToLower(line), ",") {
				listed = append(listed, strings.TrimSpace(one))
			}
		}
		return slices.Contains(listed, "*") || !slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(listed, strings.ToLower(v)) })
	}
	return resp.StatusCode/100 == 2 && has("Access-Control-Allow-Origin", origin) && has("Access-Control-Allow-Methods", http.MethodPut) &&
		has("Access-Control-Allow-Headers", corsHeaders...), nil
}

// CORSRule is the rule that lets pages of an origin upload, as the consoles of
// R2 and AWS take it.
func CORSRule(origin string) string {
	rule, _ := json.Marshal([]any{map[string]any{ // strings and a number can't fail
		"AllowedOrigins": []string{origin}, "AllowedMethods": []string{"PUT"}, "AllowedHeaders": corsHeaders, "MaxAgeSeconds": 3600,
	}})
	return string(rule)
}

func allowsUploads(r types.CORSRule, origin string) bool {
	if !matchesAny(r.AllowedOrigins, origin) || !slices.Contains(r.AllowedMethods, "PUT") {
		return false
	}
	return !slices.ContainsFunc(corsHeaders, func(h string) bool { return !matchesAny(r.AllowedHeaders, h) })
}

// matchesAny compares with patterns that may have one *.
func matchesAny(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		before, after, wild := strings.Cut(strings.ToLower(pattern), "*")
		if !wild {
			return before == value
		}
		return len(value) >= len(before)+len(after) && strings.HasPrefix(value, before) && strings.HasSuffix(value, after)
	})
}
