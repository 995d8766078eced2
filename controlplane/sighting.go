package controlplane

import (
	"sync"
	"time"
)

// Control planes compare no clocks: neither with each other's nor with the
// database's, which is another one after a failover. What one of them has to
// renew changes each time. Another one takes it over when it has seen it stand
// still for its whole time by its own clock, which begins when it first sees it.

// sighting is what was seen to stand in the database, and since when.
type sighting[T comparable] struct {
	what  T
	since time.Time
}

// see notes what stands at a time, and returns since when it was seen to.
func (s *sighting[T]) see(what T, now time.Time) time.Time {
	if s.since.IsZero() || s.what != what {
		s.what, s.since = what, now
	}
	return s.since
}

// buildSight is what the watcher has seen of a build.
type buildSight struct {
	claim sighting[claimMark]
	heard sighting[time.Time] // when its builder reported last
	phase sighting[time.Time] // when its phase began
}

// claimMark changes whenever a claim is renewed.
type claimMark struct {
	by    string
	until time.Time
}

// claim is the mark of a row's claim.
func (d *DeploymentRow) claim() claimMark { return claimMark{d.ClaimedBy, d.ClaimUntil} }

// lookGap is how long at most nobody looks between two looks that count
// together. Where it was longer, the database may have hung, or all of this
// machine: then whoever has to renew something could not do so either.
const lookGap = 5 * time.Second

// buildSights are what the watcher has seen of all builds that run.
type buildSights struct {
	of     map[Attempt]*buildSight
	looked time.Time // when the watcher was last done with a round; zero: it begins anew
}

// forget has everything begin anew.
func (b *buildSights) forget() { b.of, b.looked = nil, time.Time{} }

// see notes how builds stand at a time; real is that of this machine.
func (b *buildSights) see(rows []*DeploymentRow, now, real time.Time) {
	if !b.looked.IsZero() && real.Sub(b.looked) > lookGap {
		b.forget()
	}
	seen := make(map[Attempt]*buildSight, len(rows))
	for _, d := range rows {
		a := d.attempt()
		if seen[a] = b.of[a]; seen[a] == nil {
			seen[a] = &buildSight{}
		}
		seen[a].claim.see(d.claim(), now)
		seen[a].heard.see(d.HeardAt, now)
		seen[a].phase.see(d.PhaseAt, now)
	}
	b.of = seen
}

// leaseSights are what was seen of leases.
type leaseSights struct {
	mu sync.Mutex
	of map[string]*sighting[LeaseRow]
}

// see notes how a lease stands at a time, and returns since when it was seen to.
func (l *leaseSights) see(name string, stands LeaseRow, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[name] == nil {
		l.of[name] = &sighting[LeaseRow]{}
	}
	return l.of[name].see(stands, now)
}

// forget has it begin anew for a lease.
func (l *leaseSights) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of, name)
}

// maxApart is by how much the clocks of control planes may differ without harm.
// Two things still end by the clock of whoever looks: a builder's one-use token,
// and the token of a detection. Both end earlier when what they are for is over.
const maxApart = 5 * time.Minute

// clockSlack is how much longer something counts that may have begun by another
// clock.
func (s *Service) clockSlack() time.Duration {
	if s.config.Exclusive {
		return 0
	}
	return maxApart
}
