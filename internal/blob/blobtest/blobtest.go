// Package blobtest is the conformance suite of blob.Store: what its
// documentation says, sentence by sentence.
package blobtest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// Target is an empty bucket to test.
type Target struct {
	Store blob.Store
	// BaseURL is what the signed URLs of Store are relative to.
	BaseURL string
}

// Run tests an implementation. It calls open once for every test; open cleans
// up by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Target) {
	run(t, "read", readTests, open)
	run(t, "write", writeTests, open)
	run(t, "list", listTests, open)
	RunSigned(t, open)
}

// RunSigned tests signed URLs alone.
func RunSigned(t *testing.T, open func(t *testing.T) Target) { run(t, "sign", signTests, open) }

func run(t *testing.T, group string, tests []conformanceTest, open func(t *testing.T) Target) {
	t.Run(group, func(t *testing.T) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
		}
	})
}

type conformanceTest struct {
	name string
	run  func(*testing.T, Target)
}

func put(t *testing.T, s blob.Store, key, body string) blob.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, bytes.NewReader([]byte(body)), int64(len(body)), blob.PutOptions{})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return info
}

func get(t *testing.T, s blob.Store, key string, opts blob.GetOptions) (blob.Info, string) {
	t.Helper()
	o, err := s.Get(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("get %q %+v: %v", key, opts, err)
	}
	body, err := io.ReadAll(o.Body)
	if err = errors.Join(err, o.Body.Close()); err != nil {
		t.Fatalf("read %q %+v: %v", key, opts, err)
	}
	return o.Info, string(body)
}

func wantBody(t *testing.T, s blob.Store, key, want string) {
	t.Helper()
	info, got := get(t, s, key, blob.GetOptions{})
	if got != want {
		t.Fatalf("%q holds %d bytes (%.40q), want %d (%.40q)", key, len(got), got, len(want), want)
	}
	if info.Key != key || info.Size != int64(len(want)) {
		t.Fatalf("%q is described as %+v", key, info)
	}
}

func wantAbsent(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if o, err := s.Get(t.Context(), key, blob.GetOptions{}); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			_ = o.Body.Close()
		}
		t.Fatalf("get %q: %v, want fs.ErrNotExist", key, err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("stat %q: %v, want fs.ErrNotExist", key, err)
	}
}

func keys(t *testing.T, s blob.Store, prefix, after string) []string {
	t.Helper()
	var list []string
	for info, err := range s.List(t.Context(), prefix, blob.ListOptions{After: after}) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		list = append(list, info.Key)
	}
	return list
}

// OddKeys are keys that an implementation may get wrong.
func OddKeys() []string { return oddKeys }

// oddKeys are keys that a careless implementation escapes, folds or cuts.
var oddKeys = []string{
	"a", "routes/a.example.com", "with space/ leading and trailing ", "percent%41/%2F%zz", "question?x=1&y=2", "hash#part",
	"plus+sign", "semi;colon", "comma,at@colon:", "quote\"'`", "back\\slash", "brackets[]{}()", "star*", "tilde~", "dollar$",
	"ünïcödé/日本語/🙂", ".hidden/.x", "...", "a..b/c", "UPPER", "-rf", "<script>", "^|", "equals=",
}

// badKeys are no keys at all.
var badKeys = []string{
	"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "../a", "a/../b", "a/./b", "a\x00b", "a\nb", "a\x7fb", "a\xffb",
}
