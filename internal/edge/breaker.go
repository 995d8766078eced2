package edge

import (
	"errors"
	"sync"
	"time"
)

// errBreaker: the bucket was not asked, because it keeps failing.
var errBreaker = errors.New("the bucket keeps failing and is not asked for a moment")

const (
	breakerFailures = 5               // in a row open it
	breakerQuiet    = time.Second     // without a success, too
	breakerWait     = time.Second     // until the first probe; doubles
	breakerMost     = 5 * time.Second // until a later one
)

// breakerState is whether reads are let through.
type breakerState uint8

const (
	breakerClosed   breakerState = iota // all are
	breakerHalfOpen                     // one is under way that decides
	breakerOpen                         // none
)

// breaker keeps reads from a bucket that fails, so that nobody waits for it: it
// opens after failures in a row, then lets one read through from time to time,
// and closes when that succeeds. The zero breaker is closed.
type breaker struct {
	mu       sync.Mutex
	state    breakerState
	failures int       // in a row
	good     time.Time // of the last success
	probeAt  time.Time // open: when one read is let through
	wait     time.Duration
}

// enter reports whether a read may go to the bucket. One that does must report
// how it ended: succeeded, failed, or left. Where something else finds out
// whether the bucket is back, no read has to.
func (b *breaker) enter(now time.Time, foundOut bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == breakerClosed:
		return true
	case b.state == breakerOpen && !foundOut && !now.Before(b.probeAt):
		b.state = breakerHalfOpen
		return true
	}
	return false
}

// succeeded closes the breaker.
func (b *breaker) succeeded(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.failures, b.good, b.wait = breakerClosed, 0, now, 0
}

// failed opens the breaker after failures in a row; at the first one where the
// bucket is known to be down. random, of [0, 1), spreads probes.
func (b *breaker) failed(now time.Time, random float64, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	if b.state == breakerClosed && !down && (b.failures < breakerFailures || now.Sub(b.good) < breakerQuiet) {
		return
	}
	if b.state == breakerOpen {
		return // begun before it opened
	}
	b.wait = min(max(2*b.wait, breakerWait), breakerMost)
	b.state, b.probeAt = breakerOpen, now.Add(b.wait*4/5+time.Duration(random*float64(b.wait/5)))
}

// left takes back what enter let through: it says nothing about the bucket.
func (b *breaker) left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == breakerHalfOpen {
		b.state = breakerOpen // probeAt has passed: the next one decides
	}
}

func (b *breaker) now() breakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// recovered is called when the change log can be read again: whatever was
// refused is asked for again.
func (o *origin) recovered() {
	now := time.Now()
	for i := range o.kinds {
		o.kinds[i].breaker.succeeded(now)
	}
}
