package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// S3 is a [Store] in a bucket of any service that speaks S3 and knows
// conditional writes. Its ETags are the service's: two writes of the same bytes
// may have the same one.
type S3 struct {
	bucket      string
	identity    string
	config      aws.Config
	endpoint    string   // none: AWS's
	base        *url.URL // of every object
	maxAttempts int
	retryer     aws.Retryer
	transport   *http.Transport
	current     atomic.Pointer[client]
	clockOffset atomic.Int64 // nanoseconds that the service is ahead of this clock, where that matters
}

var _ Store = (*S3)(nil)

// S3Options are the settings of [OpenS3].
type S3Options struct {
	Bucket string
	// Endpoint is the address of the service, such as https://s3.example.com;
	// see [R2Endpoint]. Where it is empty, the bucket is AWS's.
	Endpoint string
	// Region is signed with every request. Where it is empty it is what the
	// environment says (AWS_REGION), else "auto", which AWS itself does not take.
	Region string
	// AccessKeyID and SecretAccessKey sign every request. Where both are empty,
	// the SDK looks for credentials: environment, shared file, role of the machine.
	AccessKeyID, SecretAccessKey string
	// MaxAttempts is how often a request is made at most, with growing and random
	// pauses; 3 where it is 0. A body that can't be read again is sent once.
	MaxAttempts int
	// Silence is how long a connection may move no byte while a request is
	// under way; 30 seconds where it is 0. Contexts bound whole calls.
	Silence time.Duration
}

// R2Endpoint is the address of the buckets of a Cloudflare account.
func R2Endpoint(accountID string) string {
	return "https://" + accountID + ".r2.cloudflarestorage.com"
}

// Check says which option is missing or contradicts another.
func (o *S3Options) Check() error {
	if o.Bucket == "" || strings.ContainsAny(o.Bucket, "/ ") {
		return fmt.Errorf("%q is not the name of a bucket", o.Bucket)
	}
	if (o.AccessKeyID == "") != (o.SecretAccessKey == "") {
		return errors.New("an access key has two parts, its id and its secret: one is missing")
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("the endpoint %q is not an address such as https://s3.example.com", o.Endpoint)
		}
	}
	return nil
}

// Identity names the bucket that the options open, without opening it and
// without a secret.
func (o *S3Options) Identity() string {
	if o.Endpoint == "" {
		return "s3:" + o.Bucket // the names of AWS's buckets are unique
	}
	return "s3:" + strings.TrimSuffix(o.Endpoint, "/") + "/" + o.Bucket
}

// OpenS3 opens a bucket. It makes no request: a bucket that is not there shows
// itself at the first one.
func OpenS3(ctx context.Context, o S3Options) (*S3, error) {
	if err := o.Check(); err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 3
	}
	if o.Silence <= 0 {
		o.Silence = 30 * time.Second
	}
	s := &S3{
		bucket: o.Bucket, identity: o.Identity(), endpoint: o.Endpoint,
		maxAttempts: o.MaxAttempts, retryer: newRetryer(o.MaxAttempts), transport: newTransport(o.Silence),
	}
	load := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // it would write to stderr
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	var err error
	if s.config, err = config.LoadDefaultConfig(ctx, load...); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", o.Bucket, err)
	}
	if s.config.Region == "" {
		if o.Endpoint == "" {
			return nil, fmt.Errorf("open bucket %s: AWS needs its region (AWS_REGION), any other service its endpoint", o.Bucket)
		}
		s.config.Region = "auto"
	}
	if built, ok := s.config.HTTPClient.(*awshttp.BuildableClient); ok {
		s.transport.TLSClientConfig = built.GetTransport().TLSClientConfig // of AWS_CA_BUNDLE
	}
	s.SetKey(o.AccessKeyID, o.SecretAccessKey)
	if s.base, err = baseURL(ctx, o.Bucket, s.client().Options()); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", o.Bucket, err)
	}
	return s, nil
}

// Close closes the connections that are idle.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Identity names the bucket by its service and its name.
func (s *S3) Identity() string { return s.identity }

// Sync has nothing to do: what the service has confirmed is durable.
func (s *S3) Sync(ctx context.Context) error { return ctx.Err() }
