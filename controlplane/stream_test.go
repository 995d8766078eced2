package controlplane_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/controlplane/stream"
	"github.com/mini-vercel/mini-vercel/controlplane/stream/streamtest"
	"github.com/mini-vercel/mini-vercel/internal/kafkatest"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// overStream makes the plane's service anew, on a stream of another kind and a
// log store that can be away.
func (p *plane) overStream(open func(logs controlplane.LogStore) controlplane.Stream) *streamtest.Gate {
	gate := &streamtest.Gate{LogStore: p.logs}
	p.Service = p.service(p.runner, gate, open(gate))
	return gate
}

func (p *plane) service(runner controlplane.Runner, logs controlplane.LogStore, events controlplane.Stream) *controlplane.Service {
	return controlplane.New(p.config, p.store, logs, events, p.bucket, runner, slog.New(slog.NewTextHandler(testWriter{p.t}, nil)))
}

// overKafka makes two control planes on one Kafka, a database and a log store.
func overKafka(t *testing.T, topic string) (p *plane, other *controlplane.Service, gate *streamtest.Gate) {
	t.Helper()
	c := kafkatest.Shared(t)
	p = newPlane(t, func(p *plane) { p.config.Exclusive, p.config.Now = false, time.Now }) // messages have real times
	open := func(logs controlplane.LogStore) controlplane.Stream {
		k, err := stream.OpenKafka(t.Context(), stream.KafkaOptions{Brokers: c.Plain(), Topic: topic, Partitions: 3, StoreEvery: 5 * time.Millisecond}, logs, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.Close() })
		return k
	}
	gate = p.overStream(open)
	other = p.service(p.runner, gate, open(gate)) // whichever starts a build
	p.start()
	mine := p.Service
	p.Service = other
	p.start()
	p.Service = mine
	return p, other, gate
}

// followed is what a follower was told.
type followed struct {
	lines  []string
	said   []string // everything, in a word each
	end    bool
	events <-chan controlplane.LogEvent
	t      *testing.T
}

func follow(t *testing.T, s *controlplane.Service, p *plane, id string) *followed {
	t.Helper()
	events, err := s.FollowLogs(t.Context(), p.me, id, "")
	if err != nil {
		t.Fatal(err)
	}
	return &followed{events: events, t: t}
}

// until reads until enough was said.
func (f *followed) until(what string, enough func() bool) {
	f.t.Helper()
	timeout := time.After(30 * time.Second)
	for !enough() {
		select {
		case e, open := <-f.events:
			switch {
			case !open:
				f.t.Fatalf("it ended before %s: %v", what, f.said)
			case e.Line != nil:
				f.lines = append(f.lines, e.Line.Text)
				f.said = append(f.said, e.Line.Text)
			case e.State != nil:
				f.said = append(f.said, string(e.State.Status))
			case e.History != nil:
				f.said = append(f.said, fmt.Sprint("delayed:", e.History.Delayed))
			case e.End:
				f.end = true
				f.said = append(f.said, "end")
			}
		case <-timeout:
			f.t.Fatalf("not within 30 s: %s: %d lines, %.500q", what, len(f.lines), f.said)
		}
	}
}

func (f *followed) has(word string) bool { return slices.Contains(f.said, word) }

func numbered(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprint("line ", i))
	}
	return texts
}

func TestFollowerOnAnotherControlPlane(t *testing.T) {
	t.Parallel()
	p, other, gate := overKafka(t, "another")
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	early := follow(t, other, p, d.ID)
	for i := 0; i < 300; i += 10 {
		b.report(lines(numbered(i, i+10)...))
	}
	late := follow(t, other, p, d.ID)
	b.report(lines(numbered(300, 310)...), site.Event{Type: site.EventFailed, Reason: "done"})
	for i, f := range []*followed{early, late, follow(t, p.Service, p, d.ID)} {
		f.until("the end", func() bool { return f.end })
		if !slices.Equal(f.lines, numbered(0, 310)) {
			t.Errorf("%d lines: %.300q", len(f.lines), f.lines)
		}
		// The state comes behind the lines that led to it; the last one began then.
		if n := len(f.said); i < 2 && f.said[n-2] != "FAIL" || f.has("delayed:true") {
			t.Errorf("follower %d said FAIL at %d of %d: %.300q", i, slices.Index(f.said, "FAIL"), n, f.said[max(n-5, 0):])
		}
	}
	streamtest.WantStored(t, gate, controlplane.LogRef{Deployment: d.ID, Created: d.CreatedAt}, numbered(0, 310))
}

func TestLogsGoOnWhileTheLogStoreIsAway(t *testing.T) {
	t.Parallel()
	p, other, gate := overKafka(t, "away")
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	before := follow(t, other, p, d.ID)
	b.report(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}, lines(numbered(0, 50)...))
	before.until("its lines", func() bool { return len(before.lines) == 50 })

	gate.Down.Store(true)
	during := follow(t, other, p, d.ID)
	during.until("the lines that were there", func() bool { return len(during.lines) == 50 })
	if !during.has("delayed:true") {
		t.Errorf("said: %.300q", during.said)
	}
	b.report(lines(numbered(50, 100)...))
	for _, f := range []*followed{before, during} {
		f.until("lines that come meanwhile", func() bool { return len(f.lines) == 100 })
	}
	if _, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{}); controlplane.CodeOf(err) != controlplane.CodeUnavailable {
		t.Errorf("the log can be read: %v", err)
	}

	gate.Down.Store(false)
	during.until("the log store is back", func() bool { return during.has("delayed:false") })
	b.report(lines(numbered(100, 110)...))
	b.finish(page)
	for _, f := range []*followed{before, during, follow(t, p.Service, p, d.ID)} {
		f.until("the end", func() bool { return f.end })
		if !slices.Equal(f.lines, numbered(0, 110)) {
			t.Errorf("%d lines: %.300q", len(f.lines), f.lines)
		}
	}
	streamtest.WantStored(t, gate, controlplane.LogRef{Deployment: d.ID, Created: d.CreatedAt}, numbered(0, 110))
}

func TestADeploymentThatEndsWhileTheLogStoreIsAwayHasItsWholeLog(t *testing.T) {
	p, other, gate := overKafka(t, "ends")
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	gate.Down.Store(true)
	b.report(lines(numbered(0, 30)...), site.Event{Type: site.EventFailed, Reason: "done"})
	p.is(d.ID, controlplane.StatusFail)
	f := follow(t, other, p, d.ID)
	f.until("the end", func() bool { return f.end })
	if !slices.Equal(f.lines, numbered(0, 30)) || !f.has("delayed:true") {
		t.Errorf("said: %.300q", f.said)
	}
	gate.Down.Store(false)
	// Who reads the log takes what there is for the whole, and so waits for it.
	got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{})
	if err != nil || len(got) != 30 {
		t.Errorf("%d lines, %v", len(got), err)
	}
}

// behindStream never gets all into the log store. Whoever asks gives up then.
type behindStream struct {
	controlplane.Stream
	giveUp func()
}

func (s *behindStream) Stored(context.Context, controlplane.LogRef, time.Time) (bool, error) {
	s.giveUp()
	return false, nil
}

func TestAnEndedLogThatIsNotAllThereIsNotGivenOut(t *testing.T) {
	p := newPlane(t)
	behind := &behindStream{}
	p.overStream(func(logs controlplane.LogStore) controlplane.Stream {
		behind.Stream = stream.NewDirect(logs)
		return behind
	})
	p.start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	b.report(lines("a"))
	read := func() (int, error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		behind.giveUp = cancel
		got, _, err := p.Logs(ctx, p.me, d.ID, controlplane.LogQuery{})
		return len(got), err
	}
	if n, err := read(); n != 1 || err != nil {
		t.Errorf("while it is built: %d lines, %v", n, err)
	}
	b.report(site.Event{Type: site.EventFailed, Reason: "done"})
	_, err := read()
	wantCode(t, err, controlplane.CodeUnavailable)
	p.clock.Advance(24*time.Hour + time.Second)
	if n, err := read(); n != 1 || err != nil {
		t.Errorf("a day later: %d lines, %v", n, err)
	}
}

func TestWithoutKafkaAFollowerWaitsForTheLogStore(t *testing.T) {
	p := newPlane(t)
	gate := p.overStream(func(logs controlplane.LogStore) controlplane.Stream { return stream.NewDirect(logs) })
	p.start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	b.report(lines("a", "b"))
	gate.Down.Store(true)
	f := follow(t, p.Service, p, d.ID)
	f.until("the log store is away", func() bool { return f.has("delayed:true") })
	gate.Down.Store(false)
	f.until("its lines", func() bool { return len(f.lines) == 2 })
	b.report(lines("c"), site.Event{Type: site.EventFailed, Reason: "done"})
	f.until("the end", func() bool { return f.end })
	if got := strings.Join(f.said, " "); got != "IN_PROGRESS delayed:true delayed:false a b c FAIL end" {
		t.Error(got)
	}
}

// stuckStream takes nothing while it is stuck, as Kafka that is away.
type stuckStream struct {
	controlplane.Stream
	stuck atomic.Bool
}

func (s *stuckStream) Publish(ctx context.Context, log controlplane.LogRef, events []site.Event) error {
	if s.stuck.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Stream.Publish(ctx, log, events)
}

func TestStateDoesNotWaitForTheStream(t *testing.T) {
	p := newPlane(t)
	s := &stuckStream{}
	p.overStream(func(logs controlplane.LogStore) controlplane.Stream { s.Stream = stream.NewDirect(logs); return s })
	p.start()
	d := p.deploy(p.project("repo").ID, "main")
	b := p.claim(p.next())
	s.stuck.Store(true)
	events := []site.Event{b.event(site.Event{Type: site.EventPhase, Phase: site.PhaseBuild}), b.event(lines("one"))}
	ctx, cancel := context.WithCancel(t.Context())
	handed := make(chan error)
	go func() {
		_, err := p.HandleEvents(ctx, b.actor, b.job.AttemptID, events)
		handed <- err
	}()
	eventually(t, "the phase is told while the lines wait", func() bool {
		return p.is(d.ID, controlplane.StatusInProgress).Phase == site.PhaseBuild
	})
	cancel()
	wantCode(t, <-handed, controlplane.CodeUnavailable)
	s.stuck.Store(false)
	if _, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, events); err != nil {
		t.Fatal(err)
	}
	if got, _, err := p.Logs(t.Context(), p.me, d.ID, controlplane.LogQuery{}); err != nil || len(got) != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAFailureWaitsForItsLinesButNotForEver(t *testing.T) {
	p := newPlane(t)
	gate := p.overStream(func(logs controlplane.LogStore) controlplane.Stream { return stream.NewDirect(logs) })
	p.start()
	project := p.project("repo").ID
	first, second := p.deploy(project, "main"), p.deploy(p.project("other").ID, "main")
	a, b := p.claim(p.next()), p.claim(p.next())
	gate.Down.Store(true)
	fail := func(b *fakeBuilder) []site.Event {
		return []site.Event{b.event(lines("why")), b.event(site.Event{Type: site.EventFailed, Reason: "broken"})}
	}
	send := func(b *fakeBuilder, events []site.Event) error {
		_, err := p.HandleEvents(t.Context(), b.actor, b.job.AttemptID, events)
		return err
	}
	ofA, ofB := fail(a), fail(b)
	wantCode(t, send(a, ofA), controlplane.CodeUnavailable)
	wantCode(t, send(b, ofB), controlplane.CodeUnavailable)
	p.is(first.ID, controlplane.StatusInProgress)
	gate.Down.Store(false)
	if err := send(a, ofA); err != nil {
		t.Fatal(err)
	}
	p.is(first.ID, controlplane.StatusFail)
	if got, _, err := p.Logs(t.Context(), p.me, first.ID, controlplane.LogQuery{}); err != nil || len(got) != 1 {
		t.Errorf("%+v %v", got, err)
	}
	gate.Down.Store(true)
	p.clock.Advance(time.Minute - time.Second)
	wantCode(t, send(b, ofB), controlplane.CodeUnavailable)
	p.is(second.ID, controlplane.StatusInProgress)
	p.clock.Advance(time.Second)
	wantCode(t, send(b, ofB), controlplane.CodeUnavailable)
	if got := p.is(second.ID, controlplane.StatusFail); got.Reason != "broken" {
		t.Errorf("reason: %s", got.Reason)
	}
}
