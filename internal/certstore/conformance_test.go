package certstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
	"github.com/mini-vercel/mini-vercel/internal/blob/blobtest"
)

// TestConformance runs what certmagic's documentation says of a storage, and
// certmagic's own tests of its file storage, on every kind of bucket.
func TestConformance(t *testing.T) {
	for _, bucket := range []struct {
		name string
		open func(t *testing.T) blob.Store
	}{
		{"directory", func(t *testing.T) blob.Store { return dirBucket(t) }},
		{"S3", s3Bucket},
	} {
		t.Run(bucket.name, func(t *testing.T) {
			for _, test := range conformance {
				t.Run(test.name, func(t *testing.T) {
					test.run(t, openEdge(t, bucket.open(t), edgeOptions{local: t.TempDir()}))
				})
			}
		})
	}
}

// s3Bucket is an empty bucket at an S3 service.
func s3Bucket(t *testing.T) blob.Store {
	t.Helper()
	o := blobtest.StartS3(t).NewBucket(t)
	o.MaxAttempts = 1
	b, err := blob.OpenS3(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

var conformance = []struct {
	name string
	run  func(t *testing.T, s *Storage)
}{
	{"what is stored is loaded", func(t *testing.T, s *Storage) {
		store(t, s, "foo", "bar")
		wantValue(t, s, "foo", "bar")
		store(t, s, "foo", "")
		wantValue(t, s, "foo", "")
	}},
	{"a value is never a mixture of two", func(t *testing.T, s *Storage) {
		a, b := bytes.Repeat([]byte("a"), 4<<20), bytes.Repeat([]byte("b"), 4<<20)
		store(t, s, "foo", string(a))
		var writer sync.WaitGroup
		writer.Go(func() {
			if err := s.Store(context.Background(), "foo", b); err != nil {
				t.Error(err)
			}
		})
		got, err := s.Load(t.Context(), "foo")
		writer.Wait()
		if err != nil || !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		wantValue(t, s, "foo", string(b))
	}},
	{"a free lock is had at once, a taken one only as long as the context allows", func(t *testing.T, s *Storage) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 {
			if err := s.Lock(ctx, "foo"); err != nil {
				t.Fatal(err)
			}
			if err := s.Lock(ctx, "foo"); !errors.Is(err, context.Canceled) {
				t.Fatalf("locked twice: %v", err)
			}
			if won, err := s.TryLock(ctx, "foo"); won || err != nil {
				t.Fatalf("locked twice: %v %v", won, err)
			}
			if err := s.Unlock(ctx, "foo"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Unlock(ctx, "foo"); err == nil {
			t.Fatal("unlocked what is not locked")
		}
	}},
	{"one at a time has a lock", func(t *testing.T, s *Storage) {
		var inside, total atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := s.Lock(context.Background(), "issue_cert_*.example.com"); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two have the lock")
				}
				total.Add(1)
				inside.Add(-1)
				if err := s.Unlock(context.Background(), "issue_cert_*.example.com"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if total.Load() != 8 {
			t.Fatalf("%d of 8 had it", total.Load())
		}
	}},
	{"what is missing is fs.ErrNotExist", func(t *testing.T, s *Storage) {
		store(t, s, "a/b", "1")
		for _, key := range []string{"b", "a/c", "a/b/c"} {
			if _, err := s.Load(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("load %s: %v", key, err)
			}
			if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("stat %s: %v", key, err)
			}
			if _, err := s.List(t.Context(), key, true); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("list %s: %v", key, err)
			}
			if s.Exists(t.Context(), key) {
				t.Errorf("%s exists", key)
			}
			if err := s.Delete(t.Context(), key); err != nil {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		if _, err := s.List(t.Context(), "", true); err != nil {
			t.Errorf("list all: %v", err)
		}
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.List(t.Context(), "", true); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("list of nothing: %v", err)
		}
		if _, err := s.Load(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("load of a folder: %v", err)
		}
	}},
	{"folders exist as long as something is in them", func(t *testing.T, s *Storage) {
		store(t, s, "a/b/c", "123")
		store(t, s, "a/b/d", "1")
		for _, key := range []string{"a", "a/b", "a/b/c"} {
			if !s.Exists(t.Context(), key) {
				t.Errorf("%s does not exist", key)
			}
		}
		if info, err := s.Stat(t.Context(), "a/b"); err != nil || info.IsTerminal || info.Key != "a/b" {
			t.Errorf("%+v %v", info, err)
		}
		if info, err := s.Stat(t.Context(), "a/b/c"); err != nil || !info.IsTerminal || info.Size != 3 || info.Key != "a/b/c" || info.Modified.IsZero() {
			t.Errorf("%+v %v", info, err)
		}
		if err := s.Delete(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"a", "a/b", "a/b/c", "a/b/d"} {
			if s.Exists(t.Context(), key) {
				t.Errorf("%s still exists", key)
			}
		}
	}},
	{"a prefix is whole parts", func(t *testing.T, s *Storage) {
		for _, key := range []string{"a/b", "ab/c", "a.b/c", "a0"} {
			store(t, s, key, key)
		}
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"ab/c", "a.b/c", "a0"} {
			wantValue(t, s, key, key)
		}
	}},
	{"a folder is listed with its folders", func(t *testing.T, s *Storage) {
		for _, key := range []string{"c/x/1.crt", "c/x/1.key", "c/y/2.crt", "c/z", "d/e"} {
			store(t, s, key, key)
		}
		for _, test := range []struct {
			folder    string
			recursive bool
			want      []string
		}{
			{"c", false, []string{"c/x", "c/y", "c/z"}},
			{"c", true, []string{"c/x", "c/x/1.crt", "c/x/1.key", "c/y", "c/y/2.crt", "c/z"}},
			{"c/x", false, []string{"c/x/1.crt", "c/x/1.key"}},
			{"c/z", false, []string{}},
			{"", false, []string{"c", "d"}},
			{"", true, []string{"c", "c/x", "c/x/1.crt", "c/x/1.key", "c/y", "c/y/2.crt", "c/z", "d", "d/e"}},
		} {
			if got, err := s.List(t.Context(), test.folder, test.recursive); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("list %q %v: %q, %v; want %q", test.folder, test.recursive, got, err, test.want)
			}
		}
	}},
	{"a value may stand beside a folder of its name", func(t *testing.T, s *Storage) {
		store(t, s, "a", "value")
		store(t, s, "a/b", "below")
		store(t, s, "a/b/c", "deeper")
		wantValue(t, s, "a", "value")
		wantValue(t, s, "a/b", "below")
		wantValue(t, s, "a/b/c", "deeper")
	}},
	{"odd names are kept apart", func(t *testing.T, s *Storage) {
		for _, key := range oddKeys {
			store(t, s, key, key)
		}
		for _, key := range oddKeys {
			wantValue(t, s, key, key)
		}
		listed, err := s.List(t.Context(), "", true)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range oddKeys {
			if !slices.Contains(listed, key) {
				t.Errorf("%q is not listed", key)
			}
		}
	}},
	{"keys that are none are errors, and never an absence", func(t *testing.T, s *Storage) {
		for _, key := range badKeys {
			if err := s.Store(t.Context(), key, nil); !errors.Is(err, blob.ErrKey) {
				t.Errorf("store %.20q: %v", key, err)
			}
			if _, err := s.Load(t.Context(), key); !errors.Is(err, blob.ErrKey) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("load %.20q: %v", key, err)
			}
			if !s.Exists(t.Context(), key) {
				t.Errorf("%.20q counts as absent: its certificate would be ordered and could not be stored", key)
			}
		}
	}},
	{"many write and read at once", func(t *testing.T, s *Storage) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				key := fmt.Sprintf("certificates/ca/%d.example.com/%d.example.com.crt", i, i)
				if err := s.Store(context.Background(), key, []byte(key)); err != nil {
					t.Error(err)
				}
				if got, err := s.Load(context.Background(), key); err != nil || string(got) != key {
					t.Errorf("%s: %q %v", key, got, err)
				}
			})
		}
		all.Wait()
	}},
}

var oddKeys = []string{
	"acme/acme-v02.api.letsencrypt.org-directory/users/ops@example.com/ops.json", "certificates/x/wildcard_.example.com/wildcard_.example.com.crt",
	"a b", "*.example.com", "x%2Fy", "x%2fy", "x~", "~", ".", "..", "../..", "a/../b", "...", "ünïcödé", "back\\slash", "q?x#y", "UPPER", "upper",
	"new\nline", "nul\x00", "\xff", "{}", "a:b", "-rf",
}

var badKeys = []string{"", "/", "/a", "a//b", "a/", string(bytes.Repeat([]byte("x"), 255)), string(bytes.Repeat([]byte("x/"), 600)) + "x"}
