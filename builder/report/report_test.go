package report

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/site"
)

// plane takes events as the control plane does.
type plane struct {
	mu     sync.Mutex
	events []site.Event
	away   bool
	fails  int // of the next calls
	answer func() (bool, error)
	calls  int
	watch  func(batch []byte) // nil: nobody does
}

func (p *plane) send(_ context.Context, batch []byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	if p.watch != nil {
		p.watch(batch)
	}
	if p.fails > 0 || p.away {
		p.fails--
		return false, errors.New("connection refused")
	}
	if p.answer != nil {
		return p.answer()
	}
	if len(batch) > 4<<20 {
		return false, &RefusedError{fmt.Errorf("a batch of %d bytes", len(batch))}
	}
	events, err := site.DecodeEvents(batch)
	p.events = append(p.events, events...)
	return false, err
}

func (p *plane) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func start(t *testing.T, p *plane, timing Timing) (*Reporter, <-chan error) {
	t.Helper()
	over := make(chan error, 10)
	if timing.Least == 0 {
		timing.Least, timing.Most = time.Millisecond, 2*time.Millisecond
	}
	r, err := New(Options{
		Send: p.send, Job: &site.Job{Deployment: "d", Attempt: 2}, SpoolPath: filepath.Join(t.TempDir(), "spool"),
		Over: func(err error) { over <- err }, Timing: timing,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, over
}

func line(text string) site.LogLine {
	return site.LogLine{Time: time.Unix(1, 0).UTC(), Stream: site.Stdout, Text: text}
}

// check asserts that the numbers have no gap, and returns a short form.
func (p *plane) check(t *testing.T) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	next, out := int64(1), []string{}
	for _, e := range p.events {
		if e.Seq != next || e.Deployment != "d" || e.Attempt != 2 || e.Version != site.EventVersion || e.Time.IsZero() {
			t.Fatalf("number %d expected: %+v", next, e)
		}
		next += e.Numbers()
		word := string(e.Type)
		if e.Phase != "" {
			word += ":" + string(e.Phase)
		}
		for _, l := range e.Lines {
			word += " " + l.Text
		}
		out = append(out, word+e.Reason)
	}
	return strings.Join(out, "|")
}

func TestEventsArriveInOrder(t *testing.T) {
	p := &plane{fails: 3}
	r, _ := start(t, p, Timing{})
	r.Started()
	r.Phase(site.PhaseClone)
	r.Line(line("a"))
	r.Line(line("b"))
	r.Phase(site.PhaseBuild)
	r.Line(line("<c>"))
	r.Failed(" broken")
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.check(t); got != "started|phase:clone|log:clone a b|phase:build|log:build <c>|failed:build broken" {
		t.Error(got)
	}
}

func TestNothingIsLostWhileTheControlPlaneIsAway(t *testing.T) {
	p := &plane{away: true}
	r, _ := start(t, p, Timing{})
	text := strings.Repeat("x", 1000)
	for range 10_000 {
		r.Line(line(text))
	}
	if len(r.lines) > 100 {
		t.Errorf("%d lines are held in memory", len(r.lines))
	}
	p.set(func() { p.away = false })
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(p.check(t), text); got != 10_000 {
		t.Errorf("%d lines", got)
	}
	if info, err := r.spool.file.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the spool still takes %v bytes, %v", info.Size(), err)
	}
}

// TestStatesAreToldWhileLinesCantBeKept has a control plane that acts on what it
// sees, and takes nothing for the log.
func TestStatesAreToldWhileLinesCantBeKept(t *testing.T) {
	p := &plane{}
	seen := map[site.Phase]bool{}
	p.watch = func(batch []byte) {
		events, err := site.DecodeEvents(batch)
		if err != nil {
			t.Error(err)
		}
		for _, e := range events {
			if e.Type == site.EventPhase {
				seen[e.Phase] = true
			}
		}
	}
	p.set(func() { p.away = true })
	r, _ := start(t, p, Timing{})
	r.Line(line("a"))
	for _, phase := range []site.Phase{site.PhaseClone, site.PhaseBuild} {
		r.Phase(phase)
		poll(t, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return seen[phase]
		})
		r.Line(line(string(phase)))
	}
	p.set(func() { p.away = false })
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.check(t); got != "log a|phase:clone|log:clone clone|phase:build|log:build build" {
		t.Error(got)
	}
}

func TestAFullSpoolSaysWhatIsMissing(t *testing.T) {
	p := &plane{away: true}
	r, _ := start(t, p, Timing{})
	r.spool.limit = 1000
	for i := range 5 {
		r.Line(line(strings.Repeat("x", 300)))
		r.Phase(site.Phase(fmt.Sprint(i)))
	}
	p.set(func() { p.away = false })
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Line(line("more"))
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := p.check(t)
	if !strings.Contains(got, "lines are missing here") || !strings.HasSuffix(got, "more") || !strings.Contains(got, "phase:4") {
		t.Error(got)
	}
}

func TestHeartbeatsComeAndDontPileUp(t *testing.T) {
	p := &plane{away: true}
	r, _ := start(t, p, Timing{Heartbeat: time.Millisecond})
	r.Started()
	poll(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.calls > 20 })
	p.set(func() { p.away = false })
	poll(t, func() bool { return strings.Count(p.check(t), "heartbeat") > 3 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next > 1000 {
		t.Errorf("%d numbers", r.next)
	}
}

func TestTheEndOfTheAttemptIsToldOnce(t *testing.T) {
	for name, answer := range map[string]func() (bool, error){
		"canceled":   func() (bool, error) { return true, nil },
		"void token": func() (bool, error) { return false, fmt.Errorf("401: %w", ErrOver) },
	} {
		p := &plane{answer: answer}
		r, over := start(t, p, Timing{})
		r.Started()
		if err := <-over; !errors.Is(err, ErrOver) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Flush(t.Context()); !errors.Is(err, ErrOver) {
			t.Errorf("%s: flush: %v", name, err)
		}
	}
}

func TestARefusedBatchIsNotSentAgain(t *testing.T) {
	p := &plane{answer: func() (bool, error) { return false, &RefusedError{errors.New("422")} }}
	r, over := start(t, p, Timing{})
	r.Started()
	if err := <-over; errors.Is(err, ErrOver) || !strings.Contains(err.Error(), "422") {
		t.Error(err)
	}
	if p.calls != 1 {
		t.Errorf("%d calls", p.calls)
	}
}

func TestAPublishedDeploymentCancelsNothing(t *testing.T) {
	p := &plane{}
	r, over := start(t, p, Timing{})
	r.Started()
	if err := r.Publishing(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.answer = func() (bool, error) { return false, ErrOver } })
	r.Line(line("late"))
	if err := r.Flush(t.Context()); !errors.Is(err, ErrOver) {
		t.Errorf("flush: %v", err)
	}
	if len(over) != 0 {
		t.Error("the attempt was ended")
	}
}

func TestAFinishedBuildDoesNotWaitForItsLogForEver(t *testing.T) {
	p := &plane{away: true}
	r, over := start(t, p, Timing{Last: 10 * time.Millisecond})
	r.Line(line("lost"))
	if err := r.Publishing(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.set(func() { p.away, p.answer = false, func() (bool, error) { return false, ErrOver } })
	if err := r.Flush(t.Context()); !errors.Is(err, ErrOver) || len(over) != 0 {
		t.Errorf("flush: %v; the attempt was ended %d times", err, len(over))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p = &plane{away: true}
	r, _ = start(t, p, Timing{})
	r.Line(line("waits"))
	if err := r.Publishing(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestFlushGivesUpWithItsContext(t *testing.T) {
	p := &plane{away: true}
	r, _ := start(t, p, Timing{})
	r.Started()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func poll(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("never happened")
		}
		time.Sleep(time.Millisecond)
	}
}
