package streamtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

func testStored(t *testing.T, s *suite) {
	log := Ref("d")
	want := Texts(0, 300)
	for i := range 30 {
		Publish(t, s, log, Event(log, 1, int64(1+10*i), want[10*i:10*i+10]...))
	}
	Publish(t, s, log, Event(log, 2, 1, "again"))
	WantStored(t, s.logs, log, append(want, "again"))
	lines, err := s.logs.Lines(t.Context(), log, controlplane.Cursor{Attempt: 1, Seq: 11}, 1, "")
	if err != nil || len(lines) != 1 {
		t.Fatal(lines, err)
	}
	if l := lines[0]; l.Seq != 12 || l.Attempt != 1 || !l.Time.Equal(log.Created) || l.Stream != site.Stdout || l.Phase != site.PhaseBuild || l.Text != "line 11" {
		t.Errorf("%+v", l)
	}
}

func testStoredBefore(t *testing.T, s *suite) {
	log, later := Ref("d"), Ref("later")
	stored := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			got, err := s.Stored(t.Context(), log, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("stored is %v", got)
			}
		}
	}
	stored(true) // nothing was published
	Publish(t, s, log, Event(log, 1, 1, "a"))
	stored(true)
	WantStored(t, s.logs, log, []string{"a"})
	if !s.Everywhere() {
		return // what can't be stored can't be published
	}
	s.logs.Down.Store(true)
	Publish(t, s, log, Event(log, 1, 2, "b"))
	stored(false)
	s.logs.Down.Store(false)
	Publish(t, s, later, Event(later, 1, 1, "c"))
	stored(true)
	WantStored(t, s.logs, log, []string{"a", "b"})
}

func testOnce(t *testing.T, s *suite) {
	log := Ref("d")
	events := []site.Event{Event(log, 1, 1, Texts(0, 5)...), Event(log, 1, 6, Texts(5, 9)...)}
	for range 3 {
		Publish(t, s, log, events...)
	}
	Publish(t, s, log, Event(log, 1, 8, Texts(7, 12)...))
	WantStored(t, s.logs, log, Texts(0, 12))
}

func testStates(t *testing.T, s *suite) {
	log := Ref("d")
	state := func(seq int64, kind site.EventType) site.Event {
		return site.Event{Version: site.EventVersion, Deployment: "d", Attempt: 1, Seq: seq, Time: log.Created, Type: kind, Phase: site.PhaseBuild}
	}
	Publish(t, s, log, state(1, site.EventStarted), state(2, site.EventPhase))
	Publish(t, s, log, state(3, site.EventHeartbeat), Event(log, 1, 4, "a"), state(5, site.EventFailed))
	WantStored(t, s.logs, log, []string{"a"})
	if err := s.Publish(t.Context(), log, nil); err != nil {
		t.Error(err)
	}
}

func testStoreAway(t *testing.T, s *suite) {
	log := Ref("d")
	Publish(t, s, log, Event(log, 1, 1, Texts(0, 10)...))
	WantStored(t, s.logs, log, Texts(0, 10))
	s.logs.Down.Store(true)
	before := s.logs.Appends.Load()
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := 10; i < 100; i += 10 {
			Publish(t, s, log, Event(log, 1, int64(i+1), Texts(i, i+10)...))
		}
	})
	for s.logs.Appends.Load() < before+3 { // it is tried again and again
		time.Sleep(time.Millisecond)
	}
	s.logs.Down.Store(false)
	publishing.Wait()
	WantStored(t, s.logs, log, Texts(0, 100))
}

func testTail(t *testing.T, s *suite) {
	log := Ref("d")
	r := s.tail(t, log, false)
	for i := range 50 {
		Publish(t, s, log, Event(log, 1, int64(i+1), fmt.Sprint("line ", i)))
		if !r.Until(t, i+1) {
			t.Fatal("the tail has ended")
		}
	}
	same(t, "tail", r.Texts, Texts(0, 50))
}

func testOwn(t *testing.T, s *suite) {
	const deployments = 20
	var readers []*Reader
	for i := range deployments {
		readers = append(readers, s.tail(t, Ref(fmt.Sprint("d", i)), false))
	}
	for i := range deployments {
		log := Ref(fmt.Sprint("d", i))
		Publish(t, s, log, Event(log, 1, 1, fmt.Sprint("of ", i)))
	}
	for i, r := range readers {
		r.ToEnd(t)
		same(t, fmt.Sprint("d", i), r.Texts, []string{fmt.Sprint("of ", i)})
	}
}

// testHistoryAndTail opens tails all the time while lines come: the tail first,
// then the history, as a follower does.
func testHistoryAndTail(t *testing.T, s *suite) {
	const total = 400
	log := Ref("d")
	var publishing, reading sync.WaitGroup
	publishing.Go(func() {
		for i := range total {
			Publish(t, s, log, Event(log, 1, int64(i+1), fmt.Sprint("line ", i)))
		}
	})
	for range 8 {
		reading.Go(func() {
			r := &Reader{}
			for again := true; again; {
				tail, err := s.Tail(t.Context(), log, false)
				if err != nil {
					t.Error(err)
					return
				}
				lines, err := s.logs.Lines(t.Context(), log, r.cursor, 1<<20, "")
				if err != nil {
					t.Error(err)
				}
				r.Take(lines)
				r.Tail = tail
				again = !r.Until(t, total)
				tail.Close()
			}
			same(t, "reader", r.Texts, Texts(0, total))
		})
	}
	publishing.Wait()
	reading.Wait()
}

func testEnd(t *testing.T, s *suite) {
	log := Ref("d")
	r := s.tail(t, log, false)
	r.ToEnd(t)
	for i := range 20 {
		other := Ref(fmt.Sprint("other", i))
		Publish(t, s, other, Event(other, 1, 1, "no"))
		Publish(t, s, log, Event(log, 1, int64(2*i+1), Texts(2*i, 2*i+2)...))
		r.ToEnd(t)
		same(t, "tail", r.Texts, Texts(0, 2*i+2))
	}
}

func testSlow(t *testing.T, s *suite) {
	const total = 1000
	log := Ref("d")
	r := s.tail(t, log, false)
	for i := range total {
		Publish(t, s, log, Event(log, 1, int64(i+1), fmt.Sprint("line ", i)))
	}
	// It has all, or it has ended; what it gave has no gap.
	if all := r.Until(t, total); !all && len(r.Texts) == 0 {
		t.Error("it has given nothing")
	}
	same(t, "tail", r.Texts, Texts(0, len(r.Texts)))
}

func testWhole(t *testing.T, s *suite) {
	log := Ref("d")
	for i := range 5 {
		other := Ref(fmt.Sprint("earlier", i))
		Publish(t, s, other, Event(other, 1, 1, "no"))
	}
	Publish(t, s, log, Event(log, 1, 1, Texts(0, 10)...))
	WantStored(t, s.logs, log, Texts(0, 10))
	tail, err := s.Tail(t.Context(), log, true)
	if errors.Is(err, controlplane.ErrNotWhole) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	r := &Reader{Tail: tail}
	Publish(t, s, log, Event(log, 1, 11, Texts(10, 20)...))
	r.ToEnd(t)
	same(t, "tail", r.Texts, Texts(0, 20))
}

func testClose(t *testing.T, s *suite) {
	log := Ref("d")
	tail, err := s.Tail(t.Context(), log, false)
	if err != nil {
		t.Fatal(err)
	}
	Publish(t, s, log, Event(log, 1, 1, "a"))
	tail.Close()
	tail.Close()
	timeout := time.After(time.Minute)
	for {
		select {
		case _, open := <-tail.Lines():
			if !open {
				Publish(t, s, log, Event(log, 1, 2, "b"))
				return
			}
		case <-timeout:
			t.Fatal("it goes on")
		}
	}
}

func testMany(t *testing.T, s *suite) {
	var all sync.WaitGroup
	for n := range 30 {
		all.Go(func() {
			log := Ref(fmt.Sprint("d", n))
			for i := 0; i < 100; i += 5 {
				Publish(t, s, log, Event(log, 1, int64(i+1), Texts(i, i+5)...))
			}
			WantStored(t, s.logs, log, Texts(0, 100))
		})
	}
	all.Wait()
}
