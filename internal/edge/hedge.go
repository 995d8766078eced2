package edge

import (
	"context"
	"math"
	"math/bits"
	"sync"
	"time"
)

const (
	// hedgeShare is the share of reads that may be sent a second time, so that an
	// outage is not made worse.
	hedgeShare = 0.05
	// hedgeLeast is the shortest time after which a second read can help.
	hedgeLeast = 5 * time.Millisecond
)

// hedged calls for a value, and calls again where that takes longer than most
// of such calls do. The first that succeeds counts; the other is cancelled, and
// drop is given what it may still return. A call ends with its context, and
// must call done when it no longer needs that.
func hedged[T any](ctx context.Context, o *origin, kind objectKind, times *quantile, call func(ctx context.Context, done context.CancelFunc) (T, error), drop func(T)) (T, error) {
	k := &o.kinds[kind]
	k.hedges.earn(hedgeShare)
	firstCtx, stopFirst := context.WithCancel(ctx)
	start := time.Now()
	after, known := times.p95()
	if !known || o.down.Load() || k.breaker.now() != breakerClosed {
		value, err := call(firstCtx, stopFirst)
		if !mayPass(err) {
			times.add(time.Since(start))
		}
		return value, err
	}
	secondCtx, stopSecond := context.WithCancel(ctx)
	race := &race[T]{done: make(chan struct{})}
	timer := time.AfterFunc(max(after, hedgeLeast), func() {
		race.second(o.tasks, k.hedges.spend, func() {
			o.metrics.hedgesSent[kind].Inc()
			value, err := call(secondCtx, stopSecond)
			if race.end(value, err) {
				if !mayPass(err) {
					stopFirst()
				}
			} else if err == nil {
				drop(value)
			}
		})
	})
	value, err := call(firstCtx, stopFirst)
	took := time.Since(start)
	timer.Stop()
	if !mayPass(err) {
		times.add(took)
	}
	if !race.first() { // there is no second, and there will be none
		stopSecond()
		return value, err
	}
	if !mayPass(err) {
		stopSecond()
		if second, secondErr, ended := race.leave(); ended && secondErr == nil {
			drop(second)
		}
		return value, err
	}
	select {
	case <-race.done:
	case <-ctx.Done():
		stopSecond()
	}
	second, secondErr, ended := race.leave()
	if !ended || mayPass(secondErr) {
		stopSecond()
		return value, err
	}
	times.add(took) // it would have taken longer
	o.metrics.hedgesWon[kind].Inc()
	return second, secondErr
}

// race is what the first and the second call know of each other.
type race[T any] struct {
	mu    sync.Mutex
	begun bool // there is a second call
	over  bool // the first one waits for nothing any more
	ended bool // the second call has ended
	done  chan struct{}
	value T
	err   error
}

// second begins the second call, unless the first has ended or there may be
// none.
func (r *race[T]) second(t *tasks, may func() bool, call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over && may() {
		r.begun = t.start(call)
	}
}

// first reports, when the first call has ended, whether there is a second one.
func (r *race[T]) first() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = r.over || !r.begun
	return r.begun
}

// end hands over what the second call returned, unless nobody waits for it.
func (r *race[T]) end(value T, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	r.value, r.err, r.ended = value, err, true
	close(r.done)
	return true
}

// leave returns what the second call has returned, if it has, and waits for
// nothing more.
func (r *race[T]) leave() (value T, err error, ended bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.value, r.err, r.ended
}

// quota lets a share of what happens have something extra.
type quota struct {
	mu    sync.Mutex
	saved float64
}

// quotaMost is how many extras may be saved up.
const quotaMost = 5

func (q *quota) earn(share float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.saved = min(q.saved+share, quotaMost)
}

func (q *quota) spend() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.saved < 1 {
		return false
	}
	q.saved--
	return true
}

// quantile estimates the 95th percentile of recent times: a histogram on a
// logarithmic scale, four steps for each doubling from a microsecond on, that
// is halved when it is full.
type quantile struct {
	mu     sync.Mutex
	counts [quantileSteps]uint16
	total  int
}

const (
	quantileSteps = 4 * 26 // up to a minute
	quantileLeast = 32     // times that must be known
	quantileMost  = 1024
)

func (q *quantile) add(d time.Duration) {
	micros := max(uint64(d.Microseconds()), 1)
	exp := bits.Len64(micros) - 1
	step := min(4*exp+int(4*(float64(micros)/math.Exp2(float64(exp))-1)), quantileSteps-1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.counts[step]++
	if q.total++; q.total < quantileMost {
		return
	}
	q.total = 0
	for i := range q.counts {
		q.counts[i] /= 2
		q.total += int(q.counts[i])
	}
}

// p95 returns the time within which 95 of 100 ended, rounded up to a step, and
// false while too few are known.
func (q *quantile) p95() (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.total < quantileLeast {
		return 0, false
	}
	rest := q.total / 20 // the slowest ones
	for step := quantileSteps - 1; step >= 0; step-- {
		if rest -= int(q.counts[step]); rest < 0 {
			upper := math.Exp2(float64(step/4)) * (1 + float64(step%4+1)/4)
			return time.Duration(upper * float64(time.Microsecond)), true
		}
	}
	return 0, false
}
