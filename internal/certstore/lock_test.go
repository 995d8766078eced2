package certstore

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/blob"
)

// vanish makes a storage's locks stand still, as kill -9 does.
func vanish(s *Storage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.leases {
		l.stop()
		l.mu.Lock()
		l.lost = true // so that nothing deletes it
		l.mu.Unlock()
	}
}

// lockExists says whether the bucket has the lock.
func lockExists(t *testing.T, bucket blob.Store, name string) bool {
	t.Helper()
	_, err := bucket.Stat(context.Background(), lockKey(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestOneOfManyEdgesHasALockAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		var inside, total atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			s := openEdge(t, bucket, edgeOptions{})
			all.Go(func() {
				if err := s.Lock(t.Context(), "x"); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two edges have the lock")
				}
				time.Sleep(time.Minute) // far longer than a lock that is not refreshed lasts
				inside.Add(-1)
				total.Add(1)
				if err := s.Unlock(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if total.Load() != 20 || lockExists(t, bucket, "x") {
			t.Fatalf("%d of 20 had it; it exists: %v", total.Load(), lockExists(t, bucket, "x"))
		}
	})
}

func TestALockWhoseHolderIsGoneHasOneHeir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		gone := openEdge(t, bucket, edgeOptions{})
		if err := gone.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		vanish(gone)
		begun := time.Now()
		var heirs atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all sync.WaitGroup
		for range 20 {
			// Writes take so long that all have decided before the first is done.
			slow := &faulty{Store: bucket}
			slow.set(func(_ context.Context, call, _ string) error {
				if call == "put" {
					time.Sleep(lockPoll)
				}
				return nil
			})
			s := openEdge(t, slow, edgeOptions{})
			all.Go(func() {
				if s.Lock(ctx, "x") == nil {
					heirs.Add(1)
					if waited := time.Since(begun); waited < staleAfter {
						t.Errorf("taken over after %v", waited)
					}
				}
			})
		}
		time.Sleep(staleAfter + 4*lockPoll)
		if heirs.Load() != 1 {
			t.Errorf("%d edges have the lock", heirs.Load())
		}
		time.Sleep(10 * time.Minute)
		if heirs.Load() != 1 {
			t.Errorf("%d edges have the lock that the heir refreshes", heirs.Load())
		}
		cancel()
		all.Wait()
	})
}

func TestALockThatIsFreeHasOneTaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		bucket.set(func(_ context.Context, call, _ string) error {
			if call == "put" {
				time.Sleep(time.Second)
			}
			return nil
		})
		var takers atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			s := openEdge(t, bucket, edgeOptions{})
			all.Go(func() {
				if won, err := s.TryLock(t.Context(), "x"); err != nil {
					t.Error(err)
				} else if won {
					takers.Add(1)
				}
			})
		}
		all.Wait()
		if takers.Load() != 1 {
			t.Fatalf("%d edges have the lock", takers.Load())
		}
	})
}

func TestATryRemembersHowLongALockStoodStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		gone, s := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket, edgeOptions{})
		if won, err := gone.TryLock(t.Context(), "x"); !won || err != nil {
			t.Fatal(won, err)
		}
		try := func() bool {
			won, err := s.TryLock(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			return won
		}
		if try() {
			t.Fatal("two edges have it")
		}
		time.Sleep(10 * time.Minute)
		if try() {
			t.Fatal("a lock that is refreshed was taken over")
		}
		vanish(gone)
		if try() {
			t.Fatal("taken over before it was seen to stand still")
		}
		time.Sleep(staleAfter - time.Millisecond)
		if try() {
			t.Fatal("taken over too early")
		}
		time.Sleep(time.Millisecond)
		if !try() {
			t.Fatal("not taken over")
		}
	})
}

func TestAHolderNoticesThatItsLockIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		a, b := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket.Store, edgeOptions{})
		if err := a.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		bucket.away() // for a alone
		if err := b.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(refreshEvery)
		if err := a.RenewLockLease(t.Context(), "x", time.Hour); err == nil {
			t.Fatal("the lease of a lost lock was renewed")
		}
		bucket.back()
		time.Sleep(probeEvery)
		if err := a.RenewLockLease(t.Context(), "x", time.Hour); err == nil || !strings.Contains(err.Error(), "another edge has it") {
			t.Fatalf("the lease of a lost lock was renewed: %v", err)
		}
		if err := a.Unlock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if !lockExists(t, bucket.Store, "x") {
			t.Fatal("the unlock of a lost lock deleted its heir's")
		}
		if err := b.RenewLockLease(t.Context(), "x", time.Hour); err != nil {
			t.Fatal(err)
		}
	})
}

func TestALostLockIsTakenAgainWhenItIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		a, b := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket.Store, edgeOptions{})
		if err := a.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		bucket.away()
		if err := b.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		bucket.back()
		time.Sleep(2 * refreshEvery)
		if err := b.Unlock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := a.RenewLockLease(t.Context(), "x", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if won, err := b.TryLock(t.Context(), "x"); won || err != nil {
			t.Fatalf("the lock that was taken again is not refreshed: %v %v", won, err)
		}
		if err := a.Unlock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if lockExists(t, bucket.Store, "x") {
			t.Fatal("the lock is still there")
		}
	})
}

func TestALockSurvivesAShortOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		a, b := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket.Store, edgeOptions{})
		if err := a.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var other sync.WaitGroup
		other.Go(func() {
			if err := b.Lock(ctx, "x"); err == nil {
				t.Error("the lock was taken over")
			}
		})
		for range 10 {
			bucket.away()
			time.Sleep(staleAfter / 2)
			bucket.back()
			time.Sleep(staleAfter / 2)
		}
		if err := a.RenewLockLease(t.Context(), "x", time.Hour); err != nil {
			t.Error(err)
		}
		cancel()
		other.Wait()
	})
}

// A call may be done in the bucket although its answer was an error.
func TestAnAnswerThatIsLostChangesNothing(t *testing.T) {
	for _, call := range []string{"put", "delete"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bucket := newFaulty(t)
				s := openEdge(t, bucket, edgeOptions{})
				for n := range 20 {
					var lost atomic.Int32
					bucket.setAfter(func(c, _ string) error {
						if c == call && int(lost.Add(1)) == 1+n%2 { // the first answer, or the second
							return errAway
						}
						return nil
					})
					if err := s.Lock(t.Context(), "x"); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
					if err := s.RenewLockLease(t.Context(), "x", time.Hour); err != nil {
						t.Fatal(err)
					}
					if err := s.Unlock(t.Context(), "x"); err != nil {
						t.Fatal(err)
					}
					if lockExists(t, bucket.Store, "x") {
						t.Fatal("the lock is still there")
					}
				}
			})
		})
	}
}

// An edge whose delete was done, but not answered, must not delete the lock
// that another has by then.
func TestAnUnlockIsNotRepeatedOverAnothersLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		a, b := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket.Store, edgeOptions{})
		if err := a.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		bucket.setAfter(func(call, _ string) error {
			if call != "delete" {
				return nil
			}
			if err := b.Lock(t.Context(), "x"); err != nil {
				t.Error(err)
			}
			return errAway
		})
		if err := a.Unlock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if !lockExists(t, bucket.Store, "x") {
			t.Fatal("another's lock was deleted")
		}
	})
}

func TestAWaitForALockEndsWhereTheBucketIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := newFaulty(t)
		s := openEdge(t, bucket, edgeOptions{})
		bucket.away()
		if err := s.Lock(t.Context(), "x"); !errors.Is(err, errAway) {
			t.Fatal(err)
		}
		if won, err := s.TryLock(t.Context(), "x"); won || !errors.Is(err, errAway) {
			t.Fatal(won, err)
		}
		bucket.back()
		time.Sleep(probeEvery)
		if err := s.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCloseGivesLocksBackAndEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := dirBucket(t)
		a, b := openEdge(t, bucket, edgeOptions{}), openEdge(t, bucket, edgeOptions{})
		if err := a.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := b.Lock(t.Context(), "x"); !errors.Is(err, ErrClosed) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		if err := errors.Join(b.Close(), a.Close()); err != nil {
			t.Fatal(err)
		}
		waiting.Wait()
		if lockExists(t, bucket, "x") {
			t.Fatal("the lock is still there")
		}
		if err := a.Unlock(t.Context(), "x"); err != nil {
			t.Fatalf("certmagic unlocks after the end: %v", err)
		}
		if err := a.Lock(t.Context(), "x"); !errors.Is(err, ErrClosed) {
			t.Fatalf("got %v", err)
		}
	})
}
