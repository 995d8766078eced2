package controlplane

import (
	"testing"
	"time"
)

func TestASuspendIsToldFromTimeThatPassed(t *testing.T) {
	for _, row := range []struct {
		name            string
		monotonic, wall time.Duration
		want            time.Duration
	}{
		{"an ordinary round", time.Second, time.Second, 0},
		{"a slow round", time.Minute, time.Minute, 0},
		{"a clock set forward a little", time.Second, time.Second + leastSleep - 1, 0},
		{"as little as counts", time.Second, time.Second + leastSleep, leastSleep},
		{"a night", time.Second, 8 * time.Hour, 8*time.Hour - time.Second},
		{"a clock set back", time.Second, -time.Hour, 0},
	} {
		if got := slept(row.monotonic, row.wall); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
	var w sleepWatch
	for range 2 { // the first has nothing to compare with
		if d := w.since(time.Now()); d != 0 {
			t.Errorf("the machine has not slept, not for %s", d)
		}
	}
}
