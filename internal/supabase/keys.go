package supabase

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keys are those that Supabase publishes, as they were fetched last.
type keys struct {
	config  Config
	url     string
	fetches *prometheus.CounterVec // by result
	keep    func(context.Context, []byte) error

	mu      sync.Mutex
	set     keySet
	kept    string        // what was given to keep last
	at      time.Time     // of the last fetch that succeeded
	err     error         // of the last fetch
	asked   time.Time     // when an unknown key caused a fetch last
	flight  chan struct{} // closed when the fetch that goes on has ended; nil: none does
	stopped bool

	ctx    context.Context // ends with stop
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newKeys(config Config, url string) *keys {
	ctx, cancel := context.WithCancel(context.Background())
	return &keys{config: config, url: url, ctx: ctx, cancel: cancel}
}

// start fetches in the background, from now on.
func (k *keys) start(kept []byte, keep func(context.Context, []byte) error) {
	k.keep = keep
	if set, err := parseKeys(kept); err == nil {
		k.set, k.kept = set, string(kept)
	} else if len(kept) > 0 {
		k.config.Log.Warn("kept keys of Supabase can't be read", slog.Any("error", err))
	}
	k.work.Go(k.refresh)
}

func (k *keys) stop() {
	k.mu.Lock()
	k.stopped = true
	k.mu.Unlock()
	k.cancel()
	k.work.Wait()
}

// refresh fetches every so often; after a failure sooner.
func (k *keys) refresh() {
	for failures := 0; ; {
		if err := k.fetch(k.ctx, false); err != nil {
			failures++
		} else {
			failures = 0
		}
		timer := time.NewTimer(k.pause(failures))
		select {
		case <-timer.C:
		case <-k.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// pause is the time until the next fetch, give or take a quarter, so that many
// control planes don't ask at once.
func (k *keys) pause(failures int) time.Duration {
	d := k.config.RefreshTime
	if failures > 0 {
		d = min(time.Second<<min(failures-1, 10), k.config.FetchFloor)
	}
	return d*3/4 + rand.N(d/2+1)
}

func (k *keys) state() (time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at, k.err
}

// find returns a key, and looks for it at Supabase where it is not known.
func (k *keys) find(ctx context.Context, id string) (publicKey, error) {
	if key, ok := k.known(id); ok {
		return key, nil
	}
	err := k.fetch(ctx, true)
	if key, ok := k.known(id); ok {
		return key, nil
	}
	if err != nil {
		return publicKey{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return publicKey{}, ErrUnknownKey
}

func (k *keys) known(id string) (publicKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.set[id]
	return key, ok
}

// fetch waits for a fetch: the one that goes on, or a new one. For an unknown
// key there is a new one only where the last of that kind is long enough ago:
// whoever makes keys up causes no flood. Else the last result stands.
func (k *keys) fetch(ctx context.Context, unknown bool) error {
	k.mu.Lock()
	if k.flight == nil {
		now := k.config.Now()
		ago := now.Sub(k.asked)
		if k.stopped || unknown && !k.asked.IsZero() && ago >= 0 && ago < k.config.FetchFloor {
			defer k.mu.Unlock()
			return k.err
		}
		if unknown {
			k.asked = now
		}
		k.flight = make(chan struct{})
		k.work.Go(k.fly)
	}
	flight := k.flight
	k.mu.Unlock()
	select {
	case <-flight:
		_, err := k.state()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly makes one fetch for all who wait, and ends with none of them.
func (k *keys) fly() {
	set, err := k.get()
	k.fetches.WithLabelValues(outcome(err)).Inc()
	var text []byte
	if err == nil {
		text, err = set.marshal()
	}
	k.mu.Lock()
	changed, first := false, k.kept == ""
	failing := k.err != nil
	if k.err = err; err == nil {
		changed = string(text) != k.kept
		k.set, k.at = set, k.config.Now()
	}
	close(k.flight)
	k.flight = nil
	k.mu.Unlock()

	switch {
	case err != nil && k.ctx.Err() == nil:
		k.config.Log.Warn("Supabase's keys can't be fetched; those from before count on", slog.String("url", k.url), slog.Any("error", err))
	case failing && err == nil:
		k.config.Log.Info("Supabase's keys are fetched again")
	}
	if changed {
		if !first {
			k.config.Log.Info("Supabase's keys are others now", slog.Int("keys", len(set)))
		}
		k.remember(text)
	}
}

// remember keeps a set for the next start. Where that fails the next fetch
// tries again.
func (k *keys) remember(text []byte) {
	ctx, cancel := context.WithTimeout(k.ctx, 10*time.Second)
	defer cancel()
	if err := k.keep(ctx, text); err != nil {
		if k.ctx.Err() == nil {
			k.config.Log.Warn("Supabase's keys can't be kept", slog.Any("error", err))
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = string(text)
}
