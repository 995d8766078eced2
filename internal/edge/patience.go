package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// leastRate is how many bytes a second a read must bring in the long run.
const leastRate = 128 << 10

// errSlow: the bucket was given up on because nothing came, or too little.
var errSlow = errors.New("the bucket is too slow")

// transferTime is how long bytes take at the least rate.
func transferTime(n int64) time.Duration {
	return time.Duration(float64(n) / leastRate * float64(time.Second))
}

// patience is how long an attempt is still waited for. Waiting uses it up, and
// what comes earns it back at the least rate, up to what it was at first: so a
// read may be as long as it is large, but one that drips ends.
type patience struct {
	most, left time.Duration
	since      time.Time
	timer      *time.Timer
}

func newPatience(most time.Duration, over func()) *patience {
	return &patience{most: most, left: most, since: time.Now(), timer: time.AfterFunc(most, over)}
}

// wait begins to wait.
func (p *patience) wait() {
	p.since = time.Now()
	p.timer.Reset(p.left)
}

// got ends the waiting: n bytes came.
func (p *patience) got(n int) {
	p.timer.Stop()
	p.left = min(p.most, p.left-time.Since(p.since)+transferTime(int64(n)))
}

// attempt is an open object whose bytes must keep coming. It is used by one
// goroutine.
type attempt struct {
	object   *blob.Object
	ctx      context.Context
	cancel   context.CancelCauseFunc
	patience *patience
	unhook   func() bool
}

// attemptTime is how long an attempt may take until the first byte: its share of
// what all of them have together.
func (o *origin) attemptTime(ctx context.Context) time.Duration {
	all := o.pace.Load().ReadTimeout
	if deadline, ok := ctx.Deadline(); ok {
		all = min(all, time.Until(deadline))
	}
	return all / originTries
}

// open opens what is wanted for one attempt at reading it.
func (o *origin) open(ctx context.Context, w want) (*attempt, error) {
	most := w.patience
	a := &attempt{}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	a.patience = newPatience(most, func() {
		a.cancel(fmt.Errorf("%w: nothing came for %v, or less than %d KiB a second", errSlow, most.Round(time.Millisecond), leastRate>>10))
	})
	var err error
	a.object, err = o.store.Get(a.ctx, w.key, w.opts)
	a.patience.got(0)
	if err != nil {
		err = a.why(err)
		a.cancel(nil)
		return nil, err
	}
	// A read that hangs ends with its context, whatever the store's body does.
	a.unhook = context.AfterFunc(a.ctx, func() { a.object.Body.Close() })
	return a, nil
}

// Read waits for bytes for as long as the patience lasts.
func (a *attempt) Read(p []byte) (int, error) {
	a.patience.wait()
	n, err := a.object.Body.Read(p)
	a.patience.got(n)
	if ended := a.ctx.Err(); ended != nil {
		return n, a.why(ended) // whatever the body makes of it
	}
	return n, err
}

// why returns the reason for which the attempt was ended, rather than how the
// store noticed.
func (a *attempt) why(err error) error {
	if cause := context.Cause(a.ctx); errors.Is(cause, errSlow) {
		return cause
	}
	return err
}

// Close ends the attempt.
func (a *attempt) Close() {
	a.patience.timer.Stop()
	a.unhook()
	a.cancel(nil)
	a.object.Body.Close()
}
