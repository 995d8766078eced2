package api

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// rate names a limit that calls count against.
type rate string

const (
	rateNone      rate = "none"
	rateGeneral   rate = "general"
	rateSignIn    rate = "sign-in"
	rateDeploy    rate = "deploy"
	rateLogs      rate = "logs"
	rateDetect    rate = "detect"
	rateSensitive rate = "sensitive" // tokens, delete, promote
	rateClaim     rate = "claim"     // builders that have no token yet
	rateAttempt   rate = "attempt"   // builders, each by its attempt
)

// Rates are how many calls a minute one user may make, or one address where
// nobody is signed in. Zero values stand for the defaults that are named here;
// a negative one for no limit.
type Rates struct {
	General   int // 100
	SignIn    int // 10, by address
	Deploy    int // 10
	Logs      int // 60; a stream counts once
	Detect    int // 30: looks at a repository
	Sensitive int // 5: tokens, invitations, delete, promote, domains
	Claim     int // 300, by address: builders of one machine share it
	Attempt   int // 1,200, for each attempt of a builder

	// Streams is how many streams one user has open at once: 100.
	Streams int
}

func (r Rates) withDefaults() Rates {
	for _, field := range []struct {
		value *int
		or    int
	}{{&r.General, 100}, {&r.SignIn, 10}, {&r.Deploy, 10}, {&r.Logs, 60}, {&r.Detect, 30}, {&r.Sensitive, 5}, {&r.Claim, 300}, {&r.Attempt, 1200}, {&r.Streams, 100}} {
		if *field.value == 0 {
			*field.value = field.or
		}
	}
	return r
}

func (r Rates) of(name rate) int {
	switch name {
	case rateGeneral:
		return r.General
	case rateSignIn:
		return r.SignIn
	case rateDeploy:
		return r.Deploy
	case rateLogs:
		return r.Logs
	case rateDetect:
		return r.Detect
	case rateSensitive:
		return r.Sensitive
	case rateClaim:
		return r.Claim
	case rateAttempt:
		return r.Attempt
	}
	return -1
}

const (
	rateWindow = time.Minute
	// rateKeys bounds the memory: about 10 MiB. Who was quiet for longest is
	// forgotten first.
	rateKeys = 20_000
)

// limiter counts calls. In no minute does it let more through than the limit,
// give or take a second: it keeps a count for each of the last seconds.
type limiter struct {
	rates Rates
	now   func() time.Time

	mu      sync.Mutex
	windows *simplelru.LRU[rateKey, *window]
}

type rateKey struct {
	rate rate
	who  string
}

// window is what was let through in the last minute, second by second.
type window struct {
	seconds [rateWindow / time.Second]uint32 // a ring, by second of the clock
	last    int64                            // the second that was written last
	sum     int
}

func newLimiter(rates Rates, now func() time.Time) *limiter {
	windows, _ := simplelru.NewLRU[rateKey, *window](rateKeys, nil) // fails of a size below 1 alone
	return &limiter{rates: rates, now: now, windows: windows}
}

// take counts a call where the limit allows it. Wait is the time until the next
// one is allowed, where it is not; reset the time until all are again.
func (l *limiter) take(name rate, who string) (limit, remaining int, wait, reset time.Duration) {
	limit = l.rates.of(name)
	if limit < 0 {
		return limit, 0, 0, 0
	}
	second := l.now().Unix()
	l.mu.Lock()
	defer l.mu.Unlock()
	key := rateKey{name, who}
	w, ok := l.windows.Get(key)
	if !ok {
		w = &window{last: second}
		l.windows.Add(key, w)
	}
	w.advance(second)
	if w.sum >= limit {
		return limit, 0, w.until(1 + w.sum - limit), rateWindow
	}
	w.seconds[w.last%int64(len(w.seconds))]++
	w.sum++
	return limit, limit - w.sum, 0, rateWindow
}

// advance forgets the seconds that are more than a minute ago.
func (w *window) advance(second int64) {
	n := int64(len(w.seconds))
	for passed := min(second-w.last, n); passed > 0; passed-- {
		slot := &w.seconds[(second-passed+1)%n]
		w.sum -= int(*slot)
		*slot = 0
	}
	w.last = max(w.last, second) // a clock that is set back forgets nothing
}

// until is the time until that many calls are forgotten.
func (w *window) until(calls int) time.Duration {
	n := int64(len(w.seconds))
	for ago := n - 1; ago >= 0; ago-- {
		if calls -= int(w.seconds[(w.last-ago+n)%n]); calls <= 0 {
			return time.Duration(n-ago) * time.Second
		}
	}
	return rateWindow
}

// count counts a call and says so in the answer's headers
// (draft-ietf-httpapi-ratelimit-headers), or refuses it.
func (a *API) count(e endpoint, c *caller) error {
	name, who := e.rate, ""
	switch {
	case name == rateNone:
		return nil
	case c.Principal != nil && c.Principal.Local:
		return nil // the person at this machine
	case c.Attempt != nil && name != rateSignIn && name != rateClaim:
		name, who = rateAttempt, c.Attempt.ID()
	case c.Principal != nil && name != rateSignIn && name != rateClaim:
		who = "user " + c.Principal.UserID
	default:
		who = addressKey(a.clientAddr(c.r))
	}
	limit, remaining, wait, reset := a.limits.take(name, who)
	if limit < 0 {
		return nil
	}
	seconds := func(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
	if wait > 0 {
		reset = wait
	}
	h := c.w.Header()
	h.Set("RateLimit-Limit", strconv.Itoa(limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("RateLimit-Reset", seconds(reset))
	if wait == 0 {
		return nil
	}
	a.Metrics.limited.WithLabelValues(string(name)).Inc()
	p := problem(http.StatusTooManyRequests, "Too many requests of this kind: "+strconv.Itoa(limit)+" a minute are allowed. Try again in "+seconds(wait)+" s.")
	p.header.Set("Retry-After", seconds(wait))
	return p
}

// addressKey names who has an address. In IPv6 one person has a /64 at least.
func addressKey(addr netip.Addr) string {
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
