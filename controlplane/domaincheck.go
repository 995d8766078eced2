package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mini-vercel/mini-vercel/internal/dnslookup"
)

const (
	checkTime     = 8 * time.Second // for all look-ups of one domain
	checkFresh    = 2 * time.Second // so long a look is as good as a new one
	checksAtOnce  = 16              // of this control plane
	maxSeen       = 10              // values of a record that are shown
	maxSeenLength = 255
)

// edgeName is the name that a project's domains are aliases of.
func (s *Service) edgeName(p *ProjectRow) string {
	if s.config.EdgeCNAME != "" {
		return s.config.EdgeCNAME
	}
	return s.productionHost(p.SubDomain)
}

// wantedRecords are the records to set for a domain, not yet looked up.
func (s *Service) wantedRecords(p *ProjectRow, d *DomainRow) []DNSRecord {
	record := func(kind, name, value string) DNSRecord {
		return DNSRecord{Type: kind, Name: name, Value: value, Seen: []string{}, State: RecordUnchecked}
	}
	records := []DNSRecord{record("TXT", domainPrefix+d.Host, d.Token)}
	switch {
	case !isApex(d.Host):
		return append(records, record("CNAME", d.Host, s.edgeName(p)))
	case len(s.config.EdgeAddresses) == 0:
		return append(records, record("ALIAS", d.Host, s.edgeName(p)))
	}
	for _, addr := range s.config.EdgeAddresses {
		records = append(records, record(addressType(addr), d.Host, addr.String()))
	}
	return records
}

func addressType(addr netip.Addr) string {
	if addr.Is4() {
		return "A"
	}
	return "AAAA"
}

// look is what DNS said about a domain.
type look struct {
	records []DNSRecord
	texts   []string // of the TXT record
	proof   RecordState
	target  RecordState
}

// verdict is what a look means for a domain.
type verdict string

const (
	verdictGood    verdict = "good"    // every record is there
	verdictGone    verdict = "gone"    // it is certain that one is not
	verdictUnknown verdict = "unknown" // a look-up failed: nothing follows
)

func (l *look) verdict() verdict {
	is := func(states ...RecordState) bool {
		return slices.Contains(states, l.proof) || slices.Contains(states, l.target)
	}
	switch {
	case is(RecordMissing, RecordWrong):
		return verdictGone
	case is(RecordFailed):
		return verdictUnknown
	}
	return verdictGood
}

// look asks DNS about a domain.
func (s *Service) look(ctx context.Context, p *ProjectRow, d *DomainRow) (*look, error) {
	select {
	case s.checking <- struct{}{}:
		defer func() { <-s.checking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	l := &look{records: s.wantedRecords(p, d)}
	var both sync.WaitGroup
	both.Go(func() { s.lookAtProof(within, d, l) })
	both.Go(func() { s.lookAtTarget(within, p, d.Host, l) })
	both.Wait()
	return l, ctx.Err() // of one that was given up nothing follows
}

func (s *Service) lookAtProof(ctx context.Context, d *DomainRow, l *look) {
	texts, err := s.dns.TXT(ctx, domainPrefix+d.Host)
	r := &l.records[0]
	r.State, r.Detail, r.Seen = failedLookup(err), lookupDetail(err), shown(texts)
	switch {
	case err != nil:
	case slices.Contains(texts, d.Token):
		r.State = RecordFound
	default:
		r.State, r.Detail = RecordWrong, "There are other texts, but not this one."
	}
	l.texts, l.proof = texts, r.State
}

// lookAtTarget compares where a host leads with where it should. An alias of
// any of the platform's own names is good, as are addresses that all are the
// edges': how a provider makes an alias at an apex can't be seen from outside.
func (s *Service) lookAtTarget(ctx context.Context, p *ProjectRow, host string, l *look) {
	at, err := s.dns.Host(ctx, host)
	state, detail := failedLookup(err), lookupDetail(err)
	if err == nil {
		state, detail = s.judgeTarget(ctx, p, at)
	}
	l.target = state
	for i := 1; i < len(l.records); i++ {
		r := &l.records[i]
		r.State, r.Detail, r.Seen = state, detail, []string{}
		addresses := r.Type == "A" || r.Type == "AAAA"
		if !addresses {
			r.Seen = shown(at.Aliases)
		}
		if len(r.Seen) == 0 {
			var seen []string
			for _, addr := range at.Addresses {
				if !addresses || addressType(addr) == r.Type {
					seen = append(seen, addr.String())
				}
			}
			r.Seen = shown(seen)
		}
		if state == RecordFound && addresses && !slices.Contains(r.Seen, r.Value) {
			r.State, r.Detail = RecordMissing, "Not set; the domain leads here without it."
		}
	}
}

func (s *Service) judgeTarget(ctx context.Context, p *ProjectRow, at dnslookup.Host) (RecordState, string) {
	ours := func(name string) bool { return name == s.config.EdgeCNAME || atOrBelow(name, s.config.BaseDomain) }
	if slices.ContainsFunc(at.Aliases, ours) {
		return RecordFound, ""
	}
	if len(at.Addresses) == 0 {
		return RecordWrong, fmt.Sprintf("It leads to %s, which has no address.", at.Aliases[len(at.Aliases)-1])
	}
	good := slices.Clone(s.config.EdgeAddresses)
	edge, err := s.dns.Host(ctx, s.edgeName(p))
	good = append(good, edge.Addresses...)
	var foreign []string
	for _, addr := range at.Addresses {
		if !slices.Contains(good, addr) {
			foreign = append(foreign, addr.String())
		}
	}
	switch {
	case len(foreign) == 0:
		return RecordFound, ""
	case err != nil && failedLookup(err) == RecordFailed:
		return RecordFailed, fmt.Sprintf("%s could not be looked up, to compare with. %s", s.edgeName(p), lookupDetail(err))
	case len(foreign) < len(at.Addresses):
		return RecordWrong, "It also leads elsewhere: remove " + strings.Join(shown(foreign), " and ") + "."
	}
	return RecordWrong, "It leads elsewhere."
}

// failedLookup is the state of a record that a look-up has no value of.
func failedLookup(err error) RecordState {
	var failed *dnslookup.Error
	if errors.As(err, &failed) && failed.Absent() {
		return RecordMissing
	}
	return RecordFailed
}

func lookupDetail(err error) string {
	var failed *dnslookup.Error
	if errors.As(err, &failed) {
		return failed.Sentence()
	}
	return ""
}

// shown bounds what is kept of values that somebody else wrote.
func shown(values []string) []string {
	out := []string{}
	for _, v := range values[:min(len(values), maxSeen)] {
		out = append(out, strings.ToValidUTF8(strings.Map(printing, cut(v, maxSeenLength)), "�"))
	}
	return out
}

func printing(r rune) rune {
	if r < 0x20 || r == 0x7f {
		return ' '
	}
	return r
}
