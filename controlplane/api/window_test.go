package api

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// TestNoMinuteHasMoreThanTheLimit compares the ring of seconds with a list of
// every call.
func TestNoMinuteHasMoreThanTheLimit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		now := time.Unix(1_700_000_000, 0)
		limit := 1 + random.IntN(20)
		l := newLimiter(Rates{General: limit}, func() time.Time { return now })
		var taken []time.Time
		for range 400 {
			now = now.Add(time.Duration(random.IntN(8000)) * time.Millisecond * time.Duration(random.IntN(2)))
			if random.IntN(40) == 0 {
				now = now.Add(time.Duration(random.IntN(200)) * time.Second)
			}
			inMinute := 0
			for _, at := range taken {
				if now.Unix()-at.Unix() < 60 {
					inMinute++
				}
			}
			got, remaining, wait, _ := l.take(rateGeneral, "a")
			if got != limit {
				t.Fatalf("limit %d", got)
			}
			if allowed := wait == 0; allowed != (inMinute < limit) {
				t.Fatalf("%d of %d in the last minute, allowed %v", inMinute, limit, allowed)
			}
			if wait == 0 {
				taken = append(taken, now)
				if remaining != limit-inMinute-1 {
					t.Fatalf("%d remaining after %d of %d", remaining, inMinute+1, limit)
				}
				continue
			}
			// Whoever waits as told is let through, and not a second later than needed.
			told := now.Add(wait)
			if _, _, early, _ := peek(l, told.Add(-time.Second)); early == 0 {
				t.Fatalf("told to wait %s, a second less would do", wait)
			}
			if _, _, late, _ := peek(l, told); late != 0 {
				t.Fatalf("told to wait %s, which is not enough", wait)
			}
		}
	}
}

// peek asks as of another time and changes nothing.
func peek(l *limiter, at time.Time) (limit, remaining int, wait, reset time.Duration) {
	kept, _ := l.windows.Get(rateKey{rateGeneral, "a"})
	before := *kept
	defer func() { *kept = before }()
	now := l.now
	l.now = func() time.Time { return at }
	defer func() { l.now = now }()
	return l.take(rateGeneral, "a")
}

func TestTheLimitersMemoryIsBounded(t *testing.T) {
	l := newLimiter(Rates{General: 2}, time.Now)
	for i := range 2 * rateKeys {
		l.take(rateGeneral, strconv.Itoa(i))
	}
	if n := l.windows.Len(); n != rateKeys {
		t.Errorf("%d keys are kept", n)
	}
}

func TestAClockThatIsSetBackLetsNobodyThrough(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	l := newLimiter(Rates{General: 2}, func() time.Time { return now })
	for range 2 {
		l.take(rateGeneral, "a")
	}
	now = now.Add(-time.Hour)
	if _, _, wait, _ := l.take(rateGeneral, "a"); wait <= 0 || wait > rateWindow {
		t.Errorf("wait %s", wait)
	}
}

func BenchmarkTake(b *testing.B) {
	l := newLimiter(Rates{General: 1 << 30}, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		l.take(rateGeneral, "user 1")
	}
}
