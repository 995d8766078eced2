package edge_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mini-vercel/mini-vercel/internal/edge"
	"github.com/mini-vercel/mini-vercel/internal/site"
)

// certStore is what edges share: which names have a certificate, and the record.
type certStore struct {
	mu      sync.Mutex
	has     []string
	record  []byte
	updates int
	fault   error
}

func (s *certStore) rules(l edge.CertLimits) *edge.CertRules {
	return &edge.CertRules{
		Limits: l,
		Stored: func(_ context.Context, name string) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Contains(s.has, name)
		},
		Update: func(_ context.Context, change func([]byte) ([]byte, error)) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.updates++
			if s.fault != nil {
				return s.fault
			}
			record, err := change(s.record)
			if record != nil {
				s.record = record
			}
			return err
		},
	}
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func (c *clock) option(config *edge.Config) { config.Now = c.Now }

// decisions returns how many decisions ended with an outcome.
func decisions(t *testing.T, e *edge.Edge, outcome string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(e.Metrics().Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "mini_vercel_edge_certificate_decisions_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no outcome %q", outcome)
	return 0
}

func TestACertificateIsForLiveSitesOnly(t *testing.T) {
	ten := strings.Repeat("a.", 8) + "example.org"
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, texts(map[string]string{"/index.html": "home"}))
	b.route(site.Route{Host: "gone.example.test", Gone: true})
	b.route(site.Route{Host: "www.example.org", RedirectTo: "example.org"})
	b.route(site.Route{Host: "example.org"})
	b.route(site.Route{Host: ten, Deployment: "d1"})
	for _, tt := range []struct {
		name, outcome string
		looksUp       bool
	}{
		{hostName, "new", true},
		{"www.example.org", "new", true},
		{"example.org", "new", true},
		{ten, "new", true},
		{"a." + ten, "bad_name", false},
		{"gone.example.test", "no_site", true},
		{"other.example.test", "no_site", true},
		{"other.example.org", "no_site", true},
		{"example.test", "bad_name", false},
		{"a.site.example.test", "bad_name", false},
		{"org", "bad_name", false},
		{"", "bad_name", false},
		{"127.0.0.1", "bad_name", false},
		{"::1", "bad_name", false},
		{"Site.example.test", "bad_name", false},
		{"site.example.test.", "bad_name", false},
		{"site.example.test:443", "bad_name", false},
		{"a_b.example.org", "bad_name", false},
		{"a..example.org", "bad_name", false},
		{strings.Repeat("a", 63) + ".example.org", "no_site", true},
		{strings.Repeat("a", 64) + ".example.org", "bad_name", false},
		{strings.Repeat(strings.Repeat("a", 61)+".", 4) + "aa.aa", "no_site", true},    // 253
		{strings.Repeat(strings.Repeat("a", 61)+".", 4) + "aaa.aa", "bad_name", false}, // 254
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEdge(t, b)
			err := e.Certificate(context.Background(), tt.name, new(certStore).rules(edge.CertLimits{}))
			if (err == nil) != (tt.outcome == "new") || err != nil && !errors.Is(err, edge.ErrNoCertificate) {
				t.Fatalf("got %v", err)
			}
			if decisions(t, e, tt.outcome) != 1 {
				t.Errorf("%v is not counted as %s", err, tt.outcome)
			}
			key := site.RouteKey(tt.name)
			before := b.reads(key)
			if looked := before > 0; looked != tt.looksUp {
				t.Errorf("looked up: %v", looked)
			}
			// Both answers are cached.
			_ = e.Certificate(context.Background(), tt.name, new(certStore).rules(edge.CertLimits{}))
			if b.reads(key) != before {
				t.Error("the second time reads the bucket again")
			}
		})
	}
}

func TestASuspendedSiteKeepsItsCertificateADeletedOneDoesNot(t *testing.T) {
	for state, want := range map[site.ProjectState]bool{site.ProjectActive: true, site.ProjectSuspended: true, site.ProjectDeleted: false} {
		b := newBucket(t)
		b.deploy("d1", site.Meta{}, nil)
		b.project(site.Project{State: state})
		err := newEdge(t, b).Certificate(context.Background(), hostName, new(certStore).rules(edge.CertLimits{}))
		if (err == nil) != want || err != nil && !errors.Is(err, edge.ErrNoCertificate) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestTheWildcardCertificateLeavesOtherDomainsAlone(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	b.route(site.Route{Host: "www.example.org", Deployment: "d1"})
	e := newEdge(t, b)
	rules := new(certStore).rules(edge.CertLimits{})
	rules.Wildcard = true
	if err := e.Certificate(context.Background(), hostName, rules); !errors.Is(err, edge.ErrNoCertificate) || decisions(t, e, "wildcard") != 1 {
		t.Errorf("below the base domain: %v", err)
	}
	if err := e.Certificate(context.Background(), "www.example.org", rules); err != nil {
		t.Error(err)
	}
}

// TestAFailureIsNotADenial takes the bucket away, then the storage.
func TestAFailureIsNotADenial(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	e := newEdge(t, b)
	b.breaks(away)
	if err := e.Certificate(context.Background(), hostName, new(certStore).rules(edge.CertLimits{})); !errors.Is(err, errAway) || errors.Is(err, edge.ErrNoCertificate) {
		t.Errorf("the bucket is away: %v", err)
	}
	b.breaks(nil)
	eventually(t, "the bucket is asked again", func() bool { return lookFor(context.Background(), t, e, hostName, "/").status != 503 })
	store := &certStore{fault: errAway}
	if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})); !errors.Is(err, errAway) || errors.Is(err, edge.ErrNoCertificate) {
		t.Errorf("the storage is away: %v", err)
	}
	// It was not asked for, so nothing has to pass until it is.
	store.fault = nil
	if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})); err != nil {
		t.Error(err)
	}
	if decisions(t, e, "failed") != 2 || decisions(t, e, "new") != 1 {
		t.Error("miscounted")
	}
	b.breaks(away)
	store.has = []string{hostName}
	if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})); err != nil {
		t.Errorf("known, and the bucket is away: %v", err)
	}
	damaged := &certStore{record: []byte("{")}
	if err := newEdge(t, b.mended()).Certificate(context.Background(), hostName, damaged.rules(edge.CertLimits{})); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged record: %v", err)
	}
}

// mended is the bucket without faults.
func (b *bucket) mended() *bucket {
	b.breaks(nil)
	return b
}

// TestAFloodOfUnknownNamesKeepsKnownOnesGoing sends more names than the budget
// of unknown hosts has.
func TestAFloodOfUnknownNamesKeepsKnownOnesGoing(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	now := newClock()
	e := newEdge(t, b, now.option, func(c *edge.Config) { c.Pace.UnknownPerSecond = 5 })
	store := &certStore{has: []string{hostName}}
	if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})); err != nil {
		t.Fatal(err)
	}
	var denied, busy int
	for i := range 500 {
		err := e.Certificate(context.Background(), fmt.Sprintf("flood-%d.example.org", i), store.rules(edge.CertLimits{}))
		switch {
		case errors.Is(err, edge.ErrNoCertificate):
			denied++
		case err != nil:
			busy++
		}
		if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})); err != nil {
			t.Fatalf("the known one in the flood: %v", err)
		}
	}
	if denied == 0 || denied > 10 || denied+busy != 500 {
		t.Errorf("%d denied by a look, %d beyond the budget", denied, busy)
	}
}

func TestALimitsBudgets(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limits  edge.CertLimits
		host    func(i int) string
		preview bool
		fits    int
		outcome string
		passes  time.Duration // until there is room again
	}{
		{"in all", edge.CertLimits{PerMinute: 3, PerDomain: 9}, func(i int) string { return fmt.Sprintf("www.site-%d.org", i) }, false, 3, "minute", time.Minute},
		{"of one registered domain", edge.CertLimits{PerMinute: 9, PerDomain: 3}, func(i int) string { return fmt.Sprintf("s%d.example.co.uk", i) }, false, 3, "domain", time.Minute},
		{"in three hours", edge.CertLimits{PerMinute: 9, PerDomain: 9, PerThreeHours: 3}, func(i int) string { return fmt.Sprintf("www.site-%d.org", i) }, false, 3, "hours", 3 * time.Hour},
		{"below the base domain", edge.CertLimits{PerMinute: 9, PerDomain: 9, PerWeek: 3}, func(i int) string { return fmt.Sprintf("s%d.example.test", i) }, false, 3, "week", 7 * 24 * time.Hour},
		{"previews", edge.CertLimits{PerMinute: 9, PerDomain: 9, PerWeek: 9, PreviewsPerWeek: 3}, func(i int) string { return fmt.Sprintf("s%d--site.example.test", i) }, true, 3, "week", 7 * 24 * time.Hour},
		{"previews by default half", edge.CertLimits{PerMinute: 9, PerDomain: 9, PerWeek: 6}, func(i int) string { return fmt.Sprintf("s%d--site.example.test", i) }, true, 3, "week", 7 * 24 * time.Hour},
		{"previews elsewhere", edge.CertLimits{PerMinute: 9, PerDomain: 4, PerWeek: 1}, func(i int) string { return fmt.Sprintf("s%d.example.org", i) }, true, 4, "domain", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBucket(t)
			b.deploy("d1", site.Meta{}, nil)
			for i := range tt.fits + 2 {
				r := site.Route{Host: tt.host(i), Deployment: "d1"}
				if tt.preview {
					r.Environment = site.Preview
				}
				b.route(r)
			}
			now, store := newClock(), &certStore{}
			// Each handshake comes to another edge.
			edges := []*edge.Edge{newEdge(t, b, now.option), newEdge(t, b, now.option)}
			ask := func(i int) error {
				return edges[i%2].Certificate(context.Background(), tt.host(i), store.rules(tt.limits))
			}
			for i := range tt.fits {
				if err := ask(i); err != nil {
					t.Fatalf("%d of %d: %v", i+1, tt.fits, err)
				}
			}
			before := decisions(t, edges[tt.fits%2], tt.outcome)
			if err := ask(tt.fits); err == nil || errors.Is(err, edge.ErrNoCertificate) || !strings.Contains(err.Error(), "used up") {
				t.Fatalf("%d of %d: %v", tt.fits+1, tt.fits, err)
			}
			if decisions(t, edges[tt.fits%2], tt.outcome) != before+1 {
				t.Errorf("not counted as %s", tt.outcome)
			}
			// What is known to be refused costs the storage nothing.
			updates := store.updates
			for range 100 {
				if ask(tt.fits) == nil {
					t.Fatal("allowed")
				}
			}
			if store.updates != updates {
				t.Errorf("%d more looks at the record", store.updates-updates)
			}
			now.pass(tt.passes - time.Second)
			if ask(tt.fits) == nil {
				t.Error("allowed a second too early")
			}
			now.pass(time.Second)
			if err := ask(tt.fits); err != nil {
				t.Errorf("after %v: %v", tt.passes, err)
			}
		})
	}
}

// TestEveryOrderCountsOnceACertificate asks for a name that never gets its
// certificate: the CA counts each of its orders, but no certificate was issued.
func TestEveryOrderCountsOnceACertificate(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	host := func(i int) string { return fmt.Sprintf("s%d.example.test", i) }
	for i := range 3 {
		b.route(site.Route{Host: host(i), Deployment: "d1"})
	}
	now, store := newClock(), &certStore{}
	limits := edge.CertLimits{PerMinute: 9, PerDomain: 9, PerThreeHours: 3, PerWeek: 2}
	ask := func(name string) error {
		// Another edge each time: none waits because it has tried.
		return newEdge(t, b, now.option).Certificate(context.Background(), name, store.rules(limits))
	}
	for range 2 {
		if err := ask(host(0)); err != nil {
			t.Fatal(err)
		}
		now.pass(time.Minute)
	}
	if err := ask(host(1)); err != nil {
		t.Fatalf("one name tried twice counts twice in the week: %v", err)
	}
	now.pass(time.Minute)
	if err := ask(host(0)); err == nil || !strings.Contains(err.Error(), "in three hours") {
		t.Errorf("the fourth order of three: %v", err)
	}
	now.pass(3 * time.Hour)
	if err := ask(host(2)); err == nil || !strings.Contains(err.Error(), "a week") {
		t.Errorf("the third name of two: %v", err)
	}
}

func TestPreviewsLeaveRoomForProduction(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	for i := range 4 {
		b.route(site.Route{Host: fmt.Sprintf("p%d--site.example.test", i), Deployment: "d1", Environment: site.Preview})
		b.route(site.Route{Host: fmt.Sprintf("site-%d.example.test", i), Deployment: "d1"})
	}
	now, store := newClock(), &certStore{}
	e := newEdge(t, b, now.option)
	limits := edge.CertLimits{PerMinute: 99, PerDomain: 99, PerWeek: 5, PreviewsPerWeek: 2}
	allowed := func(pattern string) (n int) {
		for i := range 4 {
			if e.Certificate(context.Background(), fmt.Sprintf(pattern, i), store.rules(limits)) == nil {
				n++
			}
		}
		return n
	}
	if n := allowed("p%d--site.example.test"); n != 2 {
		t.Errorf("%d previews", n)
	}
	if n := allowed("site-%d.example.test"); n != 3 {
		t.Errorf("%d production hosts after 2 previews", n)
	}
	// A larger budget counts from the next minute on.
	now.pass(time.Minute)
	limits.PerWeek, limits.PreviewsPerWeek = 6, 3
	if err := e.Certificate(context.Background(), "site-3.example.test", store.rules(limits)); err != nil {
		t.Error(err)
	}
}

// TestWhatIsStoredCostsNothing asks for a name that has its certificate.
func TestWhatIsStoredCostsNothing(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	e, store := newEdge(t, b), &certStore{has: []string{hostName}}
	for range 100 {
		if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{PerMinute: 1})); err != nil {
			t.Fatal(err)
		}
	}
	if store.updates != 0 || decisions(t, e, "stored") != 100 {
		t.Errorf("%d looks at the record", store.updates)
	}
}

// TestAnInternalCAHasNoBudget passes no record to keep.
func TestAnInternalCAHasNoBudget(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	e := newEdge(t, b)
	for range 100 {
		if err := e.Certificate(context.Background(), hostName, &edge.CertRules{Limits: edge.CertLimits{PerMinute: 1}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAFailedNameWaitsLongerEachTime has a CA that issues nothing.
func TestAFailedNameWaitsLongerEachTime(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	now, store := newClock(), &certStore{}
	e := newEdge(t, b, now.option)
	ask := func() error { return e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{})) }
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if err := ask(); err != nil {
			t.Fatalf("before %d minutes: %v", wait, err)
		}
		now.pass(wait*time.Minute - time.Second)
		if err := ask(); err == nil || errors.Is(err, edge.ErrNoCertificate) {
			t.Fatalf("a second before %d minutes: %v", wait, err)
		}
		now.pass(time.Second)
	}
	// Once it has one, it begins anew.
	store.has = []string{hostName}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	store.has = nil
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	now.pass(time.Minute)
	if err := ask(); err != nil {
		t.Fatal(err)
	}
}

// TestManyEdgesAskedAtOnceForOneNameEnterItOnce is how a new domain begins.
func TestManyEdgesAskedAtOnceForOneNameEnterItOnce(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	store, now := &certStore{}, newClock()
	var all sync.WaitGroup
	for range 20 {
		e := newEdge(t, b, now.option)
		all.Go(func() {
			if err := e.Certificate(context.Background(), hostName, store.rules(edge.CertLimits{PerMinute: 1, PerDomain: 1, PerWeek: 1})); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestAWrongClockBlocksNobodyForEver finds issuances that another edge entered
// in the future.
func TestAWrongClockBlocksNobodyForEver(t *testing.T) {
	b := newBucket(t)
	b.deploy("d1", site.Meta{}, nil)
	b.route(site.Route{Host: "www.example.org", Deployment: "d1"})
	b.route(site.Route{Host: "www.example.net", Deployment: "d1"})
	store, now := &certStore{}, newClock()
	ahead := &clock{now: now.now.Add(365 * 24 * time.Hour)}
	limits := edge.CertLimits{PerMinute: 1}
	if err := newEdge(t, b, ahead.option).Certificate(context.Background(), "www.example.org", store.rules(limits)); err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, b, now.option)
	if e.Certificate(context.Background(), "www.example.net", store.rules(limits)) == nil {
		t.Error("what lies in the future does not count")
	}
	now.pass(time.Minute)
	if err := e.Certificate(context.Background(), "www.example.net", store.rules(limits)); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
