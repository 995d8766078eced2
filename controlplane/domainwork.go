package controlplane

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	domainsLease  = "domains"
	domainsEvery  = 5 * time.Second
	domainsTime   = 2 * time.Minute // for one round
	domainsBatch  = 50              // looks of a round
	domainsAtOnce = 8
)

// runDomains looks again at domains whose time has come.
func (s *Service) runDomains(ctx context.Context) {
	s.loop(ctx, "domains", nil, domainsEvery, domainsTime, s.under(domainsLease, s.checkDomainsOnce))
}

// checkDomainsOnce does one round, on one control plane at a time: at most ten
// domains a second, as a round is done every five.
func (s *Service) checkDomainsOnce(ctx context.Context) (more bool, err error) {
	var due []*DomainRow
	err = s.store.View(ctx, func(tx Tx) (err error) {
		due, err = tx.DueDomains(s.now(), domainsBatch)
		return err
	})
	if err != nil || len(due) == 0 {
		return false, err
	}
	errs := make([]error, len(due))
	looks := errgroup.Group{}
	looks.SetLimit(domainsAtOnce)
	for i, d := range due {
		looks.Go(func() error {
			if err := s.checkDomainNow(ctx, d.ProjectID, d.Host); CodeOf(err) != CodeNotFound {
				errs[i] = err // one that was removed meanwhile is no failure
			}
			return nil
		})
	}
	_ = looks.Wait() // the errors are in errs
	return false, errors.Join(errs...)
}
