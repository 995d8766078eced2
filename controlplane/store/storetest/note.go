package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

// listening returns what a listener on one of the handles hears, from when it
// misses nothing on. A gap is "gap".
func (s *suite) listening(handle int) (heard <-chan string, leave func()) {
	s.t.Helper()
	notes := make(chan string, 1000)
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.handle(handle).Listen(ctx, func(note string) { notes <- note }, func() { notes <- "gap" })
	}()
	s.same("the first word", next(s.t, notes), "gap")
	return notes, func() { cancel(); <-done }
}

func next(t *testing.T, heard <-chan string) string {
	t.Helper()
	select {
	case note := <-heard:
		return note
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was heard within 10 s")
		return ""
	}
}

func testNotes(t *testing.T, s *suite) {
	one, leave := s.listening(0)
	defer leave()
	two, leave := s.listening(1)
	defer leave()
	notify := func(notes ...string) error {
		return s.Update(t.Context(), func(tx controlplane.Tx) error {
			for _, note := range notes {
				if err := tx.Notify(note); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		return errors.Join(tx.Notify("rolled back"), errOnPurpose)
	})
	if !errors.Is(err, errOnPurpose) {
		t.Fatal(err)
	}
	long := strings.Repeat("x", controlplane.MaxNote)
	want := []string{"first", "it's \"second\" \u00e9\n$1", long}
	if err := notify(want[:2]...); err != nil {
		t.Fatal(err)
	}
	if err := notify(long); err != nil {
		t.Fatal(err)
	}
	if notify(long+"x") == nil {
		t.Error("a note that is too long was taken")
	}
	for n := range 50 {
		want = append(want, fmt.Sprint("note ", n))
		if err := notify(want[len(want)-1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, heard := range []<-chan string{one, two} {
		for _, note := range want {
			s.same("note", next(t, heard), note)
		}
	}
}
