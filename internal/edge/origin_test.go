package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// scripted is a bucket with one object whose reads go as a test says: the n-th
// one, from 0 on, as play does it.
type scripted struct {
	blob.Store // panics: nothing but Get is called
	content    []byte
	play       func(ctx context.Context, n int, object *blob.Object) error
	reads      atomic.Int64
	open       atomic.Int64 // bodies that are not closed
}

func (s *scripted) Get(ctx context.Context, _ string, opts blob.GetOptions) (*blob.Object, error) {
	end := int64(len(s.content))
	if opts.Length > 0 {
		end = min(end, opts.Offset+opts.Length)
	}
	object := &blob.Object{Info: blob.Info{Size: int64(len(s.content)), ETag: "e"}, Body: io.NopCloser(bytes.NewReader(s.content[opts.Offset:end]))}
	if s.play != nil {
		if err := s.play(ctx, int(s.reads.Add(1)-1), object); err != nil {
			return nil, err
		}
	}
	s.open.Add(1)
	object.Body = &countedBody{ReadCloser: object.Body, open: &s.open}
	return object, nil
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int64
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// waits lets time pass, unless the context ends.
func waits(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drip is a body that brings one byte a second.
type drip struct {
	io.ReadCloser
	closed chan struct{}
	once   sync.Once
}

func newDrip(body io.ReadCloser) *drip { return &drip{ReadCloser: body, closed: make(chan struct{})} }

func (d *drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return d.ReadCloser.Read(p[:1])
	case <-d.closed:
		return 0, errors.New("closed")
	}
}

func (d *drip) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

var errReset = errors.New("connection reset by peer")

// torn is a body that breaks off after some bytes.
func torn(body io.Reader, after int64, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(io.LimitReader(body, after), failing{err}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// inBubble runs a test of an origin in a bubble, in which time passes only
// while everybody waits. Nothing may be left running or open.
func inBubble(t *testing.T, store *scripted, test func(t *testing.T, o *origin)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := Config{Store: store, BaseDomain: "example.test"}
		if err := c.complete(); err != nil {
			t.Fatal(err)
		}
		all := &tasks{}
		o := newOrigin(&c, newMetrics(nil), all)
		o.random = rand.New(rand.NewPCG(1, 1)).Float64
		test(t, o)
		all.wait()
		synctest.Wait()
		if n := store.open.Load(); n != 0 {
			t.Errorf("%d bodies were not closed", n)
		}
	})
}

func counted(c prometheus.Counter) int {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	return int(families[0].GetMetric()[0].GetCounter().GetValue())
}

func TestReadsAreTriedAgainOnlyWhereThatMayHelp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fails error
		times int // how often it fails before it works
		reads int
		ok    bool
	}{
		{"it works", nil, 0, 1, true},
		{"a reset", errReset, 1, 2, true},
		{"two resets", errReset, 2, 3, true},
		{"three resets", errReset, 3, 3, false},
		{"there is none", fs.ErrNotExist, 1, 1, false},
		{"not modified", fmt.Errorf("get: %w", blob.ErrNotModified), 1, 1, false},
		{"precondition", blob.ErrPrecondition, 1, 1, false},
		{"no key", blob.ErrKey, 1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := &scripted{content: []byte("content"), play: func(_ context.Context, n int, _ *blob.Object) error {
				if n < tt.times {
					return tt.fails
				}
				return nil
			}}
			inBubble(t, store, func(t *testing.T, o *origin) {
				start := time.Now()
				b, etag, err := o.read(t.Context(), kindRoute, "key", "", 100)
				if tt.ok && (err != nil || string(b) != "content" || etag != "e") || !tt.ok && !errors.Is(err, tt.fails) {
					t.Errorf("got %q, %v", b, err)
				}
				if n := int(store.reads.Load()); n != tt.reads {
					t.Errorf("%d reads", n)
				}
				if n := counted(o.metrics.retries[kindRoute]); n != tt.reads-1 {
					t.Errorf("%d retries are counted", n)
				}
				// 50 to 100 ms before the second, 100 to 200 before the third.
				if took := time.Since(start); took < time.Duration(tt.reads-1)*50*time.Millisecond || took > time.Duration(tt.reads-1)*150*time.Millisecond {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestBodiesThatAreNotWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for _, tt := range []struct {
		name string
		harm func(object *blob.Object)
	}{
		{"cut short", func(o *blob.Object) { o.Body = io.NopCloser(io.LimitReader(o.Body, 100)) }},
		{"empty", func(o *blob.Object) { o.Body = io.NopCloser(bytes.NewReader(nil)) }},
		{"reset", func(o *blob.Object) { o.Body = torn(o.Body, 100, errReset) }},
		{"a drip", func(o *blob.Object) { o.Body = newDrip(o.Body) }},
		{"too long", func(o *blob.Object) {
			o.Body = io.NopCloser(io.MultiReader(o.Body, bytes.NewReader(make([]byte, 5000))))
			o.Size = 9999
		}},
	} {
		for _, whole := range []bool{true, false} {
			if !whole && tt.name == "too long" {
				continue // what is behind a range is not read
			}
			t.Run(fmt.Sprintf("%s, whole %t", tt.name, whole), func(t *testing.T) {
				store := &scripted{content: content, play: func(_ context.Context, n int, object *blob.Object) error {
					if n == 0 {
						tt.harm(object)
					}
					return nil
				}}
				inBubble(t, store, func(t *testing.T, o *origin) {
					want := content
					var b []byte
					var err error
					if whole {
						b, _, err = o.read(t.Context(), kindManifest, "key", "", 1<<20)
					} else {
						want = content[50:5050]
						b, err = o.readRange(t.Context(), kindChunk, "key", 50, 5000)
					}
					if err != nil || !bytes.Equal(b, want) || store.reads.Load() != 2 {
						t.Errorf("%d bytes, %v after %d reads", len(b), err, store.reads.Load())
					}
				})
			})
		}
	}
}

func TestAnObjectMayHaveItsLimitAndNoMore(t *testing.T) {
	for size, ok := range map[int]bool{99: true, 100: true, 101: false} {
		store := &scripted{content: make([]byte, size), play: func(context.Context, int, *blob.Object) error { return nil }}
		inBubble(t, store, func(t *testing.T, o *origin) {
			_, _, err := o.read(t.Context(), kindRoute, "key", "", 100)
			if ok != (err == nil) || !ok && !errors.Is(err, errSize) || store.reads.Load() != 1 {
				t.Errorf("%d bytes: %v after %d reads", size, err, store.reads.Load())
			}
		})
	}
}

func TestEveryReadEndsInTime(t *testing.T) {
	for name, play := range map[string]func(ctx context.Context, n int, object *blob.Object) error{
		"it never answers": func(ctx context.Context, _ int, _ *blob.Object) error { <-ctx.Done(); return ctx.Err() },
		"it drips": func(_ context.Context, _ int, object *blob.Object) error {
			object.Body = newDrip(object.Body)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &scripted{content: make([]byte, 1<<20), play: play}
			inBubble(t, store, func(t *testing.T, o *origin) {
				start := time.Now()
				_, err := o.readRange(t.Context(), kindChunk, "key", 0, 1<<20)
				if !errors.Is(err, errSlow) || store.reads.Load() != originTries {
					t.Errorf("%v after %d reads", err, store.reads.Load())
				}
				if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
					t.Errorf("it took %v", took)
				}
				if n := counted(o.metrics.originResults[kindChunk][readTimeout]); n != 1 {
					t.Errorf("%d reads timed out", n)
				}
			})
		})
	}
}

// slowly is a body that brings bytes at a rate.
type slowly struct {
	io.ReadCloser
	perSecond int
}

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.ReadCloser.Read(p[:min(len(p), s.perSecond/10)])
}

func TestALargeReadMayTakeItsTime(t *testing.T) {
	const size = 16 << 20
	for _, tt := range []struct {
		perSecond int
		ok        bool
	}{{leastRate / 2, false}, {leastRate * 9 / 10, false}, {leastRate, true}, {2 * leastRate, true}} {
		store := &scripted{content: make([]byte, size), play: func(_ context.Context, _ int, object *blob.Object) error {
			object.Body = slowly{object.Body, tt.perSecond}
			return nil
		}}
		inBubble(t, store, func(t *testing.T, o *origin) {
			_, _, err := o.read(t.Context(), kindManifest, "key", "", size)
			if tt.ok != (err == nil) {
				t.Errorf("%d bytes a second: %v after %d reads", tt.perSecond, err, store.reads.Load())
			}
		})
	}
}

func TestACallerThatLeavesIsNoFailureOfTheBucket(t *testing.T) {
	store := &scripted{content: []byte("x"), play: func(ctx context.Context, n int, _ *blob.Object) error { return waits(ctx, time.Second) }}
	inBubble(t, store, func(t *testing.T, o *origin) {
		for range 2 * breakerFailures {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if _, _, err := o.read(ctx, kindRoute, "key", "", 10); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if n := store.reads.Load(); n != 2*breakerFailures {
			t.Errorf("%d reads", n)
		}
		if n := counted(o.metrics.originResults[kindRoute][readCanceled]); n != 2*breakerFailures {
			t.Errorf("%d are counted as left", n)
		}
		if o.kinds[kindRoute].breaker.now() != breakerClosed {
			t.Error("the breaker opened")
		}
	})
}

// TestSlowReadsAreHedged reads from a bucket where every 20th read hangs: a
// second one is sent for it, and only for it.
func TestSlowReadsAreHedged(t *testing.T) {
	store := &scripted{content: []byte("content")}
	var hangs atomic.Bool
	var late atomic.Int64
	store.play = func(ctx context.Context, n int, _ *blob.Object) error {
		if hangs.CompareAndSwap(true, false) {
			<-ctx.Done()
			late.Add(1)
			return ctx.Err()
		}
		return waits(ctx, 20*time.Millisecond)
	}
	inBubble(t, store, func(t *testing.T, o *origin) {
		const rounds, hung = 200, 20 - 1
		for n := range rounds {
			hangs.Store(n%25 == 24 && n > 40)
			start := time.Now()
			b, _, err := o.read(t.Context(), kindProject, "key", "", 10)
			if err != nil || string(b) != "content" {
				t.Fatalf("read %d: %q, %v", n, b, err)
			}
			if took := time.Since(start); took > 60*time.Millisecond {
				t.Errorf("read %d took %v", n, took)
			}
		}
		sent, won := counted(o.metrics.hedgesSent[kindProject]), counted(o.metrics.hedgesWon[kindProject])
		if sent != 7 || won != 7 || late.Load() != 7 {
			t.Errorf("%d hedges were sent, %d won, %d of the first reads were cancelled", sent, won, late.Load())
		}
		if n := counted(o.metrics.retries[kindProject]); n != 0 {
			t.Errorf("%d retries", n)
		}
	})
}

func TestHedgesAreAFewOfAll(t *testing.T) {
	var slow atomic.Bool
	store := &scripted{content: []byte("content"), play: func(ctx context.Context, n int, _ *blob.Object) error {
		if slow.Load() {
			return waits(ctx, 500*time.Millisecond)
		}
		return waits(ctx, 10*time.Millisecond)
	}}
	inBubble(t, store, func(t *testing.T, o *origin) {
		const before, after = 50, 400
		for n := range before + after {
			slow.Store(n >= before)
			if _, _, err := o.read(t.Context(), kindRoute, "key", "", 10); err != nil {
				t.Fatal(err)
			}
		}
		sent := counted(o.metrics.hedgesSent[kindRoute])
		if sent == 0 || float64(sent) > hedgeShare*(before+after) {
			t.Errorf("%d of %d reads were hedged", sent, before+after)
		}
		if n := int(store.reads.Load()); n != before+after+sent {
			t.Errorf("%d reads", n)
		}
	})
}

// TestTheSecondReadMayFail: whatever becomes of the second read, the first one's
// result counts, and the other way round.
func TestTheSecondReadMayFail(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second error
		firstTakes    time.Duration
		wrong         error
	}{
		{"the second fails", nil, errReset, 200 * time.Millisecond, nil},
		{"the first fails", errReset, nil, 60 * time.Millisecond, nil},
		{"the second says that there is none", nil, fs.ErrNotExist, 200 * time.Millisecond, fs.ErrNotExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var at atomic.Int64
			store := &scripted{content: []byte("content")}
			store.play = func(ctx context.Context, n int, _ *blob.Object) error {
				switch n - int(at.Load()) {
				case 0:
					return errors.Join(waits(ctx, tt.firstTakes), tt.first)
				case 1:
					return errors.Join(waits(ctx, 50*time.Millisecond), tt.second)
				}
				return waits(ctx, 20*time.Millisecond)
			}
			at.Store(1 << 40)
			inBubble(t, store, func(t *testing.T, o *origin) {
				for range 50 {
					if _, _, err := o.read(t.Context(), kindRoute, "key", "", 10); err != nil {
						t.Fatal(err)
					}
				}
				at.Store(store.reads.Load())
				b, _, err := o.read(t.Context(), kindRoute, "key", "", 10)
				if !errors.Is(err, tt.wrong) || tt.wrong == nil && string(b) != "content" {
					t.Errorf("got %q, %v", b, err)
				}
				if n := counted(o.metrics.hedgesSent[kindRoute]); n != 1 {
					t.Errorf("%d hedges", n)
				}
			})
		})
	}
}

func TestQuantile(t *testing.T) {
	for name, times := range map[string]func(r *rand.Rand) time.Duration{
		"the same":    func(*rand.Rand) time.Duration { return 3 * time.Millisecond },
		"even":        func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(time.Second))) },
		"exponential": func(r *rand.Rand) time.Duration { return time.Duration(r.ExpFloat64() * float64(time.Millisecond)) },
		"none":        func(*rand.Rand) time.Duration { return 0 },
		"hours":       func(*rand.Rand) time.Duration { return time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			q, r := &quantile{}, rand.New(rand.NewPCG(1, 2))
			for n := range quantileLeast {
				if _, known := q.p95(); known {
					t.Fatalf("known after %d", n)
				}
				q.add(times(r))
			}
			var all []time.Duration
			for range 5000 {
				all = append(all, times(r))
				q.add(all[len(all)-1])
			}
			slices.Sort(all)
			want := min(max(all[len(all)*95/100], time.Microsecond), time.Minute)
			got, known := q.p95()
			if !known || float64(got) < 0.85*float64(want) || float64(got) > 1.4*float64(want) {
				t.Errorf("got %v, want about %v", got, want)
			}
		})
	}
}

func TestQuantileFollows(t *testing.T) {
	q := &quantile{}
	for range 10_000 {
		q.add(10 * time.Millisecond)
	}
	for range 1000 {
		q.add(100 * time.Millisecond)
	}
	if got, _ := q.p95(); got < 100*time.Millisecond {
		t.Errorf("got %v", got)
	}
}

func TestBreaker(t *testing.T) {
	var away atomic.Bool
	store := &scripted{content: []byte("x"), play: func(ctx context.Context, _ int, _ *blob.Object) error {
		if away.Load() {
			return errReset
		}
		return nil
	}}
	inBubble(t, store, func(t *testing.T, o *origin) {
		b := &o.kinds[kindRoute].breaker
		read := func() error {
			_, _, err := o.read(t.Context(), kindRoute, "key", "", 10)
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		away.Store(true)
		// Many reads that fail together are one event.
		for range 4 {
			if err := read(); !errors.Is(err, errReset) || b.now() != breakerClosed && time.Since(b.good) < breakerQuiet {
				t.Fatal(err, b.now())
			}
		}
		time.Sleep(breakerQuiet)
		if err := read(); !errors.Is(err, errReset) || b.now() != breakerOpen {
			t.Fatalf("after %d failures: %v, state %d", b.failures, err, b.now())
		}
		before, start := store.reads.Load(), time.Now()
		for range 100 {
			if err := read(); !errors.Is(err, errBreaker) {
				t.Fatal(err)
			}
		}
		if store.reads.Load() != before || time.Since(start) != 0 {
			t.Errorf("while it is open: %d reads, %v", store.reads.Load()-before, time.Since(start))
		}
		if n := counted(o.metrics.originResults[kindRoute][readRefused]); n != 100 {
			t.Errorf("%d are counted as refused", n)
		}
		// Other kinds are asked for all the same.
		away.Store(false)
		if _, _, err := o.read(t.Context(), kindProject, "key", "", 10); err != nil {
			t.Error(err)
		}
		away.Store(true)
		// One read at a time finds out whether it is back, and no more often than every few seconds.
		before = store.reads.Load()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if err := read(); err == nil {
				t.Fatal("it is away")
			}
		}
		if n := store.reads.Load() - before; n < 60/5 || n > 60/4+3 {
			t.Errorf("%d probes in a minute", n)
		}
		away.Store(false)
		time.Sleep(breakerMost)
		if err := read(); err != nil || b.now() != breakerClosed {
			t.Errorf("it is back: %v, state %d", err, b.now())
		}
	})
}

func TestOneProbeAtATime(t *testing.T) {
	var hangs atomic.Bool
	release := make(chan struct{})
	store := &scripted{content: []byte("x"), play: func(ctx context.Context, _ int, _ *blob.Object) error {
		if hangs.Load() {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return errReset
	}}
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		c := Config{Store: store, BaseDomain: "example.test"}
		if err := c.complete(); err != nil {
			t.Fatal(err)
		}
		o := newOrigin(&c, newMetrics(nil), &tasks{})
		b := &o.kinds[kindChunk].breaker
		for b.now() != breakerOpen {
			_, _ = o.readRange(t.Context(), kindChunk, "key", 0, 1)
			time.Sleep(100 * time.Millisecond)
		}
		hangs.Store(true)
		time.Sleep(breakerMost)
		// The first probe's client leaves: that says nothing.
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := o.readRange(ctx, kindChunk, "key", 0, 1); !errors.Is(err, context.Canceled) || b.now() != breakerOpen {
			t.Fatalf("%v, state %d", err, b.now())
		}
		probed := make(chan error, 1)
		go func() {
			_, err := o.readRange(t.Context(), kindChunk, "key", 0, 1)
			probed <- err
		}()
		synctest.Wait()
		if b.now() != breakerHalfOpen {
			t.Errorf("state %d", b.now())
		}
		if _, err := o.readRange(t.Context(), kindChunk, "key", 0, 1); !errors.Is(err, errBreaker) {
			t.Errorf("beside the probe: %v", err)
		}
		close(release)
		if err := <-probed; err != nil || b.now() != breakerClosed {
			t.Errorf("the probe: %v, state %d", err, b.now())
		}
	})
}

func TestTheChangeLogIsAskedWhateverTheBreakerSays(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	store := &scripted{content: []byte("x"), play: func(context.Context, int, *blob.Object) error {
		if away.Load() {
			return errReset
		}
		return nil
	}}
	inBubble(t, store, func(t *testing.T, o *origin) {
		o.down.Store(true)
		if _, _, err := o.read(t.Context(), kindRoute, "key", "", 10); !errors.Is(err, errReset) || store.reads.Load() != 1 {
			t.Errorf("where the bucket is known to be down, one failure is enough: %v after %d reads", err, store.reads.Load())
		}
		for range 20 {
			before := store.reads.Load()
			if _, _, err := o.read(t.Context(), kindHead, "head", "", 10); !errors.Is(err, errReset) || store.reads.Load() == before {
				t.Fatal(err)
			}
		}
		away.Store(false)
		o.down.Store(false)
		o.recovered()
		if _, _, err := o.read(t.Context(), kindRoute, "key", "", 10); err != nil {
			t.Error(err)
		}
	})
}
