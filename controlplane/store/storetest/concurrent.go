package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
)

func testLock(t *testing.T, s *suite) {
	_, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := s.LockProject(t.Context(), "q")
	if err != nil {
		t.Fatal(err)
	}
	other()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := s.LockProject(short, "p"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a taken lock: %v", err)
	}
	// What the lock guards writes to the database itself.
	s.project("p")
	got := make(chan func())
	go func() {
		_, again, err := s.LockProject(t.Context(), "p")
		if err != nil {
			t.Error(err)
		}
		got <- again
	}()
	select {
	case <-got:
		t.Error("a lock has two holders")
	case <-time.After(20 * time.Millisecond):
	}
	unlock()
	(<-got)()
}

func testLockContext(t *testing.T, s *suite) {
	s.project("p")
	locked, unlock, err := s.LockProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	if locked.Err() != nil {
		t.Error("a lock that is held has ended")
	}
	write := func(tx controlplane.Tx) error { return tx.CollectLater("p", s.now) }
	if err := s.Update(locked, write); err != nil {
		t.Errorf("an update under the lock: %v", err)
	}
	if err := s.Update(context.WithoutCancel(locked), write); err != nil {
		t.Errorf("an update with a context made from the lock's: %v", err)
	}
	unlock()
	unlock() // once more does nothing
	if locked.Err() == nil {
		t.Error("a lock that was given back has not ended")
	}
	outer, cancel := context.WithCancel(t.Context())
	locked, unlock, err = s.LockProject(outer, "p")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-locked.Done()
	unlock()
}

// testLockAmongAll: workers on all handles count under one lock, without an
// Update that would keep them apart.
func testLockAmongAll(t *testing.T, s *suite) {
	var all sync.WaitGroup
	var inside atomic.Int32
	total := 0
	for worker := range 6 {
		all.Go(func() {
			for range 5 {
				_, unlock, err := s.handle(worker).LockProject(t.Context(), "p")
				if err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("a lock has two holders")
				}
				total++
				inside.Add(-1)
				unlock()
			}
		})
	}
	all.Wait()
	s.same("times held", total, 30)
}

// testLostUpdate: every worker adds to what it read.
func testLostUpdate(t *testing.T, s *suite) {
	s.project("p", func(p *controlplane.ProjectRow) { p.Name = "0" })
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for range 10 {
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) error {
					p, err := tx.Project("p")
					if err != nil {
						return err
					}
					n, err := strconv.Atoi(p.Name)
					if err != nil {
						return err
					}
					p.Name = strconv.Itoa(n + 1)
					return tx.SaveProject(p)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s.view(func(tx controlplane.Tx) error {
		p, err := tx.Project("p")
		if err == nil {
			s.same("sum", p.Name, "60")
		}
		return err
	})
}

// testCrowd: many write rows of their own, as fast as they can, side by side in
// the same few pages.
func testCrowd(t *testing.T, s *suite) {
	s.project("p")
	for n := range 20 {
		s.deployment(fmt.Sprint("d", n), "p", status(controlplane.StatusInProgress))
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for n := range 60 {
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) error {
					_, err := tx.Heard(fmt.Sprint("d", (worker+n)%20), 0, int64(n), s.now)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// testClaimSkew: what each worker claims is another row, and yet they must not
// claim more together than the limits say.
func testClaimSkew(t *testing.T, s *suite) {
	for _, project := range []string{"p", "q", "r"} {
		s.project(project)
		for n := range 4 {
			s.deployment(fmt.Sprint(project, n), project)
		}
	}
	limits := controlplane.QueueLimits{Total: 4, Project: 2}
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for {
				var claimed *controlplane.DeploymentRow
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) (err error) {
					if claimed, err = tx.NextQueued(s.now, limits); err != nil || claimed == nil {
						return err
					}
					claimed.Status, claimed.Attempt, claimed.ClaimedBy = controlplane.StatusInProgress, 1, fmt.Sprint(worker)
					ok, err := tx.SaveDeployment(claimed, controlplane.StatusQueued, 0)
					if err == nil && !ok {
						err = errors.New("a deployment was claimed twice")
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if err != nil || claimed == nil {
					return
				}
			}
		})
	}
	all.Wait()
	s.view(func(tx controlplane.Tx) error {
		rows, err := tx.Running()
		s.same("running", ids(rows), []string{"p0", "p1", "q0", "r0"})
		return err
	})
}

func testLeaseRace(t *testing.T, s *suite) {
	for round := range 5 {
		var all sync.WaitGroup
		var held atomic.Int32
		for worker := range 6 {
			all.Go(func() {
				mine := false
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) (err error) {
					mine, err = tx.TakeLease(fmt.Sprint("l", round), controlplane.LeaseRow{Holder: fmt.Sprint(worker), Until: s.now}, controlplane.LeaseRow{})
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if mine {
					held.Add(1)
				}
			})
		}
		all.Wait()
		s.same("holders", held.Load(), int32(1))
	}
}

func testClaimRace(t *testing.T, s *suite) {
	for round := range 5 {
		hash := fmt.Sprint("c", round)
		s.update(func(tx controlplane.Tx) error {
			return tx.PutClaim(hash, controlplane.Attempt{Deployment: "d"}, s.now)
		})
		var all sync.WaitGroup
		var taken atomic.Int32
		for worker := range 6 {
			all.Go(func() {
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) error {
					_, err := tx.TakeClaim(hash, s.now)
					return err
				})
				if err == nil {
					taken.Add(1)
				} else {
					s.missing(err)
				}
			})
		}
		all.Wait()
		s.same("taken", taken.Load(), int32(1))
	}
}

// testUniqueRace: workers that each saw that a name is free insert it; all but
// one see it taken.
func testUniqueRace(t *testing.T, s *suite) {
	errTaken := errors.New("taken")
	for round := range 3 {
		var all sync.WaitGroup
		var made atomic.Int32
		for worker := range 6 {
			all.Go(func() {
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) error {
					name := fmt.Sprint("name", round)
					if _, err := tx.ProjectBySubDomain(name); controlplane.CodeOf(err) != controlplane.CodeNotFound {
						return or(err, errTaken)
					}
					seq, err := tx.Next("n", 1)
					if err != nil {
						return err
					}
					return tx.InsertProject(&controlplane.ProjectRow{Seq: seq, Project: controlplane.Project{ID: fmt.Sprint(name, worker), SubDomain: name}})
				})
				switch {
				case err == nil:
					made.Add(1)
				case !errors.Is(err, errTaken):
					t.Error(err)
				}
			})
		}
		all.Wait()
		s.same("made", made.Load(), int32(1))
	}
}

func or(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
