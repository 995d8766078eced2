package blobtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

var listTests = []conformanceTest{
	{"an empty bucket", func(t *testing.T, b Target) {
		for _, prefix := range []string{"", "a", "a/", "a/b"} {
			if got := keys(t, b.Store, prefix, ""); len(got) != 0 {
				t.Errorf("%q lists %q", prefix, got)
			}
		}
	}},
	{"keys are in the order of their bytes, behind After, with the prefix", func(t *testing.T, b Target) {
		all := []string{
			"a!", "a-b", "a.b", "a/!", "a/b", "a/b-c/d", "a/b.x", "a/b0", "a/c/d/e", "a/c/d0", "a/é", "a0", "aB", "ab/c", "b", "é/x", "日本",
		}
		// Where "a/b" is an object, "a/b/c" can't be everywhere.
		slices.Sort(all)
		for _, i := range []int{3, 0, 8, 16, 2, 11, 5, 1, 14, 9, 4, 12, 7, 15, 10, 6, 13} {
			put(t, b.Store, all[i], all[i])
		}
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b-", "a/c/", "a/c/d", "a/c/d/", "b", "c", "é", "a/b/"} {
			for _, after := range append([]string{"", "a/", "a/b-c", "a/b-c/zz", "a/c/", "a/c/d", "zzz", "a\xff"}, all...) {
				var want []string
				for _, key := range all {
					if strings.HasPrefix(key, prefix) && key > after {
						want = append(want, key)
					}
				}
				if got := keys(t, b.Store, prefix, after); !slices.Equal(got, want) {
					t.Errorf("prefix %q after %q:\n got %q\nwant %q", prefix, after, got, want)
				}
			}
		}
	}},
	{"what is listed is what stat says", func(t *testing.T, b Target) {
		for i := range 5 {
			put(t, b.Store, fmt.Sprintf("dir/%d", i), strings.Repeat("x", i))
		}
		for info, err := range b.Store.List(t.Context(), "dir/", blob.ListOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			stat, err := b.Store.Stat(t.Context(), info.Key)
			if err != nil || stat.Size != info.Size || stat.ETag != info.ETag {
				t.Errorf("listed %+v, stat %+v, %v", info, stat, err)
			}
		}
	}},
	{"more than one page", func(t *testing.T, b Target) {
		const count = 2100
		want := make([]string, count)
		for i := range want {
			want[i] = fmt.Sprintf("pages/%04d", i)
		}
		race(16, func(n int) {
			for i := n; i < count; i += 16 {
				put(t, b.Store, want[i], "x")
			}
		})
		put(t, b.Store, "pager", "not one of them")
		if got := keys(t, b.Store, "pages/", ""); !slices.Equal(got, want) {
			t.Errorf("%d keys of %d", len(got), count)
		}
		if got := keys(t, b.Store, "pages/", "pages/1099"); !slices.Equal(got, want[1100:]) {
			t.Errorf("%d keys after the first 1,100", len(got))
		}
		var got []string
		for after := ""; ; {
			page := 0
			for info, err := range b.Store.List(t.Context(), "pages/", blob.ListOptions{After: after}) {
				if err != nil {
					t.Fatal(err)
				}
				got, after = append(got, info.Key), info.Key
				if page++; page == 300 {
					break
				}
			}
			if page == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("page by page: %d keys of %d", len(got), count)
		}
	}},
	{"a listing while objects come and go", func(t *testing.T, b Target) {
		for i := range 50 {
			put(t, b.Store, fmt.Sprintf("stay/%02d", i), "x")
		}
		race(4, func(n int) {
			for i := range 20 {
				if n == 0 {
					got := keys(t, b.Store, "stay/", "")
					if kept := slices.DeleteFunc(got, func(k string) bool { return strings.Contains(k, "go") }); len(kept) != 50 {
						t.Errorf("%d of 50 objects that stay", len(kept))
					}
					continue
				}
				key := fmt.Sprintf("stay/go/%d/%d", n, i)
				put(t, b.Store, key, "x")
				if err := b.Store.Delete(t.Context(), key); err != nil {
					t.Error(err)
				}
			}
		})
	}},
}
