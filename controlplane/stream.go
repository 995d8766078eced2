package controlplane

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Stream takes the events of builders to the log store, and meanwhile to whoever
// follows a deployment. Any method may be called by many goroutines at once.
type Stream interface {
	// Publish hands in events of one deployment, in their order, and returns once
	// they are safe: whatever dies now, they reach the log store. After an error
	// some of them may do so all the same; publish all of them again.
	Publish(ctx context.Context, log LogRef, events []site.Event) error

	// Tail follows a deployment's log from a place before which the log store has
	// every line; a whole one from the first line, for when the log store does not
	// answer, or fails with [ErrNotWhole].
	Tail(ctx context.Context, log LogRef, whole bool) (Tail, error)

	// Stored reports whether the log store has all lines of a log that were
	// published before a time.
	Stored(ctx context.Context, log LogRef, before time.Time) (bool, error)

	// Everywhere reports whether tails see what other control planes publish.
	Everywhere() bool

	// Run moves what is published to the log store until ctx ends.
	Run(ctx context.Context)

	// Parts says of each part that the stream depends on whether it answers.
	Parts(ctx context.Context) map[string]error

	// Collectors returns what to register with a Prometheus registry.
	Collectors() []prometheus.Collector

	Close() error
}

// ErrNotWhole says that a stream does not have all lines of a log any more.
var ErrNotWhole = errors.New("the stream does not reach back to the beginning of the log")

// Tail gives the lines of one deployment as they are published. Close ends it.
type Tail interface {
	// Lines gives lines in order, some perhaps again. The channel is closed when
	// some were lost: begin again, with a new tail.
	Lines() <-chan TailLines

	// End is the position behind all that was published before the call.
	End(ctx context.Context) (position int64, err error)

	Close()
}

// TailLines are some lines, perhaps none, and the position behind them.
type TailLines struct {
	Lines    []LogLine
	Position int64
}

// EventLines returns the lines of an event as the log store keeps them.
func EventLines(e *site.Event) []LogLine {
	lines := make([]LogLine, len(e.Lines))
	for i, l := range e.Lines {
		lines[i] = LogLine{Attempt: e.Attempt, Seq: e.Seq + int64(i), Time: l.Time, Stream: l.Stream, Phase: e.Phase, Text: l.Text}
	}
	return lines
}
