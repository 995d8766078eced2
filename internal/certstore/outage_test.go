package certstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

func TestCopiesStandInWhileTheBucketIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, dir := newFaulty(t), t.TempDir()
		first := openEdge(t, bucket, edgeOptions{local: dir})
		store(t, first, "certificates/ca/a/a.crt", "written")
		store(t, openEdge(t, bucket, edgeOptions{}), "acme/ca/users/x/x.json", "another's")
		wantValue(t, first, "acme/ca/users/x/x.json", "another's")
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}

		bucket.away()
		s := openEdge(t, bucket, edgeOptions{local: dir}) // started anew
		for range 10 {
			wantValue(t, s, "certificates/ca/a/a.crt", "written")
			wantValue(t, s, "acme/ca/users/x/x.json", "another's")
		}
		if info, err := s.Stat(t.Context(), "certificates/ca/a/a.crt"); err != nil || info.Size != int64(len("written")) || !info.IsTerminal {
			t.Fatalf("%+v %v", info, err)
		}
		for _, err := range []error{
			second(s.Load(t.Context(), "certificates/ca/b/b.crt")),
			second(s.Stat(t.Context(), "certificates/ca/b/b.crt")),
			second(s.List(t.Context(), "certificates", false)),
			s.Store(t.Context(), "certificates/ca/a/a.crt", []byte("new")),
			s.Delete(t.Context(), "acme"),
			s.Lock(t.Context(), "x"),
		} {
			if err == nil || errors.Is(err, fs.ErrNotExist) || !errors.Is(err, errAway) {
				t.Errorf("got %v, want the bucket's error", err)
			}
		}
		if !s.Exists(t.Context(), "certificates/ca/b/b.crt") {
			t.Error("what nobody knows counts as absent: a certificate would be ordered")
		}

		bucket.back()
		time.Sleep(probeEvery)
		if _, err := s.Load(t.Context(), "certificates/ca/b/b.crt"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestACopyIsNoStandInForWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s, other := openEdge(t, bucket, edgeOptions{local: t.TempDir()}), openEdge(t, bucket.Store, edgeOptions{})
		store(t, s, "a/b", "1")
		store(t, s, "a/c", "1")
		settle()
		if err := other.Delete(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(t.Context(), "a/b"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("got %v", err)
		}
		settle()
		bucket.away()
		// That it is gone from this edge is certain, whatever becomes of the bucket's.
		if err := s.Delete(t.Context(), "a/c"); err == nil {
			t.Fatal("the delete is said to be done")
		}
		for _, key := range []string{"a/b", "a/c"} {
			if _, err := s.Load(t.Context(), key); !errors.Is(err, errAway) {
				t.Fatalf("%s: got %v", key, err)
			}
		}
	})
}

func TestTheCopiesOfOneBucketAreNotAnothers(t *testing.T) {
	dir := t.TempDir()
	first := openEdge(t, dirBucket(t), edgeOptions{local: dir})
	store(t, first, "a", "1")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	bucket := newFaulty(t)
	bucket.away()
	if _, err := openEdge(t, bucket, edgeOptions{local: dir}).Load(t.Context(), "a"); !errors.Is(err, errAway) {
		t.Fatalf("got %v", err)
	}
}

func TestCopiesAreAsEncryptedAsTheBucketAndOnlyOfWhatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openEdge(t, dirBucket(t), edgeOptions{local: t.TempDir()})
		for _, key := range []string{"certificates/ca/a/a.key", "rw_test_123", "acme/ca/challenge_tokens/a.json"} {
			store(t, s, key, "PRIVATE KEY")
		}
		settle()
		var found []string
		for info, err := range s.local.dir.List(t.Context(), "", blob.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, info.Key)
			if sealed, err := s.local.get(t.Context(), info.Key); err != nil || bytes.Contains(sealed, []byte("PRIVATE")) {
				t.Errorf("%s: %v %q", info.Key, err, sealed)
			}
		}
		if fmt.Sprint(found) != "[copies/values/certificates/ca/a/a.key~]" {
			t.Errorf("copies: %q", found)
		}
	})
}

func TestACopyStandsInForADamagedValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		bucket := dirBucket(t)
		s := openEdge(t, bucket, edgeOptions{local: t.TempDir(), log: &log})
		store(t, s, "a", "1")
		settle()
		putRaw(t, bucket, "a", []byte("rubbish"))
		wantValue(t, s, "a", "1")
		if !strings.Contains(log.String(), "damaged") {
			t.Fatalf("nobody learns of it: %s", log.String())
		}
	})
}

func TestABucketThatHangsHoldsNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
		store(t, s, "a", "1")
		settle()
		bucket.set(func(ctx context.Context, _, _ string) error { <-ctx.Done(); return ctx.Err() })
		for n, longest := range []time.Duration{defaultReadTimeout, defaultReadTimeout, defaultReadTimeout, 0, 0, 0} {
			begun := time.Now()
			wantValue(t, s, "a", "1")
			if waited := time.Since(begun); waited > longest {
				t.Errorf("read %d waited %v", n, waited)
			}
		}
		// One read in a while finds out whether the bucket is back.
		calls := bucket.count()
		time.Sleep(probeEvery)
		for range 100 {
			wantValue(t, s, "a", "1")
		}
		if n := bucket.count() - calls; n != 1 {
			t.Errorf("%d probes", n)
		}
		// A caller that leaves says nothing of the bucket.
		bucket.back()
		time.Sleep(probeEvery + defaultReadTimeout)
		wantValue(t, s, "a", "1")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 10 {
			if _, err := s.Load(ctx, "a"); !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
		calls = bucket.count()
		wantValue(t, s, "a", "1")
		if bucket.count() == calls {
			t.Error("the bucket counts as away")
		}
	})
}

func TestCopiesHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000
		bucket := newFaulty(t)
		limit := 3 * (size + overhead)
		s := openEdge(t, bucket, edgeOptions{local: t.TempDir(), size: limit})
		for n := range 4 {
			store(t, s, fmt.Sprint("v", n), strings.Repeat("x", size))
			settle()
			s.sweep()
		}
		bucket.away()
		for n := range 4 {
			_, err := s.Load(t.Context(), fmt.Sprint("v", n))
			if gone := err != nil; gone != (n == 0) {
				t.Errorf("copy %d: %v", n, err)
			}
		}
	})
}

// An edge may have been given a key that can't write.
func TestWritesThatFailDoNotStopReads(t *testing.T) {
	bucket := newFaulty(t)
	s := openEdge(t, bucket, edgeOptions{})
	store(t, s, "a", "1")
	bucket.set(func(_ context.Context, call, _ string) error {
		if call == "put" || call == "delete" {
			return errAway
		}
		return nil
	})
	for range 5 {
		if err := s.Store(t.Context(), "b", nil); !errors.Is(err, errAway) {
			t.Fatalf("got %v", err)
		}
		if err := s.Delete(t.Context(), "b"); !errors.Is(err, errAway) {
			t.Fatalf("got %v", err)
		}
	}
	wantValue(t, s, "a", "1")
	if _, err := s.List(t.Context(), "", false); err != nil {
		t.Fatal(err)
	}
}

// A bucket that was never made, or was deleted, holds nothing; but that says
// nothing of the certificates.
func TestABucketThatIsNotThereIsNoAbsence(t *testing.T) {
	o := blobtest.StartS3(t).NewBucket(t)
	o.Bucket, o.MaxAttempts = "another", 1
	bucket, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bucket.Close() })
	s := openEdge(t, bucket, edgeOptions{})
	for _, err := range []error{second(s.Load(t.Context(), "a")), second(s.Stat(t.Context(), "a")), second(s.List(t.Context(), "a", true))} {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
	if !s.Exists(t.Context(), "a") {
		t.Error("a certificate would be ordered")
	}
}
