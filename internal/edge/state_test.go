package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

func newState(t *testing.T, dir string) *state {
	t.Helper()
	s, err := openState(dir, "dir:/bucket")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStateIsKept(t *testing.T) {
	dir := t.TempDir()
	s := newState(t, dir)
	s.save("routes/a", []byte("one"))
	if b, err := s.load("routes/a"); err != nil || string(b) != "one" {
		t.Errorf("before it is written: %q, %v", b, err)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	again := newState(t, dir)
	if b, err := again.load("routes/a"); err != nil || string(b) != "one" || !again.has("routes/a") {
		t.Errorf("got %q, %v", b, err)
	}
	again.save("routes/a", nil)
	if _, err := again.load("routes/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("forgotten: %v", err)
	}
	if err := again.flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := newState(t, dir).load("routes/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("forgotten and written: %v", err)
	}
	other, err := openState(dir, "dir:/other")
	if err != nil {
		t.Fatal(err)
	}
	s.save("routes/b", []byte("two"))
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.load("routes/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another bucket's: %v", err)
	}
}

func TestTornStateCountsAsMissing(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":      func([]byte) []byte { return nil },
		"cut":        func(b []byte) []byte { return b[:len(b)-1] },
		"head alone": func(b []byte) []byte { return b[:20] },
		"a bit":      func(b []byte) []byte { b[40] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(t, t.TempDir())
			s.save("key", bytes.Repeat([]byte("content"), 10))
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(s.path("key"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.path("key"), damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := s.load("key"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestStateIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := newState(t, dir)
	for i := range 10 {
		key := fmt.Sprint(i)
		s.save(key, make([]byte, 1000))
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-100) * time.Minute)
		if err := os.Chtimes(s.path(key), at, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, age := range map[string]time.Duration{"crash.tmp": 2 * sweepEvery, "busy.tmp": 0} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	s.touch(slices.Values([]string{"0", "never kept"}))
	if err := s.sweep(3500); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if got := s.has(fmt.Sprint(i)); got != (i >= 8 || i == 0) {
			t.Errorf("%d is kept: %v", i, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "crash.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a crash left: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "busy.tmp")); err != nil {
		t.Errorf("what another edge writes: %v", err)
	}
}

func TestStateIsAskedOnlyForWhatItMayHave(t *testing.T) {
	dir := t.TempDir()
	s := newState(t, dir)
	s.save("before", []byte("one"))
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	again := newState(t, dir)
	if again.filter.complete.Load() || !again.has("before") {
		t.Error("until the directory was read, the disk is asked")
	}
	if err := again.sweep(1 << 20); err != nil {
		t.Fatal(err)
	}
	again.save("after", []byte("two"))
	if err := again.flush(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"before": true, "after": true, "never": false} {
		if got := again.filter.mayHave(again.name(key)); got != want || again.has(key) != want {
			t.Errorf("%s may be there: %v", key, got)
		}
	}
	again.save("never", nil)
	again.save("before", nil)
	if _, waits := again.pending["never"]; waits || len(again.pending) != 1 {
		t.Errorf("there is nothing to forget of what was never kept: %d wait", len(again.pending))
	}
	if n := testing.AllocsPerRun(100, func() { again.has("never") }); n != 0 {
		t.Errorf("%v allocations to say no", n)
	}
}

// TestStateSurvivesTheRemovalOfItsDirectory: what is learnt after it is kept
// again, and a failure that lasts is told once a minute.
func TestStateSurvivesTheRemovalOfItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "below", "state")
	s := newState(t, dir)
	if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.sweep(1 << 20); err != nil {
		t.Errorf("sweep: %v", err)
	}
	s.save("routes/a", []byte("one"))
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if b, err := newState(t, dir).load("routes/a"); err != nil || string(b) != "one" {
		t.Errorf("got %q, %v", b, err)
	}

	// A file in its place: every write fails.
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told, done := 0, make(chan struct{})
	go func() {
		s.run(ctx, func(func(string) bool) {}, func(error) { told++ })
		close(done)
	}()
	for i := range 20 {
		s.save(fmt.Sprint("routes/", i), []byte("x"))
		for waiting := true; waiting; {
			s.writes.Lock()
			waiting = len(s.pending) > 0
			s.writes.Unlock()
			runtime.Gosched()
		}
	}
	cancel()
	<-done
	if told != 1 {
		t.Errorf("the failure was told %d times", told)
	}
}
