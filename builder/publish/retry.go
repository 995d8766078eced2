package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// Retry says how often and how patiently a call is repeated.
type Retry struct {
	Tries   int           // of one call, the first one included; default 6
	Least   time.Duration // wait before the second try; it doubles from then on. Default 200 ms
	Most    time.Duration // longest wait between tries. Default 5 s
	MaxWait time.Duration // longest Retry-After that is waited out. Default 2 minutes
}

func (r Retry) withDefaults() Retry {
	if r.Tries == 0 {
		r.Tries = 6
	}
	if r.Least == 0 {
		r.Least = 200 * time.Millisecond
	}
	if r.Most == 0 {
		r.Most = 5 * time.Second
	}
	if r.MaxWait == 0 {
		r.MaxWait = 2 * time.Minute
	}
	return r
}

// run makes tries until one succeeds, fails for good, or none is left. A try
// that was told to wait does not count against the others as long as the waits
// stay below MaxWait in all.
func (r Retry) run(ctx context.Context, notify func(string), once bool, try func(context.Context) error) error {
	waited := time.Duration(0)
	for n := 1; ; {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var api *APIError
		if errors.As(err, &api) && api.RetryAfter > 0 && (api.Status == http.StatusTooManyRequests || api.Status == http.StatusServiceUnavailable) {
			if waited += api.RetryAfter; waited > r.MaxWait {
				return fmt.Errorf("%w; it asks to wait %s, try again then", err, api.RetryAfter)
			}
			notify(fmt.Sprintf("The control plane asks to wait %s: %s", api.RetryAfter, api.reason()))
			if err := sleep(ctx, api.RetryAfter+jitter(r.Least)); err != nil {
				return err
			}
			continue
		}
		if n == r.Tries || !again(err, once) {
			return err
		}
		wait := min(r.Least<<(n-1), r.Most)
		if n > 2 {
			notify(fmt.Sprintf("The control plane does not answer (%v); trying again", err))
		}
		if err := sleep(ctx, wait/2+jitter(wait)); err != nil {
			return err
		}
		n++
	}
}

func (e *APIError) reason() string {
	if e.Detail != "" {
		return e.Detail
	}
	return http.StatusText(e.Status)
}

// again reports whether a failed call may be repeated. One that must reach the
// control plane at most once is repeated only where it can't have.
func again(err error, once bool) bool {
	var bad *badAnswerError
	var changed *ChangedError
	if errors.As(err, &bad) || errors.As(err, &changed) {
		return false
	}
	var api *APIError
	if errors.As(err, &api) {
		switch api.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return true
		case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
			return !once
		}
		return false
	}
	var op *net.OpError
	return !once || errors.As(err, &op) && op.Op == "dial"
}

func jitter(most time.Duration) time.Duration { return rand.N(most + 1) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
