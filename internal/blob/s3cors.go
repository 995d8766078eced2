package blob

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// corsHeaders are those that a browser sends with an upload and asks leave for.
var corsHeaders = []string{"content-type", "x-amz-checksum-sha256"}

// AllowUploads lets pages of an origin, such as https://deploy.example.com, PUT
// to signed URLs: it looks whether the bucket's CORS rules do, and adds one
// where none does. Not every key may; [CORSRule] is what a person adds then.
func (s *S3) AllowUploads(ctx context.Context, origin string) (added bool, err error) {
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
