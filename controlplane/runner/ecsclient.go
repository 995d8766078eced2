package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	smithy "github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	callTries    = 5                // of one call, where AWS throttles, fails or can't be reached
	tryTime      = 8 * time.Second  // of one of them
	callTime     = 30 * time.Second // of all together
	longestPause = 4 * time.Second  // between two
)

// ErrAWSAway says that AWS did not answer, or failed: it may later.
var ErrAWSAway = errors.New("AWS does not answer")

func (e *ECS) newClient(ctx context.Context) (*ecs.Client, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{})) // it would write to stderr
	if err != nil {
		return nil, fmt.Errorf("AWS's settings: %w", err)
	}
	if c.Region == "" {
		return nil, errors.New("AWS_REGION is not set: ECS needs the region of its cluster")
	}
	if client, ok := c.HTTPClient.(*awshttp.BuildableClient); ok { // it may know AWS_CA_BUNDLE
		c.HTTPClient = client.WithTimeout(tryTime)
	} else {
		c.HTTPClient = awshttp.NewBuildableClient().WithTimeout(tryTime)
	}
	return ecs.NewFromConfig(c, func(o *ecs.Options) {
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = callTries
			r.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
				return e.pause(attempt), nil
			})
		})
	}), nil
}

// pause is the time before the next try, at random: those who failed together
// don't come again together.
func (e *ECS) pause(tries int) time.Duration {
	longest := max(min(e.options.FirstPause<<min(max(tries-1, 0), 10), longestPause), 2)
	return longest/2 + rand.N(longest/2)
}

// call makes one call of the API within its time, and counts how it ended.
func call[In, Out any](ctx context.Context, e *ECS, operation string, f func(context.Context, In, ...func(*ecs.Options)) (Out, error), in In) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	out, err := f(ctx, in)
	e.metrics.calls.WithLabelValues(operation, string(kindOf(err))).Inc()
	if err != nil {
		err = fmt.Errorf("%s: %w", operation, plain(err))
	}
	return out, err
}

// callKind says how a call ended.
type callKind string

const (
	callOK        callKind = "ok"
	callThrottled callKind = "throttled"
	callRefused   callKind = "refused" // what was asked is wrong, or not allowed
	callFailed    callKind = "failed"  // AWS's own failure, or no answer: it may have been done
)

func kindOf(err error) callKind {
	if err == nil {
		return callOK
	}
	if _, throttles := retry.DefaultThrottleErrorCodes[codeOf(err)]; throttles {
		return callThrottled
	}
	status := 0 // of no answer
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		status = answer.HTTPStatusCode()
	}
	switch {
	case status == http.StatusTooManyRequests:
		return callThrottled
	case status/100 == 4, isNoCredentials(err):
		return callRefused
	}
	return callFailed
}

func codeOf(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

func messageOf(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorMessage()
	}
	return ""
}

// isNoCredentials is whether the request could not even be signed. The SDK has
// no type for that.
func isNoCredentials(err error) bool { return strings.Contains(err.Error(), "get identity: ") }

// apiError is an answer of AWS in one line, without the request's id.
type apiError struct{ err error }

func (e *apiError) Error() string {
	if code := codeOf(e.err); code != "" {
		return strings.Join(strings.Fields(code+": "+messageOf(e.err)), " ")
	}
	return strings.Join(strings.Fields(e.err.Error()), " ")
}

func (e *apiError) Unwrap() error { return e.err }

func plain(err error) error { return &apiError{err} }

func text(s *string) string { return aws.ToString(s) }
