package controlplane

import "time"

// leastSleep is what the two clocks may differ by without a suspend: a wall
// clock that is set right goes in smaller steps.
const leastSleep = 5 * time.Second

// sleepWatch notices that the machine was suspended, as a laptop is: the wall
// clock has gone on then, and the monotonic one, by which builders time their
// reports, has not.
type sleepWatch struct{ last time.Time }

// since returns how long the machine slept since the last call; now is from
// time.Now.
func (w *sleepWatch) since(now time.Time) time.Duration {
	last := w.last
	w.last = now
	if last.IsZero() {
		return 0
	}
	return slept(now.Sub(last), now.Round(0).Sub(last.Round(0)))
}

// slept is how much longer the wall clock took than the monotonic one.
func slept(monotonic, wall time.Duration) time.Duration {
	if d := wall - monotonic; d >= leastSleep {
		return d
	}
	return 0
}
