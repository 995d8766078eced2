package blob

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// client makes and signs requests with one access key.
type client struct {
	*s3.Client
	key       aws.CredentialsProvider
	presigner *s3.PresignClient
	signer    *v4.Signer // of what the SDK's client does not send
}

// client is the one for the requests that begin now.
func (s *S3) client() *client { return s.current.Load() }

// SetKey replaces the access key, as [S3Options] has it, for all requests that
// begin later. All that signs is made anew: a signer keeps what it has derived
// from a secret under the id of its key.
func (s *S3) SetKey(id, secret string) {
	c := &client{key: s.config.Credentials, signer: newSigner(false)}
	if id != "" {
		c.key = credentials.NewStaticCredentialsProvider(id, secret, "")
	}
	c.Client = s3.NewFromConfig(s.config, func(o *s3.Options) {
		o.Credentials = c.key
		o.HTTPClient = &http.Client{Transport: s.transport}
		if s.endpoint != "" {
			// The one form of address that works without a name for every bucket.
			o.BaseEndpoint, o.UsePathStyle = aws.String(s.endpoint), true
		}
		// Not every service takes the checksums that the SDK adds by default.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.Retryer = s.retryer
	})
	// What a URL binds stands in headers that must be sent: a checksum among the
	// URL's parameters is not looked at everywhere.
	c.presigner = s3.NewPresignClient(c.Client, func(o *s3.PresignOptions) { o.Presigner = newSigner(true) })
	s.current.Store(c)
}

func newSigner(inHeaders bool) *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping, o.DisableHeaderHoisting = true, inHeaders
	})
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
