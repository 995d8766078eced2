package blob

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// S3 is a [Store] in a bucket of any service that speaks S3 and knows
// conditional writes. Its ETags are the service's: two writes of the same bytes
// may have the same one.
type S3 struct {
	client      *s3.Client
	presigner   *s3.PresignClient
	transport   *http.Transport
	bucket      string
	identity    string
	maxAttempts int
	retryer     aws.Retryer
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
	s := &S3{bucket: o.Bucket, identity: o.Identity(), maxAttempts: o.MaxAttempts, retryer: newRetryer(o.MaxAttempts), transport: newTransport(o.Silence)}
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, "")))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", o.Bucket, err)
	}
	if c.Region == "" {
		if o.Endpoint == "" {
			return nil, fmt.Errorf("open bucket %s: AWS needs its region (AWS_REGION), any other service its endpoint", o.Bucket)
		}
		c.Region = "auto"
	}
	if built, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		s.transport.TLSClientConfig = built.GetTransport().TLSClientConfig // of AWS_CA_BUNDLE
	}
	s.client = s3.NewFromConfig(c, func(c *s3.Options) {
		c.HTTPClient = &http.Client{Transport: s.transport}
		if o.Endpoint != "" {
			// The one form of address that works without a name for every bucket.
			c.BaseEndpoint, c.UsePathStyle = aws.String(o.Endpoint), true
		}
		// Not every service takes the checksums that the SDK adds by default.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.Retryer = s.retryer
	})
	s.presigner = s3.NewPresignClient(s.client, func(p *s3.PresignOptions) {
		// What a URL binds stands in headers that must be sent: a checksum among
		// the URL's parameters is not looked at everywhere.
		p.Presigner = v4.NewSigner(func(v *v4.SignerOptions) {
			v.DisableURIPathEscaping, v.DisableHeaderHoisting = true, true
		})
	})
	return s, nil
}

// newRetryer bounds the attempts of one request. The SDK repeats what failed on
// the way, what the service throttled, and its 5xx; here also what met another
// operation on the same key.
func newRetryer(maxAttempts int) aws.Retryer {
	if maxAttempts == 1 {
		return aws.NopRetryer{}
	}
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.Backoff = retry.BackoffDelayerFunc(pause)
		o.Retryables = append(o.Retryables, retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusConflict: {}}})
	})
}

// pause is the time before the next attempt: up to 200 ms after the first one,
// twice that after each further one, up to 2 s; at random, so that those who
// failed together don't come again together.
func pause(attempt int, _ error) (time.Duration, error) {
	longest := min(firstPause<<min(attempt-1, 10), longestPause)
	return longest/2 + rand.N(longest/2), nil
}

const (
	firstPause   = 200 * time.Millisecond
	longestPause = 2 * time.Second
)

// Close closes the connections that are idle.
func (s *S3) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Identity names the bucket by its service and its name.
func (s *S3) Identity() string { return s.identity }

// Sync has nothing to do: what the service has confirmed is durable.
func (s *S3) Sync(ctx context.Context) error { return ctx.Err() }
