package edge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// CertLimits bound how many certificates a CA is asked for, by all edges
// together: it has limits of its own, and where they are used up nobody gets
// one. Zero values stand for the defaults.
type CertLimits struct {
	PerMinute       int           // in all. Default 30
	PerDomain       int           // a minute, for one registered domain. Default 5
	PerThreeHours   int           // in all. Default 250; Let's Encrypt gives an account 300
	PerWeek         int           // of hosts below the base domain. Default 40; Let's Encrypt gives a registered domain 50
	PreviewsPerWeek int           // of these, previews: the rest is for production hosts. Default half of PerWeek
	Retry           time.Duration // until a name is asked for again that did not get its certificate; doubles up to an hour. Default 1 minute
}

func (l CertLimits) complete() CertLimits {
	orDefault(&l.PerMinute, 30)
	orDefault(&l.PerDomain, 5)
	orDefault(&l.PerThreeHours, 250)
	orDefault(&l.PerWeek, 40)
	orDefault(&l.PreviewsPerWeek, l.PerWeek/2)
	orDefault(&l.Retry, time.Minute)
	return l
}

const (
	week         = 7 * 24 * time.Hour
	threeHours   = 3 * time.Hour
	maxCertRetry = time.Hour
	// updateTime is how long a handshake waits for the shared record.
	updateTime = 10 * time.Second
	// issuingNames is how many names, and how many used-up budgets, are
	// remembered.
	issuingNames = 10_000
)

// issuances is the record that the edges share: each name that a CA was asked
// to certify, with when that was last.
type issuances struct {
	Issuances []issuance `json:"issuances"`
}

type issuance struct {
	Name       string    `json:"name"`
	Registered string    `json:"registered"`
	At         time.Time `json:"at"`
	Below      bool      `json:"below,omitempty"`   // the base domain
	Preview    bool      `json:"preview,omitempty"` // one of these
}

// usedUp is a budget that has nothing left.
type usedUp struct {
	outcome certOutcome
	budget  string
	limit   int
	until   time.Time
}

func (u *usedUp) Error() string {
	return fmt.Sprintf("the budget of certificates is used up: %d %s; again from %s on", u.limit, u.budget, u.until.UTC().Format(time.RFC3339))
}

// The names of the budgets. A registered domain's has the domain behind it.
const (
	budgetMinute   = "a minute"
	budgetDomain   = "a minute for "
	budgetHours    = "in three hours"
	budgetWeek     = "a week below the base domain"
	budgetPreviews = "a week for previews below the base domain"
)

// take enters a name, or says which budget has nothing left. One name within a
// minute is one issuance, whichever edges ask: they wait for each other's. A
// name from before did not get its certificate, or it would not be asked for:
// that was an order all the same, but no certificate. changed says that the
// record is to be stored.
func (r *issuances) take(h certHost, now time.Time, l CertLimits) (changed bool, over *usedUp) {
	changed = r.forget(now)
	var minute, domain, hours, weekly, previews []time.Time
	for _, i := range r.Issuances {
		young := now.Sub(i.At) < time.Minute
		if i.Name == h.name {
			if young {
				return changed, nil
			}
			if now.Sub(i.At) < threeHours {
				hours = append(hours, i.At)
			}
			continue
		}
		if young {
			minute = append(minute, i.At)
		}
		if young && i.Registered == h.registered {
			domain = append(domain, i.At)
		}
		if now.Sub(i.At) < threeHours {
			hours = append(hours, i.At)
		}
		if i.Below {
			weekly = append(weekly, i.At)
		}
		if i.Below && i.Preview {
			previews = append(previews, i.At)
		}
	}
	budgets := []struct {
		usedUp
		applies bool
		spent   []time.Time
		span    time.Duration
	}{
		{usedUp{outcome: certMinute, budget: budgetMinute, limit: l.PerMinute}, true, minute, time.Minute},
		{usedUp{outcome: certDomain, budget: budgetDomain + h.registered, limit: l.PerDomain}, true, domain, time.Minute},
		{usedUp{outcome: certHours, budget: budgetHours, limit: l.PerThreeHours}, true, hours, threeHours},
		{usedUp{outcome: certWeek, budget: budgetWeek, limit: l.PerWeek}, h.below, weekly, week},
		{usedUp{outcome: certWeek, budget: budgetPreviews, limit: l.PreviewsPerWeek}, h.below && h.preview, previews, week},
	}
	for _, b := range budgets {
		if b.applies && len(b.spent) >= b.limit {
			slices.SortFunc(b.spent, time.Time.Compare)
			b.until = b.spent[len(b.spent)-b.limit].Add(b.span)
			return changed, &b.usedUp
		}
	}
	for i := range r.Issuances {
		if earlier := &r.Issuances[i]; earlier.Name == h.name {
			earlier.Below, earlier.Preview = false, false
		}
	}
	r.Issuances = append(r.Issuances, issuance{h.name, h.registered, now, h.below, h.preview})
	return true, nil
}

// forget drops what no budget counts any more. What lies in the future was
// entered by a wrong clock and counts from now, not for ever; it reports whether
// there was such.
func (r *issuances) forget(now time.Time) (corrected bool) {
	kept := r.Issuances[:0]
	for _, i := range r.Issuances {
		if i.At.After(now) {
			i.At, corrected = now, true
		}
		if age := now.Sub(i.At); age < threeHours || i.Below && age < week {
			kept = append(kept, i)
		}
	}
	r.Issuances = kept
	return corrected
}

// issuing takes certificates from the budgets. What it knows to be refused it
// refuses without asking the shared record: handshakes cost their sender
// nothing.
type issuing struct {
	now  func() time.Time
	turn chan struct{} // held by the one that changes the shared record

	mu      sync.Mutex
	tried   *simplelru.LRU[string, order]
	refused *simplelru.LRU[string, refusal] // by budget
}

// refusal is a budget that had nothing left when the record was looked at.
type refusal struct {
	*usedUp
	at time.Time
}

// refusalTime is how long a used-up budget is taken for one without a look: a
// new configuration may have a larger one.
const refusalTime = time.Minute

// order is a name that this edge let a CA be asked for.
type order struct {
	until time.Time // not again before
	wait  time.Duration
}

func newIssuing(now func() time.Time) *issuing {
	i := &issuing{now: now, turn: make(chan struct{}, 1)}
	i.tried, _ = simplelru.NewLRU[string, order](issuingNames, nil) // fails for a size below 1 only
	i.refused, _ = simplelru.NewLRU[string, refusal](issuingNames, nil)
	return i
}

// done forgets a name that has its certificate.
func (i *issuing) done(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tried.Remove(name)
}

func (i *issuing) take(ctx context.Context, h certHost, rules *CertRules) (certOutcome, error) {
	limits := rules.Limits.complete()
	if outcome, err := i.known(h, i.now()); err != nil {
		return outcome, err
	}
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return certFailed, fmt.Errorf("wait to enter the certificate of %s: %w", h.name, ctx.Err())
	}
	// Others may have used up a budget meanwhile.
	if outcome, err := i.known(h, i.now()); err != nil {
		return outcome, err
	}
	var over *usedUp
	err := rules.Update(ctx, func(stored []byte) ([]byte, error) {
		var record issuances
		if len(stored) > 0 {
			if err := json.Unmarshal(stored, &record); err != nil {
				return nil, fmt.Errorf("the record of issued certificates is damaged, delete it to begin anew: %w", err)
			}
		}
		var changed bool
		if changed, over = record.take(h, i.now(), limits); !changed {
			return nil, nil
		}
		return json.Marshal(&record)
	})
	if err != nil {
		return certFailed, fmt.Errorf("enter the certificate of %s: %w", h.name, err)
	}
	if over != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.refused.Add(over.budget, refusal{over, i.now()})
		return over.outcome, fmt.Errorf("%s: %w", h.name, over)
	}
	i.try(h.name, limits.Retry)
	return certNew, nil
}

// known refuses what was tried or refused a short while ago.
func (i *issuing) known(h certHost, now time.Time) (certOutcome, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a, ok := i.tried.Peek(h.name); ok && now.Before(a.until) {
		return certWait, fmt.Errorf("%s did not get its certificate; it is asked for again from %s on", h.name, a.until.UTC().Format(time.RFC3339))
	}
	budgets := []string{budgetMinute, budgetDomain + h.registered, budgetHours, budgetWeek, budgetPreviews}
	if !h.below {
		budgets = budgets[:3]
	} else if !h.preview {
		budgets = budgets[:4]
	}
	for _, b := range budgets {
		if r, ok := i.refused.Get(b); ok && now.Before(r.until) && now.Sub(r.at) < refusalTime {
			return r.outcome, fmt.Errorf("%s: %w", h.name, r.usedUp)
		}
	}
	return certNew, nil
}

// try notes that a CA is asked for a name.
func (i *issuing) try(name string, first time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, again := i.tried.Peek(name)
	if again {
		a.wait = min(2*a.wait, max(first, maxCertRetry))
	} else {
		a.wait = first
	}
	a.until = i.now().Add(a.wait)
	i.tried.Add(name, a)
}
