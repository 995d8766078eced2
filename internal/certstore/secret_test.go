package certstore

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

func TestSecretsAreCheckedByTheirSetting(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(secretOf('a'))
	if err != nil {
		t.Fatal(err)
	}
	good := secretOf('a')
	for _, test := range []struct{ name, current, previous, want string }{
		{"base64", good, "", ""},
		{"base64 without padding", strings.TrimRight(good, "="), "", ""},
		{"base64 for URLs", base64.URLEncoding.EncodeToString(raw), "", ""},
		{"hex", hex.EncodeToString(raw), "", ""},
		{"more than enough", base64.StdEncoding.EncodeToString(append(raw, raw...)), "", ""},
		{"two", good, secretOf('b'), ""},
		{"none", "", "", "EDGE_SECRET is not set"},
		{"none, but a previous one", "", good, "EDGE_SECRET is not set"},
		{"a passphrase", "correct horse battery staple, and then some", "", "EDGE_SECRET is neither"},
		{"a byte too short", base64.StdEncoding.EncodeToString(raw[:31]), "", "EDGE_SECRET has 31 bytes"},
		{"a byte too short in hex", hex.EncodeToString(raw[:31]), "", "EDGE_SECRET has 31 bytes"},
		{"not random", strings.Repeat("00", 32), "", "EDGE_SECRET is not random"},
		{"hardly random", hex.EncodeToString([]byte(strings.Repeat("0123456789abc", 3))), "", "EDGE_SECRET is not random"},
		{"random enough", hex.EncodeToString([]byte(strings.Repeat("0123456789abcd", 3))), "", ""},
		{"the same twice", good, hex.EncodeToString(raw), "EDGE_SECRET_PREVIOUS is the same"},
		{"a short previous one", good, "abcd", "EDGE_SECRET_PREVIOUS has 2 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseSecrets(test.current, test.previous)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			for _, secret := range []string{test.current, test.previous} {
				if len(secret) > 8 && strings.Contains(err.Error(), secret) {
					t.Fatalf("the error shows the secret: %v", err)
				}
			}
		})
	}
}

func TestTheBucketLearnsNothingAndCanChangeNothing(t *testing.T) {
	bucket := dirBucket(t)
	s := openEdge(t, bucket, edgeOptions{})
	store(t, s, "a/x.key", "PRIVATE KEY")
	store(t, s, "a/y.key", "PRIVATE KEY")
	x, y := rawValue(t, bucket, "a/x.key"), rawValue(t, bucket, "a/y.key")
	if bytes.Contains(x, []byte("PRIVATE")) || bytes.Equal(x, y) || bytes.Equal(x[headBytes:headBytes+12], y[headBytes:headBytes+12]) {
		t.Fatal("the value is not encrypted, or not anew each time")
	}
	for name, forged := range map[string][]byte{
		"moved from another name": y,
		"one bit flipped":         append(x[:len(x)-1:len(x)-1], x[len(x)-1]^1),
		"cut":                     x[:len(x)-1],
		"longer":                  append(x[:len(x):len(x)], 0),
		"head only":               x[:headBytes],
		"plain":                   []byte("PRIVATE KEY"),
		"empty":                   nil,
	} {
		putRaw(t, bucket, "a/x.key", forged)
		if _, err := s.Load(t.Context(), "a/x.key"); !errors.Is(err, ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	putRaw(t, bucket, "a/x.key", x)
	wantValue(t, s, "a/x.key", "PRIVATE KEY")
}

func TestAWrongSecretIsNoAbsence(t *testing.T) {
	bucket := dirBucket(t)
	store(t, openEdge(t, bucket, edgeOptions{}), "a", "1")
	s := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'))})
	_, err := s.Load(t.Context(), "a")
	if !errors.Is(err, ErrSecret) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "EDGE_SECRET") {
		t.Fatalf("got %v", err)
	}
	if !s.Exists(t.Context(), "a") {
		t.Fatal("a certificate would be ordered anew")
	}
}

func TestAWrongSecretIsFoundAtTheStart(t *testing.T) {
	bucket := newFaulty(t)
	if err := openEdge(t, bucket, edgeOptions{}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := openEdge(t, bucket, edgeOptions{}).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	wrong := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'))})
	if err := wrong.Check(t.Context()); !errors.Is(err, ErrSecret) {
		t.Fatalf("got %v", err)
	}
	changing := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'), secretOf('a'))})
	if err := changing.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wrong.Check(t.Context()); err != nil {
		t.Fatalf("the fleet has changed to this secret: %v", err)
	}
	bucket.away()
	if err := wrong.Check(t.Context()); err == nil || errors.Is(err, ErrSecret) {
		t.Fatalf("got %v", err)
	}
}

func TestASecretIsChangedWhileEdgesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		before := openEdge(t, bucket, edgeOptions{})
		store(t, before, "a", "1")
		store(t, before, "b", "2")
		changing := openEdge(t, bucket, edgeOptions{local: t.TempDir(), secrets: secrets(t, secretOf('b'), secretOf('a'))})
		wantValue(t, changing, "a", "1")
		store(t, changing, "c", "3")
		settle()
		after := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'))})
		wantValue(t, after, "a", "1") // because it was read
		wantValue(t, after, "c", "3")
		if _, err := after.Load(t.Context(), "b"); !errors.Is(err, ErrSecret) {
			t.Fatalf("what nobody read: %v", err)
		}
		ready := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('a'), secretOf('b'))})
		for key, want := range map[string]string{"a": "1", "b": "2", "c": "3"} {
			wantValue(t, ready, key, want)
		}
	})
}

// A value that was written anew in the meantime is not put back.
func TestARewriteGivesWayToANewerValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		before := openEdge(t, bucket, edgeOptions{})
		store(t, before, "a", "1")
		s := openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'), secretOf('a'))})
		sealed, etag, err := s.get(t.Context(), "values/a~")
		if err != nil {
			t.Fatal(err)
		}
		store(t, before, "a", "2")
		s.do(task{kind: taskRewrite, key: "a", sealed: sealed, etag: etag})
		wantValue(t, before, "a", "2")
	})
}

// settle waits until the workers have nothing to do. Only in a bubble of
// synctest.
func settle() { synctest.Wait() }

func rawValue(t *testing.T, bucket blob.Store, key string) []byte {
	t.Helper()
	k, err := valueKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := read(t.Context(), bucket, k, "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func putRaw(t *testing.T, bucket blob.Store, key string, body []byte) {
	t.Helper()
	k, err := valueKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), k, bytes.NewReader(body), int64(len(body)), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}
