package blobtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

var readTests = []conformanceTest{
	{"a missing object is fs.ErrNotExist", func(t *testing.T, b Target) {
		put(t, b.Store, "dir/object", "x")
		for _, key := range []string{"missing", "dir", "dir/missing", "dir/object/below", "no/such/dir"} {
			wantAbsent(t, b.Store, key)
			_, err := b.Store.Get(t.Context(), key, blob.GetOptions{IfNoneMatch: "any"})
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("conditional get of %q: %v, want fs.ErrNotExist", key, err)
			}
		}
	}},
	{"what was written is read", func(t *testing.T, b Target) {
		for _, size := range []int{0, 1, 4095, 64 << 10, 64<<10 + 1, 3 << 20} {
			body := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			before := time.Now().Add(-time.Minute)
			info := put(t, b.Store, "object", body)
			wantBody(t, b.Store, "object", body)
			stat, err := b.Store.Stat(t.Context(), "object")
			if err != nil || stat.ETag == "" || stat.ETag != info.ETag || stat.Size != int64(size) || stat.Key != "object" {
				t.Errorf("put %+v, stat %+v, %v", info, stat, err)
			}
			if stat.Modified.Before(before) || stat.Modified.After(time.Now().Add(time.Minute)) {
				t.Errorf("modified %v", stat.Modified)
			}
		}
	}},
	{"odd keys", func(t *testing.T, b Target) {
		for _, key := range oddKeys {
			put(t, b.Store, "odd/"+key, "body of "+key)
		}
		for _, key := range oddKeys {
			wantBody(t, b.Store, "odd/"+key, "body of "+key)
		}
		if got := len(keys(t, b.Store, "odd/", "")); got != len(oddKeys) {
			t.Errorf("%d keys are listed, want %d", got, len(oddKeys))
		}
		for _, key := range oddKeys {
			if err := b.Store.Delete(t.Context(), "odd/"+key); err != nil {
				t.Errorf("delete %q: %v", key, err)
			}
			wantAbsent(t, b.Store, "odd/"+key)
		}
	}},
	{"the longest key", func(t *testing.T, b Target) {
		key := strings.Repeat(strings.Repeat("k", 199)+"/", 5) + strings.Repeat("z", 24)
		put(t, b.Store, key, "x")
		wantBody(t, b.Store, key, "x")
	}},
	{"what is no key is refused", func(t *testing.T, b Target) {
		for _, key := range append([]string{strings.Repeat("k/", 512) + "k", strings.Repeat("k", 256)}, badKeys...) {
			if _, err := b.Store.Put(t.Context(), key, strings.NewReader("x"), 1, blob.PutOptions{}); !errors.Is(err, blob.ErrKey) {
				t.Errorf("put %q is not ErrKey: %v", key, err)
			}
			if _, err := b.Store.Get(t.Context(), key, blob.GetOptions{}); !errors.Is(err, blob.ErrKey) {
				t.Errorf("get %q is not ErrKey: %v", key, err)
			}
			if _, err := b.Store.Stat(t.Context(), key); !errors.Is(err, blob.ErrKey) {
				t.Errorf("stat %q is not ErrKey: %v", key, err)
			}
			if err := b.Store.Delete(t.Context(), key); !errors.Is(err, blob.ErrKey) {
				t.Errorf("delete %q is not ErrKey: %v", key, err)
			}
			if _, err := b.Store.SignPut(t.Context(), key, 1, [32]byte{}, time.Minute); !errors.Is(err, blob.ErrKey) {
				t.Errorf("signing a put of %q is not ErrKey: %v", key, err)
			}
		}
	}},
	{"a conditional read", func(t *testing.T, b Target) {
		first := put(t, b.Store, "object", "one")
		if o, err := b.Store.Get(t.Context(), "object", blob.GetOptions{IfNoneMatch: first.ETag}); !errors.Is(err, blob.ErrNotModified) || o != nil {
			t.Errorf("unchanged: %v, want ErrNotModified", err)
		}
		if _, body := get(t, b.Store, "object", blob.GetOptions{IfNoneMatch: "another"}); body != "one" {
			t.Errorf("another ETag reads %q", body)
		}
		put(t, b.Store, "object", "two")
		info, body := get(t, b.Store, "object", blob.GetOptions{IfNoneMatch: first.ETag})
		if body != "two" || info.ETag == first.ETag {
			t.Errorf("changed: %q with ETag %q after %q", body, info.ETag, first.ETag)
		}
	}},
	{"other bytes have another ETag", func(t *testing.T, b Target) {
		seen := map[string]bool{}
		for i := range 50 {
			if i%7 == 3 {
				if err := b.Store.Delete(t.Context(), "object"); err != nil {
					t.Fatal(err)
				}
			}
			info := put(t, b.Store, "object", fmt.Sprintf("write %02d", i))
			if seen[info.ETag] {
				t.Fatalf("write %d has the ETag %q of an earlier one", i, info.ETag)
			}
			seen[info.ETag] = true
		}
	}},
	{"ranges", func(t *testing.T, b Target) {
		put(t, b.Store, "object", "0123456789")
		put(t, b.Store, "empty", "")
		for _, r := range []struct {
			key            string
			offset, length int64
			want           string
		}{
			{"object", 0, 0, "0123456789"},
			{"object", 0, 1, "0"},
			{"object", 0, 9, "012345678"},
			{"object", 0, 10, "0123456789"},
			{"object", 0, 11, "0123456789"},
			{"object", 3, 4, "3456"},
			{"object", 3, 0, "3456789"},
			{"object", 9, 1, "9"},
			{"object", 9, 2, "9"},
			{"object", 10, 0, ""},
			{"object", 10, 1, ""},
			{"object", 11, 5, ""},
			{"object", 5, 1 << 62, "56789"},
			{"object", 1 << 62, 1 << 62, ""},
			{"empty", 0, 0, ""},
			{"empty", 0, 5, ""},
			{"empty", 1, 0, ""},
		} {
			info, got := get(t, b.Store, r.key, blob.GetOptions{Offset: r.offset, Length: r.length})
			if got != r.want {
				t.Errorf("%s from %d, %d bytes: %q, want %q", r.key, r.offset, r.length, got, r.want)
			}
			if whole := int64(10); r.key == "object" && info.Size != whole {
				t.Errorf("from %d, %d bytes: the size is %d, want the whole object's", r.offset, r.length, info.Size)
			}
		}
		for _, opts := range []blob.GetOptions{{Offset: -1}, {Length: -1}} {
			if o, err := b.Store.Get(t.Context(), "object", opts); err == nil {
				_ = o.Body.Close()
				t.Errorf("%+v is allowed", opts)
			}
		}
	}},
	{"a context that is over", func(t *testing.T, b Target) {
		put(t, b.Store, "object", "x")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Store.Get(ctx, "object", blob.GetOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("get: %v", err)
		}
		if _, err := b.Store.Put(ctx, "object", strings.NewReader("y"), 1, blob.PutOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
		if err := b.Store.Delete(ctx, "object"); !errors.Is(err, context.Canceled) {
			t.Errorf("delete: %v", err)
		}
		for _, err := range b.Store.List(ctx, "", blob.ListOptions{}) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("list: %v", err)
			}
		}
		wantBody(t, b.Store, "object", "x")
	}},
	{"the identity stays", func(t *testing.T, b Target) {
		if id := b.Store.Identity(); id == "" || id != b.Store.Identity() {
			t.Errorf("identity %q", id)
		}
	}},
}
