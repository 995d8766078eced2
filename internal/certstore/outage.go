package certstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// outage knows whether the bucket is away, so that a handshake does not wait
// for a deadline that others have waited for before it.
type outage struct {
	probeEvery time.Duration

	mu       sync.Mutex
	failures int // in a row
	err      error
	probeAt  time.Time
}

// toleratedFailures in a row are retried at once by whoever comes next.
const toleratedFailures = 2

// ask returns why the bucket counts as away; nil where the caller is to try.
// While it is away, one caller in each interval is let through.
func (o *outage) ask() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures <= toleratedFailures {
		return nil
	}
	if now := time.Now(); !now.Before(o.probeAt) {
		o.probeAt = now.Add(o.probeEvery)
		return nil
	}
	return fmt.Errorf("the bucket is away: %w", o.err)
}

// tell takes the outcome of a call. What ended because its caller went away
// says nothing of the bucket.
func (o *outage) tell(caller context.Context, err error) {
	if !answered(err) && caller.Err() != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if answered(err) {
		o.failures, o.err = 0, nil
		return
	}
	o.failures++
	o.err = err
	o.probeAt = time.Now().Add(o.probeEvery)
}

// answered says whether the bucket did what it was asked, or said why not.
func answered(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, blob.ErrNotModified) || errors.Is(err, blob.ErrPrecondition)
}
