// Package streamtest is the conformance suite of [controlplane.Stream]: what the
// control plane relies on, whatever stream it runs on.
package streamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Open opens an empty stream that ends in a log store.
type Open func(t *testing.T, logs controlplane.LogStore) controlplane.Stream

// Run runs the suite.
func Run(t *testing.T, logs func(t *testing.T) controlplane.LogStore, open Open) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *suite)
	}{
		{"what is published is stored in order", testStored},
		{"it is known whether all is stored", testStoredBefore},
		{"what is published again is stored once", testOnce},
		{"only lines are stored", testStates},
		{"nothing published is lost while the log store is away", testStoreAway},
		{"a tail gives what is published", testTail},
		{"a tail gives its own deployment alone", testOwn},
		{"history and tail give each line once", testHistoryAndTail},
		{"the end of a tail is behind all that was published", testEnd},
		{"a slow reader's tail loses nothing unsaid", testSlow},
		{"a whole tail begins with the first line", testWhole},
		{"a closed tail ends", testClose},
		{"many deployments publish at once", testMany},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &suite{logs: &Gate{LogStore: logs(t)}}
			s.Stream = open(t, s.logs)
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { s.Run(ctx) })
			t.Cleanup(func() {
				cancel()
				running.Wait()
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			test.run(t, s)
		})
	}
}

type suite struct {
	controlplane.Stream
	logs *Gate
}

// Gate is a log store that answers nothing while it is down.
type Gate struct {
	controlplane.LogStore
	Down    atomic.Bool
	Appends atomic.Int64
}

// ErrDown is what it fails with.
var ErrDown = errors.New("the log store is down")

// Append implements [controlplane.LogStore].
func (g *Gate) Append(ctx context.Context, batches ...controlplane.LogBatch) error {
	g.Appends.Add(1)
	if g.Down.Load() {
		return ErrDown
	}
	return g.LogStore.Append(ctx, batches...)
}

// Lines implements [controlplane.LogStore].
func (g *Gate) Lines(ctx context.Context, log controlplane.LogRef, after controlplane.Cursor, limit int, query string) ([]controlplane.LogLine, error) {
	if g.Down.Load() {
		return nil, ErrDown
	}
	return g.LogStore.Lines(ctx, log, after, limit, query)
}

// Ref names a log of a deployment that was made just now.
func Ref(deployment string) controlplane.LogRef {
	return controlplane.LogRef{Deployment: deployment, Created: time.Now().UTC().Truncate(time.Microsecond)}
}

// Event is a log event whose first line has a number.
func Event(log controlplane.LogRef, attempt int, seq int64, texts ...string) site.Event {
	e := site.Event{
		Version: site.EventVersion, Deployment: log.Deployment, Attempt: attempt, Seq: seq, Time: log.Created,
		Type: site.EventLog, Phase: site.PhaseBuild,
	}
	for _, text := range texts {
		e.Lines = append(e.Lines, site.LogLine{Time: log.Created, Stream: site.Stdout, Text: text})
	}
	return e
}

// Publish publishes, again where it fails, as builders do.
func Publish(t testing.TB, s controlplane.Stream, log controlplane.LogRef, events ...site.Event) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		err := s.Publish(t.Context(), log, events)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("publish: %v", err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Texts of a number of lines, from one on.
func Texts(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprint("line ", i))
	}
	return texts
}

// Stored reads all lines of a log.
func Stored(t testing.TB, logs controlplane.LogStore, log controlplane.LogRef) (texts []string) {
	t.Helper()
	lines, err := logs.Lines(t.Context(), log, controlplane.Cursor{}, 1<<20, "")
	if err != nil {
		return nil // it may be down
	}
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	return texts
}

// WantStored waits until the log store has exactly these lines.
func WantStored(t testing.TB, logs controlplane.LogStore, log controlplane.LogRef, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if got = Stored(t, logs, log); slices.Equal(got, want) {
			return
		}
		if len(got) > len(want) {
			break
		}
	}
	t.Fatalf("%s: %d lines are stored, %d expected: %.300q", log.Deployment, len(got), len(want), got)
}

// Reader takes a tail's lines as a follower does: each once.
type Reader struct {
	Tail     controlplane.Tail
	Texts    []string
	cursor   controlplane.Cursor
	position int64
}

// Take adds lines that are behind the last.
func (r *Reader) Take(lines []controlplane.LogLine) {
	for _, l := range lines {
		if r.cursor.Before(l.Attempt, l.Seq) {
			r.cursor = controlplane.Cursor{Attempt: l.Attempt, Seq: l.Seq}
			r.Texts = append(r.Texts, l.Text)
		}
	}
}

// Until reads until there are so many lines; false: the tail has ended.
func (r *Reader) Until(t testing.TB, n int) bool {
	t.Helper()
	timeout := time.After(time.Minute)
	for len(r.Texts) < n {
		select {
		case some, open := <-r.Tail.Lines():
			if !open {
				return false
			}
			r.position = some.Position
			r.Take(some.Lines)
		case <-timeout:
			t.Fatalf("the tail has given %d lines of %d", len(r.Texts), n)
		}
	}
	return true
}

// ToEnd reads what was published before.
func (r *Reader) ToEnd(t testing.TB) {
	t.Helper()
	end, err := r.Tail.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	timeout := time.After(time.Minute)
	for r.position < end {
		select {
		case some, open := <-r.Tail.Lines():
			if !open {
				t.Fatal("the tail has ended")
			}
			r.position = some.Position
			r.Take(some.Lines)
		case <-timeout:
			t.Fatalf("the tail stands at %d of %d", r.position, end)
		}
	}
}

func (s *suite) tail(t *testing.T, log controlplane.LogRef, whole bool) *Reader {
	t.Helper()
	tail, err := s.Tail(t.Context(), log, whole)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tail.Close)
	return &Reader{Tail: tail}
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: %d lines, %d expected: %.300q", what, len(got), len(want), got)
	}
}
