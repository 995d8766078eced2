package certstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const siteLockName = "issue_cert_a.example.com"

func lock(t *testing.T, s *Storage, name string) {
	t.Helper()
	if err := s.Lock(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func unlock(t *testing.T, s *Storage, name string) {
	t.Helper()
	if err := s.Unlock(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// A certificate costs a part of what the CA gives in a week: one that was just
// obtained is never lost, whichever write of it is the first to fail.
func TestACertificateThatWasJustObtainedOutlivesAnOutage(t *testing.T) {
	for failing := range 3 {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("write %d fails, restart %v", failing, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					bucket, dir := newFaulty(t), t.TempDir()
					s := openEdge(t, bucket, edgeOptions{local: dir})
					o := obtain(t, time.Now().Add(90*24*time.Hour))
					lock(t, s, siteLockName)
					for i, file := range o.files() {
						if i == failing {
							bucket.away()
						}
						store(t, s, file[0], file[1])
					}
					if err := s.Unlock(t.Context(), siteLockName); err == nil {
						t.Error("unlocked without the bucket")
					}
					o.want(t, s)
					if restart {
						if err := s.Close(); err != nil {
							t.Fatal(err)
						}
						s = openEdge(t, bucket, edgeOptions{local: dir})
						o.want(t, s)
					}
					time.Sleep(time.Hour)
					o.want(t, s)
					bucket.back()
					time.Sleep(staleAfter + 3*pushEvery) // the lock of before has to be seen to stand still
					other := openEdge(t, bucket.Store, edgeOptions{})
					o.want(t, other)
					if kept := s.keptBelow(""); len(kept) != 0 {
						t.Errorf("still kept: %q", kept)
					}
					if lockExists(t, bucket.Store, siteLockName) {
						t.Error("the lock is still there")
					}
					bucket.away()
					o.want(t, s) // from the copies
				})
			})
		}
	}
}

func TestOnlyACertificateThatWasJustObtainedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
		lock(t, s, siteLockName)
		bucket.away()
		for _, key := range []string{
			"rw_test_1", "acme/ca/users/x/x.json", "acme/ca/challenge_tokens/a.example.com.json",
			"certificates/ca/b.example.com/b.example.com.json", // whose lock this edge does not have
		} {
			if err := s.Store(t.Context(), key, []byte("x")); !errors.Is(err, errAway) {
				t.Errorf("%s: %v", key, err)
			}
		}
		without := openEdge(t, bucket, edgeOptions{})
		bucket.back()
		time.Sleep(probeEvery)
		lock(t, without, "issue_cert_b.example.com")
		bucket.away()
		if err := without.Store(t.Context(), "certificates/ca/b.example.com/b.example.com.key", []byte("x")); !errors.Is(err, errAway) {
			t.Errorf("kept on no disk: %v", err)
		}
	})
}

// The client for which a certificate is ordered may leave before it is stored.
func TestACertificateIsStoredWhoeverHasLeft(t *testing.T) {
	s := openEdge(t, newFaulty(t), edgeOptions{})
	lock(t, s, siteLockName)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := obtain(t, time.Now().Add(time.Hour))
	for _, file := range o.files() {
		if err := s.Store(ctx, file[0], []byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	o.want(t, s)
	if err := s.Store(ctx, "acme/ca/users/x/x.json", nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("another value: %v", err)
	}
}

func TestWhatIsKeptGivesWayToABetterCertificate(t *testing.T) {
	for _, test := range []struct {
		name         string
		mine, theirs time.Duration
		mineWins     bool
	}{
		{"theirs ends later", 10 * time.Hour, 11 * time.Hour, false},
		{"both end at once", 10 * time.Hour, 10 * time.Hour, false},
		{"theirs is the one before", 10 * time.Hour, 9 * time.Hour, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bucket := newFaulty(t)
				s, other := openEdge(t, bucket, edgeOptions{local: t.TempDir()}), openEdge(t, bucket.Store, edgeOptions{})
				mine, theirs := obtain(t, time.Now().Add(test.mine)), obtain(t, time.Now().Add(test.theirs))
				lock(t, s, siteLockName)
				bucket.away()
				mine.store(t, s)
				_ = s.Unlock(t.Context(), siteLockName)
				lock(t, other, siteLockName)
				theirs.store(t, other)
				bucket.back()
				time.Sleep(time.Minute)
				mine.want(t, s) // while another edge is at it, nothing is overwritten
				theirs.want(t, other)
				unlock(t, other, siteLockName)
				time.Sleep(time.Minute)
				winner := theirs
				if test.mineWins {
					winner = mine
				}
				winner.want(t, s)
				winner.want(t, other)
			})
		})
	}
}

// A secret that an edge does not have may be a mistake that is mended later.
func TestWhatIsKeptWaitsForItsSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, dir := newFaulty(t), t.TempDir()
		s := openEdge(t, bucket, edgeOptions{local: dir})
		lock(t, s, siteLockName)
		bucket.away()
		mine := obtain(t, time.Now().Add(2*time.Hour))
		mine.store(t, s)
		_ = s.Close()
		bucket.back()
		wrong := openEdge(t, bucket, edgeOptions{local: dir, secrets: secrets(t, secretOf('b'))})
		theirs := obtain(t, time.Now().Add(time.Hour))
		theirs.store(t, openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('b'))}))
		time.Sleep(time.Minute)
		theirs.want(t, wrong)
		if err := wrong.Close(); err != nil {
			t.Fatal(err)
		}
		mended := openEdge(t, bucket, edgeOptions{local: dir, secrets: secrets(t, secretOf('a'), secretOf('b'))})
		mine.want(t, mended)
		time.Sleep(time.Minute)
		mine.want(t, openEdge(t, bucket, edgeOptions{secrets: secrets(t, secretOf('a'))}))
	})
}

func TestACertificateThatIsNotWholeIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s, other := openEdge(t, bucket, edgeOptions{local: t.TempDir()}), openEdge(t, bucket.Store, edgeOptions{})
		whole := obtain(t, time.Now().Add(time.Hour))
		whole.store(t, other)
		lock(t, s, siteLockName)
		bucket.away()
		store(t, s, siteFolder+"/a.example.com.key", obtain(t, time.Now()).key) // the process ends here
		_ = s.Unlock(t.Context(), siteLockName)
		bucket.back()
		time.Sleep(staleAfter + 3*pushEvery)
		whole.want(t, s)
		whole.want(t, other)
	})
}

func TestWhatIsKeptIsListedAndDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s := openEdge(t, bucket, edgeOptions{local: t.TempDir()})
		lock(t, s, siteLockName)
		bucket.set(func(_ context.Context, call, key string) error {
			if call == "put" && strings.HasSuffix(key, ".key~") {
				return errAway
			}
			return nil
		})
		obtain(t, time.Now().Add(time.Hour)).store(t, s)
		listed, err := s.List(t.Context(), siteFolder, false)
		if err != nil || len(listed) != 3 || !slices.Contains(listed, siteFolder+"/a.example.com.crt") {
			t.Fatalf("%q %v", listed, err)
		}
		if info, err := s.Stat(t.Context(), listed[0]); err != nil || !info.IsTerminal {
			t.Fatalf("%+v %v", info, err)
		}
		if err := s.Delete(t.Context(), siteFolder); err != nil {
			t.Fatal(err)
		}
		bucket.back()
		time.Sleep(time.Minute)
		if s.Exists(t.Context(), siteFolder) {
			t.Fatal("what was deleted came back")
		}
	})
}

func TestADiskThatIsFullLosesNothingSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket, dir := newFaulty(t), t.TempDir()
		s := openEdge(t, bucket, edgeOptions{local: dir})
		lock(t, s, siteLockName)
		bucket.away()
		// A file where a folder should be: nothing can be written below it.
		roots, err := filepath.Glob(filepath.Join(dir, "*", "objects"))
		if err != nil || len(roots) != 1 {
			t.Fatal(roots, err)
		}
		if err := os.WriteFile(filepath.Join(roots[0], "kept"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		err = s.Store(t.Context(), siteFolder+"/a.example.com.key", []byte("x"))
		if !errors.Is(err, errAway) || !strings.Contains(err.Error(), "keep it on disk") {
			t.Fatalf("got %v", err)
		}
	})
}
