package stream

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// tailBuffer is how many batches of lines wait for a slow reader. Beyond it the
// tail ends; a builder never waits for a reader.
const tailBuffer = 64

// Direct is a stream within this process: what is published is stored at once.
type Direct struct {
	logs controlplane.LogStore

	mu    sync.Mutex
	tails map[string]map[*directTail]struct{} // by deployment
}

var _ controlplane.Stream = (*Direct)(nil)

// NewDirect makes a stream that ends in a log store.
func NewDirect(logs controlplane.LogStore) *Direct {
	return &Direct{logs: logs, tails: map[string]map[*directTail]struct{}{}}
}

// Publish implements [controlplane.Stream].
func (s *Direct) Publish(ctx context.Context, log controlplane.LogRef, events []site.Event) error {
	var lines []controlplane.LogLine
	for i := range events {
		lines = append(lines, controlplane.EventLines(&events[i])...)
	}
	if len(lines) == 0 {
		return nil
	}
	if err := s.logs.Append(ctx, controlplane.LogBatch{LogRef: log, Lines: lines}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.tails[log.Deployment] {
		s.offer(t, lines)
	}
	return nil
}

// offer gives lines to a tail, or ends it: who has lost some would take the
// later ones for the next. The stream is locked.
func (s *Direct) offer(t *directTail, lines []controlplane.LogLine) {
	t.position++
	select {
	case t.lines <- controlplane.TailLines{Lines: lines, Position: t.position}:
	default:
		s.drop(t)
	}
}

// drop closes a tail's channel, once.
func (s *Direct) drop(t *directTail) {
	if _, ok := s.tails[t.deployment][t]; !ok {
		return
	}
	delete(s.tails[t.deployment], t)
	if len(s.tails[t.deployment]) == 0 {
		delete(s.tails, t.deployment)
	}
	close(t.lines)
}

// Tail implements [controlplane.Stream]. Nothing is kept here, so none is whole.
func (s *Direct) Tail(_ context.Context, log controlplane.LogRef, whole bool) (controlplane.Tail, error) {
	if whole {
		return nil, controlplane.ErrNotWhole
	}
	t := &directTail{stream: s, deployment: log.Deployment, lines: make(chan controlplane.TailLines, tailBuffer)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tails[t.deployment] == nil {
		s.tails[t.deployment] = map[*directTail]struct{}{}
	}
	s.tails[t.deployment][t] = struct{}{}
	return t, nil
}

// Stored implements [controlplane.Stream].
func (s *Direct) Stored(context.Context, controlplane.LogRef, time.Time) (bool, error) {
	return true, nil
}

// Everywhere implements [controlplane.Stream].
func (s *Direct) Everywhere() bool { return false }

// Run implements [controlplane.Stream]: there is nothing to move.
func (s *Direct) Run(context.Context) {}

// Parts implements [controlplane.Stream]: the log store answers for itself.
func (s *Direct) Parts(context.Context) map[string]error { return nil }

// Collectors implements [controlplane.Stream].
func (s *Direct) Collectors() []prometheus.Collector { return nil }

// Close implements [controlplane.Stream]. The log store is not the stream's.
func (s *Direct) Close() error { return nil }

// directTail is a reader of one deployment's lines. Its position counts batches.
type directTail struct {
	stream     *Direct
	deployment string
	lines      chan controlplane.TailLines
	position   int64
}

// Lines implements [controlplane.Tail].
func (t *directTail) Lines() <-chan controlplane.TailLines { return t.lines }

// End implements [controlplane.Tail].
func (t *directTail) End(context.Context) (int64, error) {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	return t.position, nil
}

// Close implements [controlplane.Tail].
func (t *directTail) Close() {
	t.stream.mu.Lock()
	defer t.stream.mu.Unlock()
	t.stream.drop(t)
}
