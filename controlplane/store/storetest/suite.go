// Package storetest is the suite that every implementation of
// [controlplane.Store] passes.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mini-vercel/mini-vercel/controlplane"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// Run tests a store. Each call of open returns handles on one empty database, as
// different control planes have them, or the one that an engine can have; the
// suite closes them.
func Run(t *testing.T, open func(t *testing.T) []controlplane.Store) {
	for _, test := range []struct {
		name string
		f    func(*testing.T, *suite)
	}{
		{"an update is all or nothing", testAtomic},
		{"a view sees one state", testSnapshot},
		{"a view can't write", testViewReads},
		{"projects keep every field", testProjectFields},
		{"projects are listed newest first", testProjectList},
		{"dirty projects and hosts are listed until published", testDirty},
		{"everything is marked dirty with its own generation", testMarkAllDirty},
		{"deployments keep every field", testDeploymentFields},
		{"a deployment is saved only as it was read", testDeploymentGuard},
		{"deployments are listed by filters", testDeploymentList},
		{"removed deployments are out of sight", testRemoved},
		{"an idempotency key is its user's", testIdempotencyKey},
		{"the queue keeps limits and order", testQueue},
		{"the queue is fair to owners and projects", testFairQueue},
		{"claims of builds are renewed", testRenew},
		{"builders are heard while they run", testHeard},
		{"uploads that rest are stale", testStaleUploads},
		{"deployments go live with their last host", testWentLive},
		{"newest ready of production and branches", testNewestReady},
		{"kept manifests", testKeptManifests},
		{"what a route names does not expire", testExpired},
		{"hosts keep every field", testHostFields},
		{"hosts outlive their project", testHostsOutlive},
		{"domains keep every field", testDomainFields},
		{"domains are listed by project and by their time", testDomainLists},
		{"one project has a domain", testOneHasADomain},
		{"counters never repeat", testCounters},
		{"counters are raised, never lowered", testRaise},
		{"leases have one holder", testLeases},
		{"notes reach who listens once they are committed", testNotes},
		{"claim tokens work once", testClaims},
		{"detections end once", testDetections},
		{"projects are locked one by one", testLock},
		{"a lock ends its context", testLockContext},
		{"locks of projects are among all control planes", testLockAmongAll},
		{"a Supabase user has one account", testSubjects},
		{"sessions keep every field", testSessionFields},
		{"keys are kept by their issuer", testSupabaseKeys},
		{"text of any kind is kept", testText},
		{"text that can't be kept is mended", testMendedText},
		{"names are ordered by bytes", testOrder},
		{"no update is lost", testLostUpdate},
		{"nobody starves among many", testCrowd},
		{"limits hold whoever claims", testClaimSkew},
		{"one of many takes a lease", testLeaseRace},
		{"one of many takes a claim", testClaimRace},
		{"one of many names is free once", testUniqueRace},
		{"rows of every table are copied", testTables},
		{"the last report is kept", testReports},
		{"what waits is counted", testBacklog},
		{"routes tell of pins and of what a deployment was made for", testRouteFacts},
	} {
		t.Run(test.name, func(t *testing.T) {
			handles := open(t)
			s := &suite{Store: handles[0], handles: handles, t: t, now: time.Date(2026, 5, 4, 3, 2, 1, 987654000, time.UTC)}
			defer func() {
				for _, h := range handles {
					if err := h.Close(); err != nil {
						t.Error(err)
					}
				}
			}()
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.f(t, s)
		})
	}
}

// suite makes rows for the tests.
type suite struct {
	controlplane.Store
	handles []controlplane.Store // of the same database
	t       *testing.T
	now     time.Time
	seq     int64
}

// handle returns one of the handles, for the n-th worker.
func (s *suite) handle(n int) controlplane.Store { return s.handles[n%len(s.handles)] }

func (s *suite) update(f func(controlplane.Tx) error) {
	s.t.Helper()
	if err := s.Update(s.t.Context(), f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) view(f func(controlplane.Tx) error) {
	s.t.Helper()
	if err := s.View(s.t.Context(), f); err != nil {
		s.t.Fatal(err)
	}
}

func (s *suite) project(id string, edit ...func(*controlplane.ProjectRow)) *controlplane.ProjectRow {
	s.t.Helper()
	s.seq++
	p := &controlplane.ProjectRow{Seq: s.seq, Project: controlplane.Project{
		ID: id, Name: id, SubDomain: id, UserID: "me", State: site.ProjectActive, CreatedAt: s.now, UpdatedAt: s.now,
	}}
	for _, e := range edit {
		e(p)
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertProject(p) })
	return p
}

func (s *suite) deployment(id, project string, edit ...func(*controlplane.DeploymentRow)) *controlplane.DeploymentRow {
	s.t.Helper()
	s.seq++
	d := &controlplane.DeploymentRow{Seq: s.seq, UserID: "me", Dispatchable: true, Deployment: controlplane.Deployment{
		ID: id, HostID: id, ProjectID: project, Kind: controlplane.KindGit, Status: controlplane.StatusQueued, Environment: site.Preview,
		CreatedAt: s.now, UpdatedAt: s.now,
	}}
	for _, e := range edit {
		e(d)
	}
	s.update(func(tx controlplane.Tx) error { return tx.InsertDeployment(d) })
	return d
}

func (s *suite) host(name string, edit ...func(*controlplane.HostRow)) *controlplane.HostRow {
	s.t.Helper()
	h := &controlplane.HostRow{Host: name, ProjectID: "p", UserID: "me", Role: controlplane.RoleProduction}
	for _, e := range edit {
		e(h)
	}
	s.update(func(tx controlplane.Tx) error { return tx.SaveHost(h) })
	return h
}

func status(v controlplane.Status) func(*controlplane.DeploymentRow) {
	return func(d *controlplane.DeploymentRow) { d.Status = v }
}

func ids(rows []*controlplane.DeploymentRow) (out []string) {
	for _, d := range rows {
		out = append(out, d.ID)
	}
	return out
}

func (s *suite) same(what string, got, want any) {
	s.t.Helper()
	if !reflect.DeepEqual(got, want) {
		s.t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// missing fails unless err says that something does not exist.
func (s *suite) missing(err error) {
	s.t.Helper()
	if controlplane.CodeOf(err) != controlplane.CodeNotFound {
		s.t.Errorf("%v is not %q", err, controlplane.CodeNotFound)
	}
}

var errOnPurpose = errors.New("on purpose")

func testAtomic(t *testing.T, s *suite) {
	err := s.Update(t.Context(), func(tx controlplane.Tx) error {
		if err := tx.SaveHost(&controlplane.HostRow{Host: "a"}); err != nil {
			return err
		}
		if err := tx.PutClaim("c", controlplane.Attempt{Deployment: "d"}, s.now); err != nil {
			return err
		}
		return errOnPurpose
	})
	if !errors.Is(err, errOnPurpose) {
		t.Errorf("error: %v", err)
	}
	s.update(func(tx controlplane.Tx) error {
		_, err := tx.Host("a")
		s.missing(err)
		_, err = tx.TakeClaim("c", s.now)
		s.missing(err)
		return nil
	})
}

func testSnapshot(t *testing.T, s *suite) {
	s.project("p")
	s.view(func(tx controlplane.Tx) error {
		if _, err := tx.Project("p"); err != nil {
			return err
		}
		s.update(func(tx controlplane.Tx) error { return tx.DeleteProject("p") })
		_, err := tx.Project("p")
		return err
	})
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Project("p")
		s.missing(err)
		return nil
	})
}

func testViewReads(t *testing.T, s *suite) {
	err := s.View(t.Context(), func(tx controlplane.Tx) error {
		_, err := tx.Next("n", 1)
		return err
	})
	if err == nil {
		t.Error("a view has written")
	}
}

func testCounters(t *testing.T, s *suite) {
	var mu sync.Mutex
	seen := map[int64]bool{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for round := range 10 {
				var drawn []int64
				before := int64(0)
				err := s.handle(worker).Update(t.Context(), func(tx controlplane.Tx) error {
					last, err := tx.Next("n", 3)
					drawn = append(drawn, last-2, last-1, last) // of runs that are not committed, too
					if last-2 <= before {
						t.Errorf("%d was drawn after %d", last-2, before)
					}
					before = last
					if err == nil && round%5 == 4 {
						err = errOnPurpose // what was drawn must not come again
					}
					return err
				})
				if err != nil && !errors.Is(err, errOnPurpose) {
					t.Error(err)
				}
				mu.Lock()
				for _, n := range drawn {
					if seen[n] && err == nil {
						t.Errorf("%d was drawn twice", n)
					}
					seen[n] = err == nil
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

func testRaise(t *testing.T, s *suite) {
	s.update(func(tx controlplane.Tx) error {
		if _, err := tx.Next("n", 240); err != nil {
			return err
		}
		was, err := tx.Raise("n", 1000)
		s.same("before", was, int64(240))
		if err != nil {
			return err
		}
		was, err = tx.Raise("n", 500)
		s.same("lower", was, int64(1000))
		if err != nil {
			return err
		}
		n, err := tx.Next("n", 1)
		s.same("after", n, int64(1001))
		return err
	})
}

func testLeases(t *testing.T, s *suite) {
	as := func(holder string, renewal int) controlplane.LeaseRow {
		return controlplane.LeaseRow{Holder: holder, Until: s.now.Add(time.Duration(renewal) * time.Microsecond).Truncate(time.Microsecond)}
	}
	nobody := controlplane.LeaseRow{}
	stands := func() (l controlplane.LeaseRow) {
		s.view(func(tx controlplane.Tx) (err error) { l, err = tx.Lease("l"); return err })
		return l
	}
	s.same("before", stands(), nobody)
	for _, row := range []struct {
		name       string
		take, over controlplane.LeaseRow
		want       bool
	}{
		{"free", as("a", 1), nobody, true},
		{"held", as("b", 1), nobody, false},
		{"its own", as("a", 5), nobody, true},
		{"renewed since", as("b", 2), as("a", 1), false},
		{"another's", as("b", 2), as("c", 5), false},
		{"not renewed", as("b", 2), as("a", 5), true},
		{"by one that is late", as("a", 9), as("a", 5), false},
		{"back", as("a", 1), as("b", 2), true}, // however the clocks go
	} {
		before, held := stands(), false
		s.update(func(tx controlplane.Tx) (err error) {
			held, err = tx.TakeLease("l", row.take, row.over)
			return err
		})
		s.same(row.name, held, row.want)
		if held {
			before = row.take
		}
		s.same(row.name+": it stands", stands(), before)
	}
	drop := func(holder string) {
		s.update(func(tx controlplane.Tx) error { return tx.DropLease("l", holder) })
	}
	drop("b") // not the holder
	s.same("dropped by another", stands(), as("a", 1))
	drop("a")
	s.same("dropped", stands(), nobody)
	s.update(func(tx controlplane.Tx) error { _, err := tx.TakeLease("l", as("b", 1), nobody); return err })
	drop("")
	s.same("dropped for everyone", stands(), nobody)
}

func testClaims(t *testing.T, s *suite) {
	a := controlplane.Attempt{Deployment: "d", Number: 2, Project: "p"}
	detection := controlplane.Attempt{Deployment: "x", Number: 1, Detection: true}
	s.update(func(tx controlplane.Tx) error {
		return errors.Join(tx.PutClaim("one", a, s.now.Add(time.Minute)), tx.PutClaim("two", detection, s.now.Add(time.Minute)), tx.PutClaim("old", a, s.now))
	})
	take := func(hash string, at time.Time) (got controlplane.Attempt, err error) {
		err = s.Update(t.Context(), func(tx controlplane.Tx) (err error) {
			got, err = tx.TakeClaim(hash, at)
			return err
		})
		return got, err
	}
	got, err := take("one", s.now)
	s.same("claim", got, a)
	if err != nil {
		t.Error(err)
	}
	_, err = take("one", s.now)
	s.missing(err)
	_, err = take("old", s.now.Add(time.Second))
	s.missing(err)
	if got, err = take("two", s.now); err != nil || got != detection {
		t.Errorf("%+v %v", got, err)
	}
	s.update(func(tx controlplane.Tx) error { return tx.DeleteClaims(s.now.Add(time.Second)) })
	_, err = take("old", s.now)
	s.missing(err)
}

func testDetections(t *testing.T, s *suite) {
	d := &controlplane.DetectionRow{ID: "x", UserID: "me", Input: controlplane.DetectInput{GitURL: "u", Branch: "b", RootDirectory: "r"}, CreatedAt: s.now, Deadline: s.now.Add(time.Minute)}
	s.update(func(tx controlplane.Tx) error { return tx.InsertDetection(d) })
	running := func(at time.Time) (n int) {
		s.view(func(tx controlplane.Tx) (err error) {
			n, err = tx.RunningDetections(at)
			return err
		})
		return n
	}
	s.same("running", []int{running(s.now), running(s.now.Add(2 * time.Minute))}, []int{1, 0})
	d.Ended, d.Result, d.Reason, d.Handle = true, `{"framework":"vite"}`, "r", "h"
	s.update(func(tx controlplane.Tx) error {
		ok, err := tx.SaveDetection(d)
		s.same("saved", ok, true)
		if ok, _ = tx.SaveDetection(d); ok {
			t.Error("a detection has ended twice")
		}
		return err
	})
	s.view(func(tx controlplane.Tx) error {
		got, err := tx.Detection("x")
		s.same("detection", got, d)
		return err
	})
	s.same("running", running(s.now), 0)
	s.update(func(tx controlplane.Tx) error { return tx.DeleteDetections(s.now.Add(time.Second)) })
	s.view(func(tx controlplane.Tx) error {
		_, err := tx.Detection("x")
		s.missing(err)
		return nil
	})
}

func testText(t *testing.T, s *suite) {
	for i, text := range []string{"", "ä € 😀", `"quoted" 'single' \back %like_ $1 ? :x`, "line\nbreak\ttab", "\u2028\ufeff", strings.Repeat("x", 1<<20)} {
		id := fmt.Sprint("p", i)
		p := s.project(id, func(p *controlplane.ProjectRow) { p.Name, p.BuildCommand = text, text })
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Project(id)
			if err == nil && (got.Name != text || got.BuildCommand != p.BuildCommand) {
				t.Errorf("%.100q became %.100q and %.100q", text, got.Name, got.BuildCommand)
			}
			return err
		})
	}
}

// testMendedText: what one engine could not keep neither does, and a look for it
// finds nothing rather than failing.
func testMendedText(t *testing.T, s *suite) {
	for i, text := range []string{"a\x00b", "a\xffb", "a\xc3", "\xed\xa0\x80"} {
		id := fmt.Sprint("p", i)
		s.project(id, func(p *controlplane.ProjectRow) {
			p.Name = text
			p.BuildCommand = strings.ToValidUTF8(text, "\ufffd") // JSON can hold NUL
		})
		s.view(func(tx controlplane.Tx) error {
			got, err := tx.Project(id)
			if err != nil {
				return err
			}
			want := strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\x00", "\ufffd")
			s.same("name", []string{got.Name, got.BuildCommand}, []string{want, strings.ToValidUTF8(text, "\ufffd")})
			_, err = tx.Project(text)
			s.missing(err)
			_, err = tx.UserByEmail(text)
			s.missing(err)
			_, err = tx.HostsOfDeployments([]string{text})
			return err
		})
	}
}

func testOrder(t *testing.T, s *suite) {
	s.project("p")
	want := []string{"A_B", "AB", "Z", "_", "a", "a-b", "a.b", "ab", "b", "ä"}
	slices.Sort(want)
	for _, name := range want {
		s.host(name)
		s.domain("p", name)
		s.update(func(tx controlplane.Tx) error {
			return tx.PutEnvVar(&controlplane.EnvVarRow{ProjectID: "p", EnvVar: controlplane.EnvVar{Key: name}})
		})
	}
	s.view(func(tx controlplane.Tx) error {
		var got [3][]string
		vars, err := tx.EnvVars("p")
		for _, v := range vars {
			got[0] = append(got[0], v.Key)
		}
		hosts, err2 := tx.HostsOfProject("p")
		for _, h := range hosts {
			got[1] = append(got[1], h.Host)
		}
		domains, err3 := tx.Domains("p")
		for _, d := range domains {
			got[2] = append(got[2], d.Host)
		}
		s.same("order", got, [3][]string{want, want, want})
		return errors.Join(err, err2, err3)
	})
}
