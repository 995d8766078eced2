package edge

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

const (
	// originTries is how often a read is tried in all.
	originTries = 3
	// retryWait is the longest pause before the second try; it doubles for each
	// further one.
	retryWait = 100 * time.Millisecond
)

// mayPass reports whether the same read may succeed a moment later. What the
// bucket has answered is an answer.
func mayPass(err error) bool {
	for _, answer := range []error{fs.ErrNotExist, blob.ErrNotModified, blob.ErrPrecondition, blob.ErrKey, errSize, errBreaker, errClosed} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return err != nil
}

// retried tries a read until it succeeds, has an answer that stays, was tried
// often enough, or the breaker refuses it.
func retried[T any](ctx context.Context, o *origin, w want, call func(context.Context) (T, error)) (T, error) {
	tries, k := w.tries, &o.kinds[w.kind]
	if tries == 0 {
		tries = originTries
	}
	var value T
	var err error
	for n := 1; ; n++ {
		// The change log is asked whatever the breaker says: it is how the edge
		// learns that the bucket is back, and nobody waits for it.
		if w.kind != kindHead && !k.breaker.enter(time.Now(), o.kinds[kindHead].breaker.now() == breakerOpen) {
			if err == nil {
				err = errBreaker
			}
			return value, err
		}
		value, err = call(ctx)
		switch {
		case !mayPass(err):
			k.breaker.succeeded(time.Now())
		case errors.Is(ctx.Err(), context.Canceled):
			k.breaker.left()
		default:
			k.breaker.failed(time.Now(), o.random(), o.down.Load())
		}
		if !mayPass(err) || n >= tries || !o.pause(ctx, n) {
			return value, err
		}
		o.metrics.retries[w.kind].Inc()
	}
}

// pause waits before the next try, for half of the longest pause at least, and
// reports whether there is to be one.
func (o *origin) pause(ctx context.Context, n int) bool {
	longest := retryWait << (n - 1)
	timer := time.NewTimer(longest/2 + time.Duration(o.random()*float64(longest/2)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
