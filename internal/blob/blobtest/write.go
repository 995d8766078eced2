package blobtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

var errBroken = errors.New("the reader broke")

var writeTests = []conformanceTest{
	{"a body that is not as announced changes nothing", func(t *testing.T, b Target) {
		right, wrong := sha256.Sum256([]byte("12345")), sha256.Sum256([]byte("12346"))
		for _, old := range []string{"", "the old object"} {
			if old != "" {
				put(t, b.Store, "object", old)
			}
			for _, c := range []struct {
				name string
				body io.Reader
				size int64
				sum  *[32]byte
				want error
			}{
				{"short", strings.NewReader("1234"), 5, nil, blob.ErrContent},
				{"empty", strings.NewReader(""), 5, nil, blob.ErrContent},
				{"long", strings.NewReader("123456"), 5, nil, blob.ErrContent},
				{"long where nothing is announced", strings.NewReader("1"), 0, nil, blob.ErrContent},
				{"much too long", strings.NewReader(strings.Repeat("x", 1<<20)), 5, nil, blob.ErrContent},
				{"other bytes", strings.NewReader("12345"), 5, &wrong, blob.ErrContent},
				{"short with a sha256", strings.NewReader("1234"), 5, &right, blob.ErrContent},
				{"broken at the start", iotest.ErrReader(errBroken), 5, nil, errBroken},
				{"broken in the middle", io.MultiReader(strings.NewReader("12"), iotest.ErrReader(errBroken)), 5, nil, errBroken},
				{"broken at the end", io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(errBroken)), 5, &right, errBroken},
				{"broken off at the end", io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(io.ErrUnexpectedEOF)), 5, &right, io.ErrUnexpectedEOF},
			} {
				_, err := b.Store.Put(t.Context(), "object", c.body, c.size, blob.PutOptions{SHA256: c.sum})
				if !errors.Is(err, c.want) {
					t.Errorf("%s: %v, want %v", c.name, err, c.want)
				}
				if old == "" {
					wantAbsent(t, b.Store, "object")
				} else {
					wantBody(t, b.Store, "object", old)
				}
			}
		}
	}},
	{"readers of every manner are written whole", func(t *testing.T, b Target) {
		body := strings.Repeat("0123456789", 20_000)
		sum := sha256.Sum256([]byte(body))
		for name, r := range map[string]io.Reader{
			"one byte at a time":    iotest.OneByteReader(strings.NewReader(body)),
			"end with the last one": iotest.DataErrReader(strings.NewReader(body)),
			"half":                  iotest.HalfReader(strings.NewReader(body)),
		} {
			if _, err := b.Store.Put(t.Context(), "object", r, int64(len(body)), blob.PutOptions{SHA256: &sum}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			wantBody(t, b.Store, "object", body)
		}
	}},
	{"only where there is no object", func(t *testing.T, b Target) {
		opts := blob.PutOptions{IfNoneMatch: true}
		if _, err := b.Store.Put(t.Context(), "new/object", strings.NewReader("1"), 1, opts); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Store.Put(t.Context(), "new/object", strings.NewReader("2"), 1, opts); !errors.Is(err, blob.ErrPrecondition) {
			t.Errorf("second: %v, want ErrPrecondition", err)
		}
		wantBody(t, b.Store, "new/object", "1")
		if err := b.Store.Delete(t.Context(), "new/object"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Store.Put(t.Context(), "new/object", strings.NewReader("3"), 1, opts); err != nil {
			t.Errorf("after a delete: %v", err)
		}
	}},
	{"only over the object that was seen", func(t *testing.T, b Target) {
		match := func(etag, body string) error {
			_, err := b.Store.Put(t.Context(), "object", strings.NewReader(body), int64(len(body)), blob.PutOptions{IfMatch: etag})
			return err
		}
		if err := match("none", "0"); !errors.Is(err, blob.ErrPrecondition) {
			t.Errorf("no object: %v, want ErrPrecondition", err)
		}
		first := put(t, b.Store, "object", "1")
		if err := match("another", "2"); !errors.Is(err, blob.ErrPrecondition) {
			t.Errorf("another: %v, want ErrPrecondition", err)
		}
		if err := match(first.ETag, "2"); err != nil {
			t.Errorf("the same: %v", err)
		}
		if err := match(first.ETag, "3"); !errors.Is(err, blob.ErrPrecondition) {
			t.Errorf("the one before: %v, want ErrPrecondition", err)
		}
		wantBody(t, b.Store, "object", "2")
		if _, err := b.Store.Put(t.Context(), "object", strings.NewReader(""), 0, blob.PutOptions{IfMatch: "x", IfNoneMatch: true}); err == nil {
			t.Error("both conditions at once are allowed")
		}
	}},
	{"of eight who create one wins", func(t *testing.T, b Target) {
		for round := range 5 {
			key := fmt.Sprintf("race/%d/object", round)
			oneWins(t, b, key, blob.PutOptions{IfNoneMatch: true})
		}
	}},
	{"of eight who replace one wins", func(t *testing.T, b Target) {
		info := put(t, b.Store, "object", "first")
		for range 5 {
			oneWins(t, b, "object", blob.PutOptions{IfMatch: info.ETag})
			var err error
			if info, err = b.Store.Stat(t.Context(), "object"); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{"conditional writes lose no count", func(t *testing.T, b Target) {
		put(t, b.Store, "counter", "")
		race(8, func(int) {
			for added := 0; added < 5; {
				info, body := get(t, b.Store, "counter", blob.GetOptions{})
				body += "x"
				_, err := b.Store.Put(t.Context(), "counter", strings.NewReader(body), int64(len(body)), blob.PutOptions{IfMatch: info.ETag})
				switch {
				case err == nil:
					added++
				case !errors.Is(err, blob.ErrPrecondition):
					t.Error(err)
					return
				}
			}
		})
		wantBody(t, b.Store, "counter", strings.Repeat("x", 40))
	}},
	{"readers see the old object or the new one", func(t *testing.T, b Target) {
		const size = 200_000
		put(t, b.Store, "object", strings.Repeat("a", size))
		race(6, func(n int) {
			for i := range 20 {
				if n < 3 {
					put(t, b.Store, "object", strings.Repeat(string(rune('a'+(n*20+i)%26)), size))
					continue
				}
				info, body := get(t, b.Store, "object", blob.GetOptions{})
				if info.Size != size || len(body) != size || strings.Count(body, body[:1]) != size {
					t.Errorf("a torn object of %d bytes", len(body))
				}
			}
		})
	}},
	{"an open object stays what it was", func(t *testing.T, b Target) {
		put(t, b.Store, "object", "before")
		o, err := b.Store.Get(t.Context(), "object", blob.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Body.Close()
		put(t, b.Store, "object", "after it")
		if err := b.Store.Delete(t.Context(), "object"); err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(o.Body); err != nil || string(body) != "before" {
			t.Errorf("%q, %v", body, err)
		}
	}},
	{"delete", func(t *testing.T, b Target) {
		for _, key := range []string{"a/1", "a/2", "b/c/d/3"} {
			put(t, b.Store, key, key)
		}
		for range 2 {
			if err := b.Store.Delete(t.Context(), "a/1", "missing", "b/c/d/3", "no/such", "a/1/below"); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		wantAbsent(t, b.Store, "a/1")
		wantAbsent(t, b.Store, "b/c/d/3")
		wantBody(t, b.Store, "a/2", "a/2")
		if err := b.Store.Delete(t.Context(), "a"); err != nil {
			t.Errorf("delete of what is only a prefix: %v", err)
		}
		wantBody(t, b.Store, "a/2", "a/2")
		if err := b.Store.Delete(t.Context()); err != nil {
			t.Errorf("delete of nothing: %v", err)
		}
	}},
	{"writers and deleters of one folder", func(t *testing.T, b Target) {
		race(8, func(n int) {
			key := fmt.Sprintf("deep/er/folder/%d", n)
			for range 25 {
				put(t, b.Store, key, key)
				wantBody(t, b.Store, key, key)
				if err := b.Store.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
		if got := keys(t, b.Store, "", ""); len(got) != 0 {
			t.Errorf("%q are left", got)
		}
	}},
}

// oneWins lets eight writers race under one condition.
func oneWins(t *testing.T, b Target, key string, opts blob.PutOptions) {
	t.Helper()
	var mu sync.Mutex
	var winners []string
	race(8, func(n int) {
		body := fmt.Sprintf("writer %d after %s%q", n, opts.IfMatch, key)
		_, err := b.Store.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), opts)
		switch {
		case err == nil:
			mu.Lock()
			winners = append(winners, body)
			mu.Unlock()
		case !errors.Is(err, blob.ErrPrecondition):
			t.Errorf("a loser sees %v, want ErrPrecondition", err)
		}
	})
	if len(winners) != 1 {
		t.Fatalf("%d writers won: %q", len(winners), winners)
	}
	wantBody(t, b.Store, key, winners[0])
}

// race runs f n times at once.
func race(n int, f func(n int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
